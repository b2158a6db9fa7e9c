"""Whatever answers in the node's place: each answer is understood, or a short error says that it is not."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from node_fsm.core.block_date import BlockDate
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.node.rest import ANSWER_LIMIT, NodeRest
from tests.node.test_rest import HASH, PLAN, STATS_ANSWER
from tests.security.hostile import damaged
from tests.support.polling import HANGING

LONGEST_ERROR = 500

SETTINGS = {"block0Hash": HASH, "block0Time": "2026-11-23T20:17:51Z", "slotDuration": 2, "slotsPerEpoch": 10}
ACCOUNT = {"value": 7, "counters": [lane << 29 for lane in range(8)], "tokens": {"00.ab": 5}}
STATUSES = {"a": "Pending", "b": {"InABlock": {"date": "1.5", "block": HASH}}, "c": {"Rejected": {"reason": "late"}}}
VERDICTS = {"accepted": ["a"], "rejected": [{"id": "b", "reason": "late"}]}

ASKED: dict[str, tuple[Callable[[NodeRest], Awaitable[object]], Any]] = {
    "stats": (NodeRest.stats, STATS_ANSWER),
    "settings": (NodeRest.settings, SETTINGS),
    "account": (lambda rest: rest.account(HASH), ACCOUNT),
    "vote plans": (NodeRest.vote_plans, [PLAN]),
    "verdicts": (lambda rest: rest.post_fragments([b"", b""]), VERDICTS),
    "statuses": (lambda rest: rest.fragment_statuses(["a", "b", "c"]), STATUSES),
    "votes": (lambda rest: rest.account_votes(HASH), [{"vote_plan_id": HASH, "votes": [0, 2]}]),
}


@asynccontextmanager
async def asking(content: bytes, *headers: str, status: str = "200 OK") -> AsyncIterator[NodeRest]:
    """A client of a node that answers everything with *content*."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(content)}", "Connection: close", "", ""]
        writer.write("\r\n".join(head).encode() + content)
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with NodeRest(f"http://127.0.0.1:{port}/api", timeout=HANGING) as rest:
            yield rest


def text_of(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize("what", ASKED)
async def test_what_is_damaged_below_is_understood_whole(what: str) -> None:
    ask, answer = ASKED[what]
    async with asking(text_of(answer)) as rest:
        assert await ask(rest)


@pytest.mark.parametrize("what", ASKED)
@settings(max_examples=15)
@given(data=st.data())
async def test_an_answer_is_understood_or_said_not_to_be(what: str, data: st.DataObject) -> None:
    ask, answer = ASKED[what]
    refusal = None
    async with asking(text_of(data.draw(damaged(answer)))) as rest:
        try:
            assert_bounded(await ask(rest))
        except TemporaryError as error:
            refusal = error
    assert refusal is None or refusal.reason == "NodeAnswerUnknown"
    assert refusal is None or len(refusal.message) < LONGEST_ERROR


def assert_bounded(value: object) -> None:
    """Nothing that the service or the database cannot count with."""
    if isinstance(value, int):
        assert abs(value) < 2**64
    elif isinstance(value, datetime):
        assert value.utcoffset() is not None
    elif isinstance(value, BlockDate):
        assert max(value) < 2**32
    elif isinstance(value, dict):
        assert_bounded(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for each in value:
            assert_bounded(each)
    elif hasattr(value, "__slots__"):
        for name in value.__slots__:
            assert_bounded(getattr(value, name))


@pytest.mark.parametrize(
    "tip", [b"", b"\0", b"x" * 100_000, b"../../v0/shutdown", b"?count=1", HASH.upper().encode(), "é".encode(), b"\xff"]
)
async def test_a_tip_that_is_none_is_not_asked_for(tip: bytes) -> None:
    async with asking(tip) as rest:
        with pytest.raises(TemporaryError, match="v0/tip is not understood") as refusal:
            await rest.tip()
    assert len(refusal.value.message) < LONGEST_ERROR


@pytest.mark.parametrize("encoding", ["zstd", "gzip", "deflate", "br"])
async def test_an_answer_is_not_unpacked(encoding: str) -> None:
    """A quarter of a gigabyte, which is 8 kB packed."""
    packed = zstandard.ZstdCompressor().compress(bytes(4 * ANSWER_LIMIT))
    tracemalloc.start()
    try:
        async with asking(packed, f"Content-Encoding: {encoding}") as rest:
            assert await rest.block(HASH) == packed
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < ANSWER_LIMIT // 4


async def test_what_is_refused_with_many_words_is_told_in_few() -> None:
    async with asking(b"no " * 100_000, status="400 Bad Request") as rest:
        with pytest.raises(PermanentError, match="HTTP 400: no no") as refusal:
            await rest.stats()
    assert len(refusal.value.message) < LONGEST_ERROR
