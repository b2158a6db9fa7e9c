"""What leader 0 does about edits, cancellations and lost rows while its chain runs."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.steps.adopt import adopt_block0
from node_fsm.steps.edits import SpecificationWatch
from tests.phases.small_election import ID, VOTING_END, edited
from tests.phases.world import World
from tests.support.memory_database import DATABASE_AWAY


class Followed:
    """A world whose chain is watched."""

    def __init__(self, world: World, watch: SpecificationWatch) -> None:
        self.world = world
        self.watch = watch

    @property
    def drift(self) -> str | None:
        return self.world.condition(ConditionType.SPEC_DRIFT)

    @property
    def is_withdrawn(self) -> bool:
        return self.world.hash in self.world.database.withdrawn

    async def follow(self) -> None:
        """Look, and follow."""
        await self.world.look()
        self.world.ctx.mailbox.take_database_change()
        await self.watch.follow(self.world.ctx)


async def followed(world: World) -> Followed:
    await world.publish()
    chain, _ = await adopt_block0(world.ctx)
    world.database.calls.clear()
    world.jcli.calls.clear()
    return Followed(world, SpecificationWatch(chain))


@pytest.fixture
async def cold(new_world: Callable[..., World]) -> Followed:
    """Hot reload is off."""
    return await followed(new_world())


@pytest.fixture
async def hot(new_world: Callable[..., World]) -> Followed:
    """Hot reload is on."""
    return await followed(new_world(hot_reload=True))


def edit(world: World) -> None:
    spec = world.row.spec
    world.row.edit(fingerprint="1:b", objectives=edited(spec), voting_end=spec.voting_start + timedelta(seconds=20))


def edit_badly(world: World) -> None:
    world.row.edit(fingerprint="1:c", voting_end=world.row.spec.voting_start - timedelta(seconds=1))


async def test_nothing_is_done_while_nothing_changes(hot: Followed) -> None:
    for _ in range(3):
        await hot.follow()
    assert set(hot.world.database.calls) == {"overview", "publication"}
    assert hot.world.database.calls["publication"] == 1
    assert list(hot.world.ctx.conditions) == []
    assert not hot.world.ctx.mailbox.take_database_change()


@pytest.mark.parametrize("hot_reload", [False, True])
async def test_a_cancelled_election_loses_its_block_0(new_world: Callable[..., World], hot_reload: bool) -> None:
    watched = await followed(new_world(hot_reload=hot_reload))
    watched.world.row.cancelled = True
    await watched.follow()
    assert watched.is_withdrawn
    assert watched.world.row.block0 is None
    assert watched.world.ctx.mailbox.take_database_change(), "so that the engine reads it at once"
    await watched.follow()
    assert watched.world.database.calls["withdraw_block0"] == 1
    assert watched.world.jcli.calls["genesis_encode"] == 0, "nothing has to be built for that"


async def test_a_withdrawal_whose_answer_is_lost(cold: Followed) -> None:
    cold.world.row.cancelled = True
    cold.world.database.lost["withdraw_block0"] = deque([DATABASE_AWAY])
    with pytest.raises(TemporaryError):
        await cold.follow()
    assert cold.is_withdrawn
    await cold.follow()
    assert cold.world.database.calls["withdraw_block0"] == 1


async def test_an_edit_without_hot_reload_is_only_told(cold: Followed) -> None:
    edit(cold.world)
    await cold.follow()
    assert cold.drift == "HotReloadOff"
    message = cold.world.message(ConditionType.SPEC_DRIFT)
    assert all(text in message for text in ("first", "objectives", "node-fsm election cancel"))
    assert not cold.is_withdrawn
    assert cold.world.jcli.calls["genesis_encode"] == 0
    cold.world.row.edit(fingerprint="1:a")  # undone
    await cold.follow()
    assert cold.drift is None


async def test_an_edit_with_hot_reload_gives_the_chain_up(hot: Followed) -> None:
    edit(hot.world)
    await hot.follow()
    assert hot.is_withdrawn
    assert hot.drift is None
    assert hot.world.ctx.mailbox.take_database_change()
    assert hot.world.jcli.calls["genesis_encode"] == 1
    assert [chain.block0_hash for chain in hot.world.ctx.workspace.chains()] == [hot.world.hash]
    assert [path.name for path in hot.world.chain.path.parent.iterdir()] == [hot.world.hash], "the dry build is gone"


async def test_an_edit_of_which_nothing_can_be_built_is_tried_once(hot: Followed) -> None:
    edit_badly(hot.world)
    for _ in range(3):
        await hot.follow()
    assert hot.drift == "EditCannotBeBuilt"
    assert "election.voting_end" in hot.world.message(ConditionType.SPEC_DRIFT)
    assert not hot.is_withdrawn
    assert hot.world.database.calls["specification"] == 1
    assert hot.world.database.calls["drift"] == 3
    edit(hot.world)
    await hot.follow()
    assert hot.is_withdrawn


async def test_what_jcli_refuses_cannot_be_built(hot: Followed) -> None:
    hot.world.jcli.failures["genesis_encode"] = PermanentError("CommandFailed", "jcli says no")
    edit(hot.world)
    await hot.follow()
    assert hot.drift == "EditCannotBeBuilt"
    assert "jcli says no" in hot.world.message(ConditionType.SPEC_DRIFT)
    assert [path.name for path in hot.world.chain.path.parent.iterdir()] == [hot.world.hash]


async def test_an_edit_for_which_no_time_is_left_does_not_end_the_chain(hot: Followed) -> None:
    """A chain withdrawn now would have no successor: its voting would be over before it began."""
    edit(hot.world)
    hot.world.clock.advance(seconds=VOTING_END)
    await hot.follow()
    assert hot.drift == "EditCannotBeBuilt"
    assert "voting_end" in hot.world.message(ConditionType.SPEC_DRIFT)
    assert not hot.is_withdrawn


async def test_a_build_that_was_only_cut_short_is_tried_again(hot: Followed) -> None:
    edit(hot.world)
    hot.world.jcli.failures["genesis_encode"] = TemporaryError("CommandTimeout", "jcli did not end")
    with pytest.raises(TemporaryError):
        await hot.follow()
    assert not hot.is_withdrawn
    hot.world.jcli.failures.clear()
    await hot.follow()
    assert hot.is_withdrawn


async def test_a_drift_is_looked_into_once_for_each_reading(cold: Followed) -> None:
    edit(cold.world)
    await cold.follow()
    for _ in range(5):  # as in every slot
        await cold.watch.follow(cold.world.ctx)
    assert cold.world.database.calls["drift"] == 1
    await cold.follow()
    assert cold.world.database.calls["drift"] == 2


async def test_a_reading_that_could_not_be_followed_is_followed_again(cold: Followed) -> None:
    edit(cold.world)
    cold.world.database.refused["drift"] = deque([DATABASE_AWAY])
    with pytest.raises(TemporaryError):
        await cold.follow()
    await cold.watch.follow(cold.world.ctx)
    assert cold.drift == "HotReloadOff"


@pytest.mark.parametrize("fingerprint", ["2:b", "0:a", "2:a"])
async def test_another_version_of_the_fingerprint_is_no_change(hot: Followed, fingerprint: str) -> None:
    hot.world.row.edit(fingerprint=fingerprint)
    await hot.follow()
    assert hot.drift is None
    assert not hot.is_withdrawn


async def test_a_block_0_that_vanished_is_put_back(cold: Followed) -> None:
    before = cold.world.row.block0
    cold.world.row.block0 = None
    await cold.follow()
    assert cold.world.row.block0 == before
    assert cold.world.ctx.mailbox.take_database_change()
    assert not cold.is_withdrawn


async def test_a_block_0_that_vanished_from_an_edited_row_is_put_back_too(hot: Followed) -> None:
    before = hot.world.row.block0
    edit(hot.world)
    hot.world.row.block0 = None
    await hot.follow()
    assert hot.world.row.block0 == before


async def test_a_database_of_before_the_publication_is_given_it_again(cold: Followed) -> None:
    """It was restored or failed over to an older copy: block 0, plans and specification are gone at once."""
    before, database = cold.world.row.block0, cold.world.database
    published, specified = dict(database.published), dict(database.specified)
    await cold.follow()
    database.forget(ID)
    await cold.follow()
    assert cold.world.row.block0 is not None
    assert before is not None
    assert cold.world.row.block0[1] == before[1]
    assert [of.plans for of in database.published.values()] == [of.plans for of in published.values()]
    assert database.specified == specified
    assert database.journalled[-1].event == "block0_restored"
    assert cold.drift is None


async def test_an_election_cancelled_in_a_database_of_before_the_publication_ends(cold: Followed) -> None:
    await cold.follow()
    cold.world.database.forget(ID)
    cold.world.row.cancelled = True
    await cold.follow()
    assert cold.is_withdrawn
    assert cold.world.row.block0 is None
    assert cold.world.hash in cold.world.database.published, "votes of that chain do not count again in another one"
    assert [entry.event for entry in cold.world.database.journalled[-2:]] == ["block0_restored", "block0_withdrawn"]


async def test_without_what_was_published_it_says_what_to_restore(cold: Followed) -> None:
    cold.world.database.forget(ID)
    with pytest.raises(PermanentError, match="vote_plan_proposal") as caught:
        await cold.follow()
    assert caught.value.reason == "PublicationLost"


async def test_a_block_0_that_was_withdrawn_is_not_put_back(cold: Followed) -> None:
    cold.world.row.cancelled = True
    await cold.follow()
    cold.world.row.cancelled = False
    await cold.follow()
    assert cold.world.row.block0 is None


async def test_another_block_0_is_left_there_and_the_chain_runs_on(cold: Followed) -> None:
    assert cold.world.row.block0 is not None
    ours, data = cold.world.row.block0
    cold.world.row.block0 = (replace(ours, hash="cd" * 32), data)
    await cold.follow()
    assert cold.world.row.block0[0].hash == "cd" * 32
    assert "withdraw_block0" not in cold.world.database.calls


async def test_nothing_is_done_while_the_database_is_away(hot: Followed) -> None:
    edit(hot.world)
    hot.world.row.cancelled = True
    hot.world.database.failure = DATABASE_AWAY
    await hot.follow()
    hot.world.database.failure = None
    assert not hot.is_withdrawn
    await hot.follow()
    assert hot.is_withdrawn


async def test_a_row_that_is_not_listed_changes_nothing(cold: Followed) -> None:
    del cold.world.database.rows[ID]
    await cold.follow()
    assert not cold.is_withdrawn


@pytest.mark.parametrize("what", ["cancelled", "edited", "vanished"])
async def test_nothing_is_published_without_the_lease(hot: Followed, what: str) -> None:
    lease, hot.world.ctx.lease = hot.world.ctx.lease, None
    if what == "cancelled":
        hot.world.row.cancelled = True
    elif what == "edited":
        edit(hot.world)
    else:
        hot.world.row.block0 = None
    with pytest.raises(TemporaryError, match="LeaseNotHeld"):
        await hot.follow()
    assert not hot.is_withdrawn
    assert hot.world.jcli.calls["genesis_encode"] == 0, "building is dear, and for nothing without the lease"
    hot.world.ctx.lease = lease
    await hot.watch.follow(hot.world.ctx)
    assert hot.is_withdrawn == (what != "vanished")
    assert (hot.world.row.block0 is not None) == (what == "vanished")


async def test_a_lease_that_was_lost_without_noticing_publishes_nothing(cold: Followed) -> None:
    assert cold.world.database.lease is not None
    cold.world.database.lease = replace(cold.world.database.lease, generation=2)
    cold.world.row.cancelled = True
    with pytest.raises(PermanentError, match="PublicationRefused"):
        await cold.follow()
    assert not cold.is_withdrawn
