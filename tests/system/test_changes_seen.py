"""A change in the database is seen at once by its notification, and by the next scan when that is lost."""

from datetime import timedelta

import pytest
from node_fsm_sandbox.election.schedule import Times
from node_fsm_sandbox.election.service_process import ServiceProcess

from tests.support.polling import HANGING
from tests.system.conftest import Operator, shown


@pytest.mark.parametrize(("notified", "scan"), [(True, 600.0), (False, 2.0)])
async def test_a_moved_voting_start_shows_in_state(waiting_operator: Operator, *, notified: bool, scan: float) -> None:
    operator = waiting_operator
    operator.environment["NODE_FSM_RESCAN_SECONDS"] = str(scan)
    times = Times.soon(3600, voting=600, tallying=600)
    await operator.add_leader0()
    await operator.sql(
        "INSERT INTO election (name, voting_start, voting_end, tallying_end, committee_threshold)"
        " VALUES ('far', $1, $2, $3, 0)",
        *(times.voting_start, times.voting_end, times.tallying_end),
    )
    if not notified:
        await operator.sql("ALTER TABLE election DISABLE TRIGGER USER")
    log = operator.directory / "service.log"
    async with shown(ServiceProcess("leader0", operator.environment, log, operator.directory)) as service:
        await service.start()
        before = (await service.wait_until(lambda state: state.next_deadline is not None, HANGING)).next_deadline
        await operator.sql("UPDATE election SET voting_start = voting_start + interval '1 minute'")
        after = (await service.wait_until(lambda state: state.next_deadline != before, HANGING)).next_deadline
        assert before
        assert after
        assert after.at - before.at == timedelta(minutes=1)
        assert await service.stop() == 0
        assert await operator.sql("SELECT role FROM node_status WHERE stopped_at = updated_at") == "leader0"
