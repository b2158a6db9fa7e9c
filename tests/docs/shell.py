"""The shell blocks of a page, run as they are written: one after the other, in one shell."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.docs.pages import blocks


def script(page: Path, replaced: Mapping[str, str], *, section: str = "") -> str:
    """The ``sh`` blocks of *page*, or of one *section*, with every text of *replaced* changed to its value.

    Each must stand there: what the page does not say any more is not replaced in it either.
    """
    text = "\n".join(block.text for block in blocks(page, section) if block.language == "sh")
    for old, new in replaced.items():
        assert old in text, f"{page.name} has no {old!r} any more"
        text = text.replace(old, new)
    return text


def exported(page: Path, values: Mapping[str, str]) -> dict[str, str]:
    """Replacements by which the ``export NAME=...`` of *page* get other *values*; each must be one of the page's."""
    lines = {found[1]: found[0] for found in re.finditer(r"^export (\w+)=\S+", page.read_text(), re.MULTILINE)}
    return {lines[name]: f"export {name}='{value}'" for name, value in values.items()}


def run(text: str, directory: Path, environment: Mapping[str, str], *, seconds: float) -> str:
    """Run a script by bash; all that it printed. It must succeed; what it left running is ended."""
    output = directory / "output"
    with output.open("w") as file:
        process = subprocess.Popen(
            ["bash", "-eu", "-o", "pipefail", "-c", text],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    printed = output.read_text()
    assert code is not None, f"the page's commands take longer than {seconds:g} s:\n{printed}"
    assert code == 0, printed
    return printed
