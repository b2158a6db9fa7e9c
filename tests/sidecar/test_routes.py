"""What each route answers, and to whom."""

from datetime import UTC, datetime
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from node_fsm.core.conditions import Condition, ConditionType
from node_fsm.core.phases import NODE_MUST_RUN, Phase, Role
from node_fsm.core.tally_progress import MemberProgress, TallyProgress
from node_fsm.metrics import Metrics
from node_fsm.sidecar.app import create_app, is_loopback
from tests.sidecar.states import RUNNING, SINCE, Source

NOW = 1010.0
TICK_LIMIT = 60.0


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def registry() -> CollectorRegistry:
    return Metrics(Role.LEADER0).registry


def client(
    source: Source, registry: CollectorRegistry, peer: str = "127.0.0.1", *, expose_state: bool = False
) -> AsyncClient:
    app = create_app(source, registry, tick_limit=TICK_LIMIT, expose_state=expose_state, monotonic=lambda: NOW)
    return AsyncClient(transport=ASGITransport(app, client=(peer, 50000)), base_url="http://localhost")


@pytest.mark.parametrize("path", ["/heartbeat", "/health/live", "/health/ready", "/metrics", "/state"])
async def test_every_route_answers_get_and_head_and_nothing_else(
    source: Source, registry: CollectorRegistry, path: str
) -> None:
    async with client(source, registry) as http:
        assert (await http.get(path)).status_code == 200
        assert (await http.head(path)).status_code == 200
        for method in ("POST", "PUT", "DELETE"):
            assert (await http.request(method, path)).status_code == 405


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/"])
async def test_there_is_nothing_else(source: Source, registry: CollectorRegistry, path: str) -> None:
    async with client(source, registry) as http:
        assert (await http.get(path)).status_code == 404


async def test_the_heartbeat_depends_on_nothing(source: Source, registry: CollectorRegistry) -> None:
    source.change(last_tick=0.0, node_problems=("gone",))
    async with client(source, registry, "203.0.113.5") as http:
        response = await http.get("/heartbeat")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "reasons": []})


@pytest.mark.parametrize(("age", "status"), [(0.0, 200), (TICK_LIMIT, 200), (TICK_LIMIT + 1, 503)])
async def test_live_is_an_engine_that_looked_lately(
    source: Source, registry: CollectorRegistry, age: float, status: int
) -> None:
    source.change(last_tick=NOW - age)
    async with client(source, registry) as http:
        response = await http.get("/health/live")
    assert response.status_code == status
    if status == 503:
        assert response.json() == {
            "status": "failing",
            "reasons": ["the engine last looked 61 s ago, the limit is 60 s"],
        }


@pytest.mark.parametrize("phase", Phase)
async def test_ready_is_a_node_that_is_ready_where_the_phase_needs_one(
    source: Source, registry: CollectorRegistry, phase: Phase
) -> None:
    source.change(phase=phase, node_problems=("the node bootstraps", "no peer"))
    async with client(source, registry) as http:
        response = await http.get("/health/ready")
        assert response.status_code == (503 if phase in NODE_MUST_RUN else 200)
        assert response.json()["reasons"] == (["the node bootstraps", "no peer"] if phase in NODE_MUST_RUN else [])
        source.change(node_problems=())
        assert (await http.get("/health/ready")).json() == {"status": "ok", "reasons": []}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize(
    "condition",
    [
        *("work_failing", "program_unusable", "clock_wrong", "archive_unusable"),
        *("database_unavailable", "storage_unreadable"),
    ],
)
async def test_ready_is_a_service_that_is_able(
    source: Source, registry: CollectorRegistry, phase: Phase, condition: str
) -> None:
    """But while people vote the node is enough: a database that is away must not take it from them."""
    source.change(phase=phase, conditions=(Condition(ConditionType(condition), "Why", "because", SINCE),))
    async with client(source, registry) as http:
        reasons = (await http.get("/health/ready")).json()["reasons"]
        assert reasons == ([] if phase is Phase.RUNNING else [f"{condition}: because"])
        source.change(conditions=RUNNING.conditions)
        assert (await http.get("/health/ready")).status_code == 200


async def test_a_service_that_never_read_the_database_is_not_ready(source: Source, registry: CollectorRegistry) -> None:
    source.change(phase=Phase.WAITING, database_known=False)
    async with client(source, registry) as http:
        response = await http.get("/health/ready")
        assert (await http.get("/health/live")).status_code == 200
    assert response.status_code == 503
    assert response.json()["reasons"] == ["the database has not been read since the start"]


async def test_state_has_exactly_the_promised_fields(source: Source, registry: CollectorRegistry) -> None:
    async with client(source, registry) as http:
        response = await http.get("/state")
    assert response.json() == {
        "phase": "Running",
        "since": "2026-03-01T11:00:00Z",
        "role": "leader0",
        "hostname": "leader0",
        "election": "fund9",
        "block0_hash": "ab" * 32,
        "next_deadline": {"name": "voting_end", "at": "2026-03-08T12:00:00Z", "election": "fund9"},
        "conditions": [
            {
                "type": "spec_drift",
                "status": True,
                "reason": "TimesChanged",
                "message": "voting_end differs; put it back",
                "since": "2026-03-01T11:00:00Z",
            }
        ],
        "last_error": None,
        "private_tally": None,
    }


async def test_state_says_how_far_private_votes_are_opened(source: Source, registry: CollectorRegistry) -> None:
    until = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
    members = (MemberProgress(0, "key of 0", plans=2), MemberProgress(1, "key of 1", plans=1))
    source.change(tally=TallyProgress("ab" * 32, 2, 1, members, until), seconds_left=90.04)
    async with client(source, registry) as http:
        body = (await http.get("/state")).json()
    assert body["private_tally"] == {
        "plans": 2,
        "plans_decrypted": 1,
        "members": [
            {"index": 0, "public_key": "key of 0", "posted_plans": 2},
            {"index": 1, "public_key": "key of 1", "posted_plans": 1},
        ],
        "awaited": [1],
        "shares_until": "2026-03-09T12:00:00Z",
        "seconds_left": 90.0,
    }


async def test_state_of_a_waiting_service(source: Source, registry: CollectorRegistry) -> None:
    nothing: dict[str, Any] = {"election": None, "block0_hash": None, "next_deadline": None}
    source.change(phase=Phase.WAITING, conditions=(), last_error="DatabaseUnavailable: no answer", **nothing)
    async with client(source, registry) as http:
        body = (await http.get("/state")).json()
    assert body == body | nothing | {
        "phase": "Waiting",
        "conditions": [],
        "last_error": "DatabaseUnavailable: no answer",
    }


async def test_no_password_leaves_by_an_answer(source: Source, registry: CollectorRegistry) -> None:
    leak = "cannot reach postgresql://fsm:hidden@db/e with ed25519_sk1hidden"
    (held,) = RUNNING.conditions
    source.change(last_error=leak, node_problems=(leak,), conditions=(type(held)(held.type, held.reason, leak, SINCE),))
    async with client(source, registry) as http:
        for path in ("/state", "/health/ready"):
            text = (await http.get(path)).text
            assert "cannot reach postgresql://fsm:***@db/e" in text
            assert "hidden" not in text


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.0.0.6", False),
        ("::ffff:127.0.0.6", False),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.7", False),
        ("::ffff:10.0.0.7", False),
        ("2001:db8::1", False),
        ("localhost", False),
    ],
)
async def test_state_is_for_loopback_clients(
    source: Source, registry: CollectorRegistry, peer: str, allowed: bool
) -> None:
    assert is_loopback(peer) is allowed
    async with client(source, registry, peer) as http:
        response = await http.get("/state")
        assert response.status_code == (200 if allowed else 403)
        if not allowed:
            assert "NODE_FSM_EXPOSE_STATE=true" in response.json()["detail"]
            assert "fund9" not in response.text
    async with client(source, registry, peer, expose_state=True) as http:
        assert (await http.get("/state")).status_code == 200


@pytest.mark.parametrize("name", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "fsm.localhost"])
async def test_a_loopback_client_asks_by_a_name_that_is_nobody_elses(
    source: Source, registry: CollectorRegistry, name: str
) -> None:
    async with client(source, registry) as http:
        assert (await http.get("/state", headers={"Host": name})).status_code == 200


@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"]
)
async def test_another_sites_name_that_leads_here_opens_nothing(
    source: Source, registry: CollectorRegistry, name: str
) -> None:
    """A browser lets a site's scripts read what is at the site's name, wherever that leads by now."""
    async with client(source, registry) as http:
        response = await http.get("/state", headers={"Host": name})
        assert response.status_code == 403
        assert "localhost" in response.json()["detail"]
        assert (await http.get("/heartbeat", headers={"Host": name})).status_code == 200
    async with client(source, registry, "10.0.0.7", expose_state=True) as http:
        assert (await http.get("/state", headers={"Host": name})).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "x-real-ip"])
async def test_a_client_does_not_become_local_by_saying_so(
    source: Source, registry: CollectorRegistry, header: str
) -> None:
    async with client(source, registry, "10.0.0.7") as http:
        assert (await http.get("/state", headers={header: "127.0.0.1"})).status_code == 403


async def test_a_proxy_on_this_machine_does_not_make_its_clients_local(
    source: Source, registry: CollectorRegistry
) -> None:
    async with client(source, registry) as http:
        assert (await http.get("/state", headers={"X-Forwarded-For": "203.0.113.5"})).status_code == 403


async def test_metrics_are_those_of_the_service_and_of_http(source: Source, registry: CollectorRegistry) -> None:
    async with client(source, registry) as http:
        for path in ("/state", "/heartbeat", "/health/live", "/health/ready", "/metrics", "/no/such/path"):
            await http.get(path)
        await http.request("BREW", "/another")
        response = await http.get("/metrics")
        openmetrics = await http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert response.headers["content-type"].startswith("text/plain")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    assert "node_fsm_phase" in families
    requests = {
        (sample.labels["handler"], sample.labels["status"]): sample.value
        for sample in families["http_requests"].samples
        if sample.name == "http_requests_total"
    }
    assert requests == {("/state", "2xx"): 1, ("none", "4xx"): 2}
