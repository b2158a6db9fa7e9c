"""The client of the node's REST interface, against a server that says what the node says."""

import asyncio
import errno
import http.server
import json
import socket
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
import pytest_asyncio
from node_fsm_sandbox.servers.server import free_port

from node_fsm.core.chain_time import BlockDate
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.node.rest import RECORDS, STATS, NodeRest
from node_fsm.ports.answers import FragmentState, FragmentStatus, Posted

HASH = "3a" * 32
STATS_ANSWER = {
    "version": "jormungandr 0.13.0-35d73ea50+",
    "state": "Running",
    "lastBlockDate": "3.5",
    "lastBlockHash": HASH,
    "lastBlockHeight": "91",
    "lastBlockTime": "2026-11-23T20:24:41Z",
    "peerConnectedCnt": 2,
}
PLAN: dict[str, Any] = {
    "id": HASH,
    "payload": "private",
    "vote_start": "0.0",
    "vote_end": "2.0",
    "committee_end": "8.5",
    "committee_member_keys": ["ristretto255_memberpk1x"],
    "voting_token": "00.7072",
    "proposals": [
        {
            "index": 1,
            "proposal_id": "b1",
            "options": {"start": 0, "end": 3},
            "votes_cast": 2,
            "tally": {"Private": {"state": {"Decrypted": {"result": {"results": [1, 0, 4], "options": {}}}}}},
        },
        {
            "index": 0,
            "proposal_id": "b0",
            "options": {"start": 0, "end": 2},
            "votes_cast": 1,
            "tally": {"Private": {"state": {"Encrypted": {"encrypted_tally": "AAAA"}}}},
        },
    ],
}


@dataclass(slots=True)
class Server:
    """Answers every request with *status* and *body*; *requests* holds method, path with query, and body of each."""

    status: int = 200
    body: bytes = b""
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)

    def says(self, answer: Any, status: int = 200) -> None:
        self.status = status
        self.body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()


class Listener(http.server.ThreadingHTTPServer):
    """Says what *said* holds."""

    said = Server()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Listener)
        said = self.server.said
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said.requests.append((self.command, self.path, body))
        status, answer = said.status, said.body  # an empty answer is read, and the next one said, before it is written
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with Listener(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        yield listener
        listener.shutdown()
        thread.join()


@pytest.fixture
def server(listener: Listener) -> Server:
    listener.said = Server()
    return listener.said


@pytest_asyncio.fixture
async def rest(listener: Listener) -> AsyncIterator[NodeRest]:
    async with NodeRest(f"http://127.0.0.1:{listener.server_port}/api") as client:
        yield client


async def test_stats(rest: NodeRest, server: Server) -> None:
    server.says(STATS_ANSWER)
    stats = await rest.stats()
    assert server.requests == [("GET", "/api/v0/node/stats", b"")]
    assert (stats.height, stats.tip, stats.tip_date, stats.peers_connected) == (91, HASH, BlockDate(3, 5), 2)
    assert stats.last_block_time == datetime(2026, 11, 23, 20, 24, 41, tzinfo=UTC)


async def test_settings(rest: NodeRest, server: Server) -> None:
    times = {"block0Time": "2026-11-23T20:17:51Z", "slotDuration": 2, "slotsPerEpoch": 10}
    server.says({"block0Hash": HASH} | times)
    settings = await rest.settings()
    assert settings.block0_hash == HASH
    assert settings.clock.time_at(BlockDate(1, 1)) == datetime(2026, 11, 23, 20, 18, 13, tzinfo=UTC)


async def test_the_tip(rest: NodeRest, server: Server) -> None:
    server.says(HASH.encode())
    assert await rest.tip() == HASH


async def test_records_are_kept_as_printed(rest: NodeRest, server: Server, tmp_path: Path) -> None:
    server.says(b'{ "a":1 }')
    await rest.save(RECORDS["vote-plans.json"], tmp_path / "plans")
    assert (tmp_path / "plans").read_bytes() == b'{ "a":1 }'
    assert (tmp_path / "plans").stat().st_mode & 0o777 == 0o600


async def test_records_are_not_held_in_memory(rest: NodeRest, server: Server, tmp_path: Path) -> None:
    server.says(bytes(100 * 2**20))
    tracemalloc.start()
    try:
        await rest.save(RECORDS["fragment-logs.json"], tmp_path / "logs")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "logs").stat().st_size == 100 * 2**20
    assert peak < 10 * 2**20


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, b"", "NodeRefused"),
        (500, b"context not available", "NodeBootstrapping"),
        (200, bytes(101), "NodeAnswerUnknown"),
    ],
)
async def test_what_is_no_record_leaves_no_file(
    rest: NodeRest,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    status: int,
    body: bytes,
    reason: str,
) -> None:
    monkeypatch.setattr("node_fsm.node.rest.RECORD_LIMIT", 100)
    server.says(body, status)
    with pytest.raises(ServiceError) as failure:
        await rest.save(STATS, tmp_path / "stats")
    assert failure.value.reason == reason
    assert list(tmp_path.iterdir()) == []


async def test_an_answer_has_a_largest_size(rest: NodeRest, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node_fsm.node.rest.ANSWER_LIMIT", 100)
    server.says(bytes(100))
    assert await rest.block(HASH) == bytes(100)
    for status in (200, 404, 500):
        server.says(bytes(101), status)
        with pytest.raises(TemporaryError, match="more than 100 bytes") as failure:
            await rest.block(HASH)
        assert failure.value.reason == "NodeAnswerUnknown"


async def test_an_answer_that_drips_is_not_waited_for() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as dripping:
        port = dripping.sockets[0].getsockname()[1]
        async with NodeRest(f"http://127.0.0.1:{port}/api", timeout=0.5) as rest:
            with pytest.raises(TemporaryError, match=r"within 0\.5 s") as failure:
                await rest.stats()
    assert failure.value.reason == "NodeUnavailable"


async def test_a_lack_of_descriptors_is_said(rest: NodeRest, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("socket.socket", fail)
    with pytest.raises(TemporaryError, match="ulimit -n") as failure:
        await rest.stats()
    assert failure.value.reason == "DescriptorsExhausted"


async def test_verdicts_on_something_else_are_not_understood(rest: NodeRest, server: Server) -> None:
    for accepted in ([], [HASH, HASH]):
        server.says({"accepted": accepted, "rejected": []})
        with pytest.raises(TemporaryError, match="verdicts on 1 fragments") as failure:
            await rest.post_fragment(b"")
        assert failure.value.reason == "NodeAnswerUnknown"


async def test_blocks(rest: NodeRest, server: Server) -> None:
    server.says(b"\x00\x01")
    assert await rest.block(HASH) == b"\x00\x01"
    server.says(bytes.fromhex("aa" * 32 + "bb" * 32))
    assert await rest.next_ids(HASH, 5) == ["aa" * 32, "bb" * 32]
    assert server.requests[1][1] == f"/api/v0/block/{HASH}/next_id?count=5"
    server.says(b"")
    assert await rest.next_ids(HASH, 5) == []
    server.says(b"", 404)
    assert await rest.block(HASH) is None
    assert await rest.next_ids(HASH, 5) is None
    server.says(bytes(33))
    with pytest.raises(TemporaryError, match="33 bytes"):
        await rest.next_ids(HASH, 5)


async def test_account_counters_are_counted_in_their_lane(rest: NodeRest, server: Server) -> None:
    counters = [(lane << 29) + lane * lane for lane in range(8)]
    server.says({"value": 7, "counters": counters, "tokens": {"00.ab": 5}, "delegation": {}})
    account = await rest.account(HASH)
    assert account is not None
    assert account.counters == (0, 1, 4, 9, 16, 25, 36, 49)
    assert (account.value, account.tokens) == (7, {"00.ab": 5})
    server.says(b"", 404)
    assert await rest.account(HASH) is None


async def test_vote_plans(rest: NodeRest, server: Server) -> None:
    public = {"Public": {"result": {"results": [5, 0], "options": {"start": 0, "end": 2}}}}
    other = PLAN | {"id": "0" * 64, "payload": "public", "proposals": [PLAN["proposals"][1] | {"tally": public}]}
    server.says([PLAN, other])
    plans = await rest.vote_plans()
    assert set(plans) == {HASH, "0" * 64}
    assert plans[HASH].committee_end == BlockDate(8, 5)
    assert [(p.id, p.options, p.votes_cast, p.results) for p in plans[HASH].proposals] == [
        ("b0", 2, 1, None),
        ("b1", 3, 2, (1, 0, 4)),
    ]
    assert plans["0" * 64].proposals[0].results == (5, 0)


async def test_posting_gives_the_nodes_verdict(rest: NodeRest, server: Server) -> None:
    server.says({"accepted": [HASH], "rejected": []})
    posted = await rest.post_fragment(b"\x01\x02")
    assert posted == Posted(HASH, None)
    assert posted.accepted
    assert server.requests == [("POST", "/api/v0/message", b"\x01\x02")]
    for status, reason in ((200, "FragmentExpired"), (400, "PoolOverflow")):
        server.says({"accepted": [], "rejected": [{"id": HASH, "reason": reason}]}, status)
        posted = await rest.post_fragment(b"")
        assert posted == Posted(HASH, reason)
        assert not posted.accepted


async def test_posting_many(rest: NodeRest, server: Server) -> None:
    server.says({"accepted": ["a", "b"], "rejected": [{"id": "c", "reason": "FragmentAlreadyInLog"}]})
    posted = await rest.post_fragments([b"\x01", b"\x02", b"\x03"])
    assert posted == (Posted("a", None), Posted("b", None), Posted("c", "FragmentAlreadyInLog"))
    method, path, body = server.requests[0]
    assert (method, path) == ("POST", "/api/v1/fragments")
    assert json.loads(body) == {"fail_fast": False, "fragments": ["01", "02", "03"]}


async def test_fragment_statuses(rest: NodeRest, server: Server) -> None:
    server.says(
        {
            "a": "Pending",
            "b": {"InABlock": {"date": "1.5", "block": HASH}},
            "c": {"Rejected": {"reason": "Voting error: closed"}},
        }
    )
    assert await rest.fragment_statuses(["a", "b", "c", "d"]) == {
        "a": FragmentStatus(FragmentState.PENDING),
        "b": FragmentStatus(FragmentState.IN_A_BLOCK, block=HASH, date=BlockDate(1, 5)),
        "c": FragmentStatus(FragmentState.REJECTED, reason="Voting error: closed"),
    }


async def test_no_url_grows_too_long(rest: NodeRest, server: Server) -> None:
    server.says({})
    await rest.fragment_statuses([f"{number:064x}" for number in range(1000)])
    asked = [path for _, path, _ in server.requests]
    assert max(map(len, asked)) < 8000
    assert all(f"{number:064x}" in "".join(asked) for number in range(1000))


async def test_account_votes(rest: NodeRest, server: Server) -> None:
    server.says([{"vote_plan_id": HASH, "votes": [0, 2]}])
    assert await rest.account_votes("ab") == {HASH: (0, 2)}
    server.says(b"", 404)
    assert await rest.account_votes("ab") == {}


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b"Internal server error: Full REST/RPC context not available yet", "NodeBootstrapping"),
        (500, b"Internal server error: failed to fill whole buffer", "NodeUnavailable"),
        (503, b"", "NodeUnavailable"),
        (200, b"<html>", "NodeAnswerUnknown"),
        (200, b"[]", "NodeAnswerUnknown"),
        (200, b"null", "NodeAnswerUnknown"),
        (200, b"[" * 100_000, "NodeAnswerUnknown"),
        (200, json.dumps(STATS_ANSWER | {"lastBlockDate": "0"}).encode(), "NodeAnswerUnknown"),
    ],
)
async def test_answers_that_may_be_better_later(
    rest: NodeRest, server: Server, status: int, body: bytes, reason: str
) -> None:
    server.says(body, status)
    with pytest.raises(TemporaryError, match=STATS) as failure:
        await rest.stats()
    assert failure.value.reason == reason


async def test_requests_that_the_node_calls_wrong(rest: NodeRest, server: Server) -> None:
    server.says(b"hex encoding malformed", 400)
    with pytest.raises(PermanentError, match="HTTP 400: hex encoding malformed"):
        await rest.account("zz")
    with pytest.raises(PermanentError, match="HTTP 400"):
        await rest.post_fragment(b"")
    server.says(b"", 404)
    with pytest.raises(PermanentError, match="HTTP 404"):
        await rest.stats()


async def test_nobody_there() -> None:
    async with NodeRest(f"http://127.0.0.1:{free_port()}/api") as rest:
        with pytest.raises(TemporaryError, match="does not answer GET v0/node/stats") as failure:
            await rest.stats()
    assert failure.value.reason == "NodeUnavailable"


async def test_a_node_that_hangs_is_said_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with NodeRest(f"http://127.0.0.1:{silent.getsockname()[1]}/api", timeout=0.1) as rest:
            with pytest.raises(TemporaryError, match="does not answer GET v0/node/stats"):
                await rest.stats()


async def test_proxies_are_not_asked(listener: Listener, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.says(STATS_ANSWER)
    async with NodeRest(f"http://127.0.0.1:{listener.server_port}/api") as rest:
        assert (await rest.stats()).height == 91
