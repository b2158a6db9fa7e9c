"""The files of certificates and of the keys that sign them."""

from node_fsm_sandbox.jcli import files
from node_fsm_sandbox.jcli.arguments import Option
from node_fsm_sandbox.jcli.certificate_texts import Certificate
from node_fsm_sandbox.jcli.errors import CommandError

OUTPUT = Option("output", "output")


def read_input(path: str | None) -> str:
    """The line in the file of a certificate or of a key."""
    return files.read_line(path, lambda reason: CommandError(f"invalid input file path '{path or ''}'", reason))


def write(path: str | None, certificate: Certificate) -> None:
    """Write a certificate."""
    write_line(path, certificate.text())


def write_line(path: str | None, text: str) -> None:
    """Write what a command on certificates has to say."""

    def refusal(reason: str) -> CommandError:
        return CommandError(f"invalid output file path '{path}'", reason)

    files.write(path, text.encode() + b"\n", refusal)
