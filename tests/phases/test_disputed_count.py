"""A disputed count is made anew once a majority of the leaders is back, as long as the chain takes tallies."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from node_fsm.core.decide import decide
from node_fsm.core.events import Event
from node_fsm.core.phases import Phase
from node_fsm.core.view import Decision
from states.archiving import Archiving
from states.tallying import Tallying
from tests.phases.small_election import row
from tests.phases.test_agreement import VOTES, WINDOW, since_voting
from tests.phases.test_archiving import manifest
from tests.phases.test_private_tally import posted as members_post
from tests.phases.world import World
from tests.support.fakes import START


class Disputed:
    """Leader 0 has counted its part, and posted that as disputed; it is still Tallying."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.task = asyncio.create_task(world.finish(Tallying()))

    @property
    def is_disputed(self) -> bool:
        return self.world.hash in self.world.database.disputes

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


@pytest.fixture
async def disputed(world: World) -> AsyncIterator[Disputed]:
    world.in_agreement = False
    await world.end_voting()
    world.database.statuses.clear()
    made = Disputed(world)
    await world.until(lambda: world.hash in world.database.posted)
    assert made.is_disputed
    yield made
    await made.stop()


async def test_it_stands_without_dispute_once_the_others_have_its_chain(disputed: Disputed) -> None:
    world = disputed.world
    world.in_agreement = True
    await disputed.task
    assert since_voting(world) < WINDOW / 2 + 20
    assert world.results[0].votes == VOTES
    assert not disputed.is_disputed
    await world.node.stop()
    await world.finish(Archiving())
    assert not any("disputed" in note for note in manifest(world)["notes"])


async def test_votes_are_counted_anew_on_the_chain_of_the_majority(disputed: Disputed) -> None:
    """Those of leader 0's part are on record then, and the account of the plans is that of the other chain."""
    world = disputed.world
    before = world.database.snapshots[world.hash]
    world.node.turn(60)
    world.in_agreement = True
    await disputed.task
    assert world.results[0].votes == ((0, 0, 0), (0, 0))
    assert world.results[0].on_chain
    assert not disputed.is_disputed
    assert world.database.snapshots[world.hash] != before
    assert sum(vote.weight for vote in await world.database.uncounted(world.hash)) == 11


async def test_a_chain_that_turns_is_counted_anew_also_without_a_majority(disputed: Disputed) -> None:
    """Otherwise results would stand of blocks that no archive has, and no archive could be made."""
    world = disputed.world
    world.node.turn(60)
    await disputed.task
    await is_what_the_chain_says(disputed)
    assert world.results[0].on_chain


async def test_so_it_is_when_it_turned_between_two_lives(disputed: Disputed) -> None:
    await disputed.stop()
    disputed.world.node.turn(60)
    await disputed.world.finish(Tallying())
    await is_what_the_chain_says(disputed)


async def test_so_it_is_in_the_last_moment(disputed: Disputed) -> None:
    """The node is heard of last when the chain takes no tally any more."""
    world = disputed.world
    await world.until(lambda: since_voting(world) > WINDOW - 2)
    world.node.turn(120)
    await disputed.task
    await is_what_the_chain_says(disputed)


async def is_what_the_chain_says(disputed: Disputed) -> None:
    """Nobody's vote; it is disputed, on record, and can be archived."""
    world = disputed.world
    assert world.results[0].votes == ((0, 0, 0), (0, 0))
    assert disputed.is_disputed
    assert sum(vote.weight for vote in await world.database.uncounted(world.hash)) == 11
    await world.node.stop()
    await world.finish(Archiving())
    assert any("the count is disputed" in note for note in manifest(world)["notes"])


async def test_a_majority_that_comes_while_shares_are_awaited_ends_the_dispute(new_world: Callable[..., World]) -> None:
    """The shares come after tallying_end, when nobody is waited for any more."""
    world = new_world(groups=2, private=1)
    world.in_agreement = False
    await world.end_voting()
    world.database.statuses.clear()

    async def others_first() -> None:
        await world.until(lambda: world.hash in world.database.snapshots)
        assert since_voting(world) < WINDOW
        world.in_agreement = True
        await world.until(lambda: since_voting(world) > WINDOW + 20)
        await members_post(world)

    async with asyncio.TaskGroup() as group:
        group.create_task(others_first())
        await world.finish(Tallying())
    assert len(world.results) == 2
    assert world.database.disputes == {}


async def test_what_a_person_confirmed_is_not_made_anew(disputed: Disputed) -> None:
    world = disputed.world
    world.database.confirmed.add(world.hash)
    world.node.turn(60)
    await disputed.task
    assert since_voting(world) < WINDOW / 2 + 10
    assert world.results[0].votes == VOTES


async def test_another_election_that_is_due_does_not_wait_for_missing_leaders(disputed: Disputed) -> None:
    world = disputed.world
    world.database.rows[2] = row(2, "second", later=(world.clock.now() - START).total_seconds())
    await disputed.task
    assert since_voting(world) < WINDOW / 2 + 10
    assert disputed.is_disputed


async def test_a_later_life_counts_anew_as_well(disputed: Disputed) -> None:
    world = disputed.world
    await disputed.stop()

    async def decided() -> Decision:
        await world.look()
        assert world.ctx.view is not None
        found = decide(Phase.WAITING, None, world.ctx.view, world.clock.now(), world.ctx.policy)
        assert found is not None
        return found

    assert (await decided()).event is Event.ELECTION_DUE, "it is not archived yet"
    world.in_agreement = True
    await world.finish(Tallying())
    assert not disputed.is_disputed
    assert (await decided()).event is Event.RESULTS_POSTED, "now it is"


async def test_one_that_stays_disputed_is_archived_as_that_when_the_chain_takes_no_tallies(disputed: Disputed) -> None:
    world = disputed.world
    await disputed.task
    assert WINDOW - 5 <= since_voting(world) < WINDOW + 10
    await world.finish(Tallying())
    assert disputed.is_disputed
    await world.node.stop()
    await world.finish(Archiving())
    assert any("the count is disputed: 1 of 2 leaders" in note for note in manifest(world)["notes"])
