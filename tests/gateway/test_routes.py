"""The gateway passes on the routes of voting as they were sent, and nothing else."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from node_fsm_sandbox.servers.server import free_port

from tests.gateway.nginx import Gateway, gateway_before
from tests.gateway.recorder import Recorder, recording

HASH, KEY = "0b" * 32, "fe" * 32
STATUSES = "/api/v1/fragments/statuses?fragment_ids="

PASSED = [
    "GET /api/v0/settings",
    "GET /api/v0/tip",
    f"GET /api/v0/block/{HASH}",
    "GET /api/v0/vote/active/plans",
    f"GET /api/v0/account/{KEY}",
    f"GET /api/v1/votes/plan/account-votes/{KEY}",
    f"GET /api/v1/votes/plan/{HASH}/account-votes/{KEY}",
    f"GET {STATUSES}{HASH}",
    f"GET {STATUSES}{','.join([HASH] * 100)}",
    "POST /api/v1/fragments",
    "POST /api/v0/message",
]

OTHER_ROUTES = [
    "/api/v0/shutdown",
    "/api/v0/node/stats",
    "/api/v0/fragment/logs",
    "/api/v0/leaders/logs",
    "/api/v0/network/stats",
    "/api/v0/network/p2p/view",
    "/api/v0/diagnostic",
    "/api/v0/vote/active/committees",
    f"/api/v0/block/{HASH}/next_id",
    f"/api/v0/block/{HASH}/next_id?count=100000",
    "/api/v1/fragments/logs",
    "/api/v1/votes/plan/accounts-votes-all",
    "/prometheus",
    "/api",
    "/",
]

TRICKS = [
    # Paths that nginx or the node would take for others.
    "GET /api/v0/%73hutdown",
    "GET /api/v0/shut%64own",
    "GET /api/v0/settings/../shutdown",
    "GET /api/v0/settings/%2e%2e/shutdown",
    "GET /api/v0/settings%2f..%2fshutdown",
    "GET /api/v0/shutdown/../settings",
    "GET /api/v0/shutdown/%2e%2e/settings",
    "GET /api/v0/./settings",
    "GET //api/v0/settings",
    "GET /api//v0/settings",
    "GET /api/v0/settings/",
    "GET /api/v0//shutdown",
    "GET /api/v0/Settings",
    "GET /API/v0/settings",
    "GET /api/v0/%73ettings",
    "GET /api/v0/settings%00",
    "GET /api/v0/settings?/../shutdown",
    "GET /api/v0/settings#/../shutdown",
    "GET /api/v0/settings;/../shutdown",
    "GET /api/v0\\settings",
    "GET /api/v0/settings%20",
    "GET /api/v0/settings%0d%0aX:%20y",
    "GET api/v0/settings",
    "GET *",
    "GET http://vote.example/api/v0/shutdown",
    "GET http://127.0.0.1:10080/api/v0/shutdown",
    # Ids that are none, or more of them than may be asked for.
    f"GET /api/v0/account/{KEY.upper()}",
    f"GET /api/v0/account/{KEY}0",
    f"GET /api/v0/account/{KEY}/../../shutdown",
    f"GET /api/v0/block/{HASH[1:]}",
    f"GET /api/v0/block/{HASH}?count=1",
    f"GET {STATUSES}",
    f"GET {STATUSES}{HASH},",
    f"GET {STATUSES}{HASH}&fragment_ids={HASH}",
    f"GET {STATUSES}{','.join([HASH] * 101)}",
    "GET /api/v1/fragments/statuses",
    # Methods that a route is not for.
    "GET /api/v1/fragments",
    "GET /api/v0/message",
    "POST /api/v0/settings",
    f"POST /api/v0/account/{KEY}",
    "HEAD /api/v0/settings",
    "PUT /api/v1/fragments",
    "DELETE /api/v1/fragments",
    "PATCH /api/v1/fragments",
    "TRACE /api/v0/settings",
    "CONNECT /api/v0/settings",
    "CONNECT 127.0.0.1:10080",
    "post /api/v1/fragments",
    "SHUTDOWN /api/v0/settings",
    "OPTIONS /api/v0/shutdown",
    "OPTIONS *",
]


@pytest_asyncio.fixture
async def node() -> AsyncIterator[Recorder]:
    async with recording() as recorder:
        yield recorder


@pytest_asyncio.fixture
async def gateway(node: Recorder) -> AsyncIterator[Gateway]:
    async with gateway_before(node.port) as gateway:
        yield gateway


async def test_the_routes_of_voting_reach_the_node_as_they_were_sent(gateway: Gateway, node: Recorder) -> None:
    for request in PASSED:
        assert await gateway.status(f"{request} HTTP/1.1") == 200, request
    assert node.seen == PASSED


async def test_nothing_else_reaches_the_node(gateway: Gateway, node: Recorder) -> None:
    refused = [f"{method} {route}" for route in OTHER_ROUTES for method in ("GET", "POST", "HEAD")] + TRICKS
    for request in refused:
        assert await gateway.status(f"{request} HTTP/1.1") in {400, 404, 405, 414}, request
    assert node.seen == []


async def test_no_request_hides_in_another(gateway: Gateway, node: Recorder) -> None:
    hidden = b"GET /api/v0/shutdown HTTP/1.1\r\nHost: node\r\n\r\n"
    body = b"0\r\n\r\n" + hidden
    for headers in (
        b"Content-Length: %d\r\nTransfer-Encoding: chunked" % len(body),
        b"Transfer-Encoding: chunked\r\nContent-Length: %d" % len(body),
        b"Transfer-Encoding: xchunked\r\nContent-Length: 5",
        b"Content-Length: 5\r\nContent-Length: %d" % len(body),
        b"Content-Length: +5",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: %d" % len(body),
    ):
        request = b"POST /api/v1/fragments HTTP/1.1\r\nHost: vote.example\r\n%s\r\n\r\n%s" % (headers, body)
        await gateway.send(request + b"GET / HTTP/1.0\r\n\r\n")
    assert set(node.seen) <= {"POST /api/v1/fragments"}
    assert all("upgrade" not in headers for headers in node.headers)


async def test_browsers_of_any_origin_may_ask_and_hear_refusals_too(gateway: Gateway, node: Recorder) -> None:
    origin = {"Origin": "https://wallet.example"}
    async with gateway.client() as client:
        preflight = await client.options("/v1/fragments", headers=origin | {"Access-Control-Request-Method": "POST"})
        assert (preflight.status_code, node.seen) == (204, [])
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["access-control-allow-headers"] == "Content-Type"
        for path in ("/v0/settings", "/v0/vote/active/plans", f"/v0/block/{HASH}", "/v0/shutdown"):
            answer = await client.get(path, headers=origin)
            assert answer.headers.get_list("access-control-allow-origin") == ["*"], path
        large = await client.post("/v1/fragments", content=bytes(64 * 1024 + 1), headers=origin)
        assert (large.status_code, large.headers["access-control-allow-origin"]) == (413, "*")


async def test_a_batch_is_passed_on_whole_and_a_larger_body_is_refused(gateway: Gateway, node: Recorder) -> None:
    batch = bytes(range(256)) * 256
    async with gateway.client() as client:
        assert (await client.post("/v1/fragments", content=batch)).status_code == 200
        assert (await client.post("/v1/fragments", content=batch + b"!")).status_code == 413
    assert node.bodies == [batch]


async def statuses(gateway: Gateway, request: str, times: int) -> list[int]:
    """The statuses of the same request, sent so often in one go that no slow machine makes it few a second."""
    one = f"{request} HTTP/1.1\r\nHost: vote.example\r\nContent-Length: 0\r\n"
    answers = await gateway.send((f"{one}\r\n" * (times - 1) + f"{one}Connection: close\r\n\r\n").encode())
    return [int(status) for status in re.findall(rb"^HTTP/1.1 (\d+)", answers, re.MULTILINE)]


@pytest.mark.parametrize(("request_", "burst"), [("POST /api/v1/fragments", 20), (f"GET /api/v0/account/{KEY}", 60)])
async def test_one_address_may_do_only_so_much(request_: str, burst: int) -> None:
    async with gateway_before(free_port()) as gateway:
        answered = await statuses(gateway, request_, 400)
        assert (len(answered), set(answered)) == (400, {502, 429})  # nobody is behind it
        assert answered[:burst] == [502] * burst
        others = await statuses(gateway, "GET /api/v0/settings" if "POST" in request_ else "POST /api/v0/message", 10)
        assert others == [502] * 10


async def test_a_block_is_asked_of_the_node_once(gateway: Gateway, node: Recorder) -> None:
    async with gateway.client() as client:
        for _ in range(3):
            assert (await client.get(f"/v0/block/{HASH}")).content == b"answer"
        assert (await client.get(f"/v0/block/{KEY}")).content == b"answer"
    assert node.seen == [f"GET /api/v0/block/{HASH}", f"GET /api/v0/block/{KEY}"]


async def test_no_log_says_who_asked_about_which_account(gateway: Gateway) -> None:
    async with gateway.client() as client, gateway_before(free_port()) as alone, alone.client() as unanswered:
        await client.get(f"/v0/account/{KEY}")
        await client.get(f"/v0/shutdown?{KEY}")
        await unanswered.get(f"/v0/account/{KEY}")
        assert '"route":"account","status":200' in gateway.log
        assert '"route":"","status":404' in gateway.log
        assert '"route":"account","status":502' in alone.log
        said = "".join((each.directory / "stderr").read_text() + each.log for each in (gateway, alone))
    assert KEY not in said
    assert "client" not in said
