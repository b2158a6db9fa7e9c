"""Asking a node: which requests jcli makes of it, what it makes of the answers, and of there being none."""

import json
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from node_fsm_sandbox.formats import certificates as certificates_write
from node_fsm_sandbox.formats import chain as chain_write
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from node_fsm.chain.fragments import FragmentKind
from node_fsm.chain.transactions import Input
from node_fsm.core.block_date import BlockDate
from tests.contract.chains import Wallet
from tests.contract.commands import Ended, Jcli

ACCOUNT = Wallet(bytes(32))
BLOCK_ID = "b1" * 32
PLAN_ID = "ab" * 32
HTTP_ERROR = "error when trying to perform an HTTP request"

FRAGMENT = chain_write.fragment(
    FragmentKind.VOTE_CAST,
    chain_write.unsigned_transaction(
        certificates_write.public_vote(bytes.fromhex(PLAN_ID), 0, 1),
        BlockDate(1, 9),
        [Input(ACCOUNT.public_key, None, 0)],
    )
    + chain_write.account_witness(0, bytes(64)),
)


@dataclass
class FakeNode:
    """A server that gives one answer to everything, and keeps the requests."""

    port: int
    status: int = 200
    answer: bytes = b""
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/api"


@pytest.fixture
def node() -> Iterator[FakeNode]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fake.requests.append((self.command, self.path, body))
            self.send_response(fake.status)
            self.send_header("Content-Length", str(len(fake.answer)))
            self.end_headers()
            self.wfile.write(fake.answer)

        do_POST = do_GET  # noqa: N815 - so named by the base class

        def log_message(self, *_: object) -> None:
            """Nothing: its requests are kept."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        fake = FakeNode(server.server_port)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield fake
        server.shutdown()


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["v0", "node", "stats", "get"], "v0/node/stats"),
        (["v0", "vote", "active", "plans", "get"], "v0/vote/active/plans"),
        (["v0", "vote", "active", "committees", "get"], "v0/vote/active/committees"),
        (["v0", "message", "logs"], "v0/fragment/logs"),
        (["v0", "leaders", "logs", "get"], "v0/leaders/logs"),
        (["v0", "network", "stats", "get"], "v0/network/stats"),
        (["v1", "vote", "account-votes", "--account-id", ACCOUNT.address], f"v1/votes/plan/account-votes/{ACCOUNT.id}"),
        (
            ["v1", "vote", "account-votes", "-a", ACCOUNT.leader_id, "--vote-plan-id", PLAN_ID],
            f"v1/votes/plan/{PLAN_ID}/account-votes/{ACCOUNT.id}",
        ),
    ],
)
def test_what_a_node_says(jcli: Jcli, node: FakeNode, words: Sequence[str], path: str) -> None:
    node.answer = b'[{"b": 1.5, "a": ["x", "1", null, true, {}], "c": {"d": "0.1"}}, "\xc3\xa9"]'
    text = jcli.out("rest", *words, "--host", node.url, "--output-format", "json")
    assert text == json.dumps(json.loads(node.answer), indent=2, sort_keys=True, ensure_ascii=False)
    assert jcli.out("rest", *words, "--host", node.url) == (
        '---\n- a:\n    - x\n    - "1"\n    - ~\n    - true\n    - {}\n  b: 1.5\n  c:\n    d: "0.1"\n- é\n'
    )
    assert node.requests == [("GET", f"/api/{path}", b"")] * 2


def test_an_account(jcli: Jcli, node: FakeNode) -> None:
    account = {
        "counters": [lane << 29 for lane in range(8)],
        "delegation": {"pools": []},
        "last_rewards": {"epoch": 0, "reward": 0},
        "tokens": {f"{'0' * 56}.ab": 7},
        "value": 1000,
    }
    node.answer = json.dumps(account).encode()
    for words in ([ACCOUNT.address], [ACCOUNT.leader_id]):
        text = jcli.out("rest", "v0", "account", "get", *words, "--host", node.url, "--output-format", "json")
        assert text == json.dumps(account, indent=2)
    assert node.requests == [("GET", f"/api/v0/account/{ACCOUNT.id}", b"")] * 2
    message = "account parameter 'nonsense' isn't a valid address or publickey"
    ended = jcli.refused("rest", "v0", "account", "get", "nonsense", "--host", node.url)
    assert ended == (1, f"error: Invalid value for '<account-id>': {message}")


def test_texts(jcli: Jcli, node: FakeNode) -> None:
    node.answer = b"c0ffee"
    assert jcli.out("rest", "v0", "tip", "get", "-h", node.url) == "c0ffee"
    assert jcli.out("rest", "v0", "diagnostic", "get", f"--host={node.url}") == "c0ffee"
    assert [path for _, path, _ in node.requests] == ["/api/v0/tip", "/api/v0/diagnostic"]


def test_blocks(jcli: Jcli, node: FakeNode) -> None:
    node.answer = bytes([1]) * 32 + bytes([2]) * 32
    words = ("rest", "v0", "block", BLOCK_ID)
    assert jcli.out(*words, "get", "--host", node.url) == node.answer.hex()
    assert jcli.out(*words, "next-id", "get", "--count", "2", "--host", node.url) == f"{'01' * 32}\n{'02' * 32}"
    assert jcli.out(*words, "next-id", "get", "--host", node.url) == f"{'01' * 32}\n{'02' * 32}"
    first, second, third = [path for _, path, _ in node.requests]
    assert first == f"/api/v0/block/{BLOCK_ID}"
    assert second == f"{first}/next_id?count=2"
    assert third.rstrip("?") == f"{first}/next_id"


def test_posting(jcli: Jcli, node: FakeNode) -> None:
    jcli.write("vote.fragment", f"{FRAGMENT.hex()}\n")
    node.answer = b'{"accepted":["ab"],"rejected":[]}'
    post = ("rest", "v0", "message", "post", "--host", node.url)
    assert jcli.out(*post, "--file", "vote.fragment") == node.answer.decode()
    assert jcli.out(*post, stdin=FRAGMENT.hex()) == node.answer.decode()
    assert node.requests == [("POST", "/api/v0/message", FRAGMENT)] * 2


def test_what_is_no_fragment_is_not_posted(jcli: Jcli, node: FakeNode) -> None:
    post = ("rest", "v0", "message", "post", "--host", node.url)
    assert jcli.refused(*post, "--file", "missing") == (1, "could not read input file")
    assert jcli.refused(*post, stdin="zz") == (1, "input hex encoding is not valid")
    for damaged in (b"", FRAGMENT[:-1], FRAGMENT[:5] + b"\xff" + FRAGMENT[6:]):
        assert jcli.refused(*post, stdin=damaged.hex()) == (1, "input is not a valid fragment")
    assert node.requests == []


def test_shutting_down(jcli: Jcli, node: FakeNode) -> None:
    assert jcli.out("rest", "v0", "shutdown", "post", "--host", node.url) == "Success"
    assert node.requests == [("GET", "/api/v0/shutdown", b"")]


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (404, "node rejected request because of invalid parameters"),
        (400, "node rejected request because of invalid parameters"),
        (500, "node internal error"),
        (503, "node internal error"),
    ],
)
def test_refusals_of_a_node(jcli: Jcli, node: FakeNode, status: int, cause: str) -> None:
    node.status = status
    ended = jcli.run("rest", "v0", "node", "stats", "get", "--host", node.url)
    assert (ended.code, ended.stderr.splitlines()[:2]) == (1, [HTTP_ERROR, f"  |-> {cause}"])
    kind = {4: "client", 5: "server"}[status // 100]
    assert ended.cause.startswith(f"HTTP status {kind} error ({status} ")
    assert ended.cause.endswith(f") for url ({node.url}/v0/node/stats)")


def test_an_answer_that_is_no_json(jcli: Jcli, node: FakeNode) -> None:
    node.answer = b"soon"
    ended = jcli.run("rest", "v0", "node", "stats", "get", "--host", node.url)
    assert (ended.code, ended.stderr.splitlines()[:2]) == (
        1,
        [HTTP_ERROR, "  |-> could not deserialize the response as JSON"],
    )


def test_no_answer(jcli: Jcli) -> None:
    """A server that hangs up on everyone, in the middle of a sentence."""
    with socket.create_server((LOOPBACK, 0)) as server:
        url = f"http://{LOOPBACK}:{server.getsockname()[1]}/api"

        def hang_up() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-")

        thread = Thread(target=hang_up)
        thread.start()
        ended = jcli.run("rest", "v0", "tip", "get", "--host", url)
        thread.join()
    assert (ended.code, ended.stderr.splitlines()[:2]) == (
        1,
        [HTTP_ERROR, "  |-> communication with node failed in unexpected way"],
    )


def test_a_slash_at_the_end_is_one_too_many(jcli: Jcli, node: FakeNode) -> None:
    node.answer = b"{}"
    jcli.out("rest", "v0", "node", "stats", "get", "--host", f"{node.url}/")
    jcli.out("rest", "v0", "node", "stats", "get", "--host", f"http://{LOOPBACK}:{node.port}")
    assert [path for _, path, _ in node.requests] == ["/api//v0/node/stats", "/v0/node/stats"]


def test_no_node(jcli: Jcli) -> None:
    url = f"http://{LOOPBACK}:{free_port()}/api"
    ended = jcli.run("rest", "v0", "node", "stats", "get", "--host", url)
    connecting = "error trying to connect: tcp connect error: Connection refused (os error 111)"
    assert (ended.code, ended.stderr) == (
        1,
        "\n  |-> ".join(
            [
                HTTP_ERROR,
                "communication with node failed in unexpected way",
                f"error sending request for url ({url}/v0/node/stats): {connecting}",
                connecting,
                "tcp connect error: Connection refused (os error 111)",
                "Connection refused (os error 111)",
            ]
        )
        + "\n",
    )


def test_where_the_node_is(jcli: Jcli, node: FakeNode) -> None:
    def tip(*words: str, jcli: Jcli = jcli) -> Ended:
        return jcli.run("rest", "v0", "tip", "get", *words)

    assert tip().refusal == (1, "error: The following required arguments were not provided:")
    message = "error: Invalid value for '--host <host>': relative URL without a base"
    assert tip("--host", f"{LOOPBACK}:{node.port}").refusal == (1, message)
    node.answer = b"c0ffee"
    configured = replace(jcli, environment={"JORMUNGANDR_RESTAPI_URL": node.url})
    assert tip(jcli=configured).stdout == "c0ffee\n"
