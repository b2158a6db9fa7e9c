"""The files of ``jcli genesis``."""

from node_fsm_sandbox.jcli import files
from node_fsm_sandbox.jcli.arguments import Option, Values
from node_fsm_sandbox.jcli.errors import CommandError

INPUT = Option("input", "FILE_INPUT")
OUTPUT = Option("output", "FILE_OUTPUT")


def read(values: Values) -> bytes:
    """The file that is given; CommandError."""
    path = values["input"]
    return files.read(path, lambda reason: CommandError(f"invalid input file path '{path or ''}'", reason))


def write(values: Values, data: bytes) -> None:
    """Write the file that is asked for; CommandError."""
    path = values["output"]
    files.write(path, data, lambda reason: CommandError(f"invalid output file path '{path}'", reason))
