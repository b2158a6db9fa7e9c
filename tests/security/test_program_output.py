"""What the node and jcli print, with anything in it: it becomes lines of the log, and a clear error."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node_fsm.core.errors import LONGEST_MESSAGE, PermanentError
from node_fsm.core.secret import Secret
from node_fsm.node.output import MAX_LINE, log_error_line, log_line
from node_fsm.programs.jcli import Jcli
from tests.security.hostile import ESCAPE, damaged
from tests.support.executable import write_executable

LINE = {
    "timestamp": "Nov 26 10:00:00.000",
    "level": "INFO",
    "fields": {"message": "block added", "hash": "3a"},
    "target": "jormungandr::blockchain",
}


def line_of(document: Any) -> str:
    return json.dumps(document)[:MAX_LINE]


@settings(max_examples=100)
@given(damaged(LINE))
def test_any_line_of_json_is_logged(document: Any) -> None:
    log_line(line_of(document))


@given(st.text())
def test_any_line_is_logged(text: str) -> None:
    log_line(text)
    log_error_line(text)


@pytest.mark.parametrize("depth", [100, 300, 500, 900, 990, 2000, 10_000, 30_000])
@pytest.mark.parametrize("field", ["message", "level", "target", "other"])
def test_a_nested_line_is_logged(depth: int, field: str) -> None:
    nested = "[" * depth + "]" * depth
    log_line(f'{{"level": "INFO", "fields": {{"{field}": {nested}}}, "target": {nested}, "{field}": {nested}}}')


PRINTS = """\
import os, sys
sys.stdin.read()
sys.{stream}.buffer.write(open({file!r}, "rb").read())
sys.exit({code})
"""
PRINTED = {
    "nothing": b"",
    "bytes": bytes(range(256)),
    "escapes": ESCAPE.encode(),
    "a long line": b"x" * 300_000,
    "many lines": b"x\n" * 100_000,
    "nested lists": b"[" * 20_000,
    "a list of numbers": b"[1, 2]",
    "half a key": b"ristretto255_membersk1qqqq",
}
KEY = Secret("ristretto255_membersk1" + "q" * 58)
CALLS: dict[str, Callable[[Jcli, Path], Awaitable[object]]] = {
    "public key": lambda jcli, _: jcli.public_key(KEY),
    "new key": lambda jcli, _: jcli.new_communication_key(),
    "member key": lambda jcli, _: jcli.member_public_key(KEY),
    "share": lambda jcli, directory: jcli.decryption_shares(directory / "plans", "00", KEY),
    "election key": lambda jcli, _: jcli.election_key(["a", "b"]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_whatever_jcli_prints_gives_a_value_or_a_short_error(
    call: Callable[[Jcli, Path], Awaitable[object]], tmp_path: Path
) -> None:
    async def said(number: int, printed: bytes, stream: str, code: int) -> str:
        file = tmp_path / f"printed{number}{stream}"
        file.write_bytes(printed)
        source = PRINTS.format(stream=stream, file=str(file), code=code)
        jcli = Jcli(str(write_executable(tmp_path / f"jcli{number}{stream}", source)))
        try:
            await call(jcli, tmp_path)
        except PermanentError as error:
            return error.message
        return ""

    messages = await asyncio.gather(
        *(said(number, printed, "stdout", 0) for number, printed in enumerate(PRINTED.values())),
        *(said(number, printed, "stderr", 1) for number, printed in enumerate(PRINTED.values())),
    )
    assert max(map(len, messages)) <= LONGEST_MESSAGE + 1
    assert all(messages[len(PRINTED) :]), "what fails says so"
    assert not any("qqqq" in message for message in messages)
