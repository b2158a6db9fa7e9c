"""A block has settled by this machine's clock or by the chain's: the former may be wrong."""

from datetime import timedelta

from node_fsm.steps.adopt import open_copy
from node_fsm.steps.settling import has_settled
from tests.phases.world import World


async def test_a_clock_behind_the_chain_does_not_hold_up_a_tally(world: World) -> None:
    chain = await world.run_chain()
    copy = await open_copy(chain)
    world.node.grow()
    await copy.advance(world.node.api)
    tip = copy.tip
    clock = world.ctx.block0_in_work().dates.clock
    world.clock.advance(seconds=(clock.time_at(tip.date) - world.clock.now()).total_seconds())
    assert not has_settled(world.ctx, copy, tip), "it is of this very moment"
    world.clock.advance(seconds=3)
    await copy.advance(world.node.api)
    assert has_settled(world.ctx, copy, tip)
    world.clock.advance(hours=-1)
    assert world.clock.now() < clock.time_at(tip.date) + timedelta(seconds=2)
    assert has_settled(world.ctx, copy, tip), "three blocks stand on it"
    assert not has_settled(world.ctx, copy, copy.tip)
