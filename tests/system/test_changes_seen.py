"""A change in the database is seen at once by its notification, and by the next scan when that is lost."""

import time
from datetime import datetime, timedelta

import pytest

from tests.support.election import DrawnElection
from tests.support.service_process import ServiceProcess
from tests.system.conftest import HOSTNAME, Operator


@pytest.mark.parametrize(("notified", "scan", "limit"), [(True, 30.0, 1.0), (False, 2.0, 3.0)])
def test_a_moved_voting_start_shows_in_state(
    waiting_operator: Operator, *, notified: bool, scan: float, limit: float
) -> None:
    operator = waiting_operator
    operator.environment["NODE_FSM_RESCAN_SECONDS"] = str(scan)
    service = ServiceProcess(operator.environment, operator.directory / "service.log")
    election = DrawnElection("far", [])
    election.schedule(lead=3600, voting=600, tallying=600)
    operator.sql("INSERT INTO jorm_nodes (hostname) VALUES ($1)", HOSTNAME)
    operator.sql(
        "INSERT INTO election (name, voting_start, voting_end, tallying_end, committee_threshold)"
        " VALUES ('far', $1, $2, $3, 0)",
        *(election.voting_start, election.voting_end, election.tallying_end),
    )
    if not notified:
        operator.sql("ALTER TABLE election DISABLE TRIGGER USER")
    try:
        service.start()
        before = service.wait_until(lambda state: state["next_deadline"] is not None, 30)["next_deadline"]
        operator.sql("UPDATE election SET voting_start = voting_start + interval '1 minute'")
        changed = time.monotonic()
        state = service.wait_until(lambda state: state["next_deadline"] != before, limit + 5)
        assert time.monotonic() - changed < limit
        moved = datetime.fromisoformat(state["next_deadline"]["at"]) - datetime.fromisoformat(before["at"])
        assert moved == timedelta(minutes=1)
    finally:
        service.end()
