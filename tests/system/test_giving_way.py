"""An election of which no block 0 can be made, beside one that can be run."""

from random import Random

from node_fsm_sandbox.election.draw import draw_voters
from node_fsm_sandbox.election.service_process import ServiceProcess

from tests.support.polling import HANGING
from tests.system.conftest import Operator, draw, undisturbed

TOO_HIGH = 10**9
"""A unit of voting power that no voter has."""


async def test_an_election_that_cannot_be_built_gives_way_and_mended_has_its_turn(
    operator: Operator, service: ServiceProcess
) -> None:
    operator.environment["NODE_FSM_RESCAN_SECONDS"] = "2"
    await operator.add_leader0()
    voters = draw_voters(Random(1), 4)
    outer = draw("outer", voters, lead=12, voting=400, tallying=200)
    inner = draw("inner", voters, lead=24, voting=12, tallying=30)
    for election in (outer, inner):
        operator.import_election(election)
    unit = await operator.sql("SELECT voting_power_unit FROM election WHERE name = 'outer'")
    await operator.sql("UPDATE election SET voting_power_unit = $1 WHERE name = 'outer'", TOO_HIGH)
    await service.start()
    condition = await service.wait_for_condition("election_invalid", HANGING)
    assert "outer" in condition.message
    assert "inner is not held up by that, and goes first" in condition.message
    await service.wait_for(HANGING, phase="Running", election="inner")
    await operator.sql("UPDATE election SET voting_power_unit = $1 WHERE name = 'outer'", unit)
    await service.wait_for(HANGING, phase="Running", election="outer")
    assert await operator.sql("SELECT count(*) FROM archive WHERE election_name = 'inner' AND kind = 'final'") == 1
    assert (await service.wait_until(undisturbed, HANGING)).election == "outer"
    assert await service.stop() == 0
