"""BuildingVotePlan and GeneratingBlock0: one block 0, of what is specified now, published once."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from node_fsm.chain.block0 import summarise
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.events import Event
from states.base import PhaseState
from states.building_vote_plan import BuildingVotePlan
from states.fetching_key import FetchingKey
from states.generating_block0 import GeneratingBlock0
from tests.phases.small_election import ID, VOTING_START, edited
from tests.phases.world import World
from tests.support.fakes import START
from tests.support.memory_database import DATABASE_AWAY


@pytest.fixture
async def keyed(world: World) -> World:
    """FetchingKey is over."""
    await world.begin()
    await world.finish(FetchingKey())
    return world


@pytest.fixture
async def built(keyed: World) -> World:
    """BuildingVotePlan is over."""
    await keyed.finish(BuildingVotePlan())
    return keyed


async def refused(world: World, state: PhaseState) -> ServiceError:
    with pytest.raises(ServiceError) as refusal:
        await world.finish(state)
    return refusal.value


def draft_files(world: World) -> dict[str, bytes]:
    draft = world.ctx.workspace.draft(ID).path
    return {path.relative_to(draft).as_posix(): path.read_bytes() for path in draft.rglob("*") if path.is_file()}


async def test_plans_are_built_and_signed(keyed: World) -> None:
    decision = await keyed.finish(BuildingVotePlan())
    assert decision.event is Event.VOTE_PLAN_BUILT
    assert "1 vote plans with 2 proposals" in decision.why
    assert draft_files(keyed).keys() == {"plans/plan-0.json", "plans/plan-0.cert", "plans/plan-0.signed"}
    assert keyed.database.published == {}


async def test_nothing_is_kept_of_what_was_checked_of_elections_that_are_over(keyed: World) -> None:
    keyed.ctx.checked[ID + 1] = "an election of before", PermanentError("SpecificationInvalid", "no voters")
    await keyed.finish(BuildingVotePlan())
    assert keyed.ctx.checked.keys() == {ID}


async def test_building_again_makes_the_same_bytes(keyed: World) -> None:
    await keyed.finish(BuildingVotePlan())
    first = draft_files(keyed)
    (keyed.ctx.workspace.draft(ID).path / "plans" / "plan-7.json").write_text("of an earlier attempt")
    await keyed.finish(BuildingVotePlan())
    assert draft_files(keyed) == first


async def test_what_is_specified_wrongly_is_told_before_anything_is_made(keyed: World) -> None:
    keyed.row.edit(voting_end=keyed.row.spec.voting_end + timedelta(microseconds=1))
    failure = await refused(keyed, BuildingVotePlan())
    assert failure.reason == "SpecificationInvalid"
    assert keyed.jcli.calls["new_vote_plan"] == 0


@pytest.mark.parametrize("state", [BuildingVotePlan, GeneratingBlock0])
async def test_an_edit_meanwhile_starts_over(built: World, state: type[PhaseState]) -> None:
    built.row.edit(fingerprint="1:b", objectives=edited(built.row.spec))
    built.ctx.mailbox.take_database_change()
    failure = await refused(built, state())
    assert (type(failure), failure.reason) == (TemporaryError, "ElectionChanged")
    assert built.ctx.mailbox.take_database_change(), "so that the engine reads it at once"
    assert built.database.published == {}


async def test_an_edit_of_names_only_does_not(built: World) -> None:
    built.row.edit(name="another name")
    decision = await built.finish(GeneratingBlock0())
    assert decision.event is Event.BLOCK0_PUBLISHED
    assert built.row.block0 is not None
    assert built.row.block0[0].revision == 2


async def test_block_0_is_published_with_its_plans(built: World) -> None:
    decision = await built.finish(GeneratingBlock0())
    assert decision.event is Event.BLOCK0_PUBLISHED
    assert built.row.block0 is not None
    publication, data = built.row.block0
    assert data == built.ctx.workspace.draft(ID).block0.read_bytes()
    block0 = built.ctx.block0_in_work()
    assert (block0.hash, block0.size, block0.fingerprint) == (publication.hash, len(data), "1:a")
    assert (publication.published_by, publication.generation) == ("leader0", 1)
    assert block0.dates.clock.start == START
    assert block0.dates.vote_start_time == START + timedelta(seconds=VOTING_START)
    with built.ctx.workspace.draft(ID).block0.open("rb") as stream:
        summary = summarise(stream)
    assert summary.hash == block0.hash
    assert [plan.id for plan in summary.vote_plans] == [plan.id for plan in publication.plans]
    assert summary.leader_ids == tuple(node.leader_id for node in built.database.nodes[:2])
    assert built.ctx.mailbox.take_database_change()


async def test_it_is_the_same_block_0_in_another_life(built: World, tmp_path: Path) -> None:
    await built.finish(GeneratingBlock0())
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    other.clock.advance(seconds=VOTING_START + 10)  # however late
    await other.publish()
    assert other.hash == built.hash


async def test_without_the_lease_nothing_is_built(built: World) -> None:
    built.ctx.lease = None
    failure = await refused(built, GeneratingBlock0())
    assert (type(failure), failure.reason) == (TemporaryError, "LeaseNotHeld")
    assert built.jcli.calls["genesis_encode"] == 0


async def test_a_lease_that_was_lost_meanwhile_publishes_nothing(built: World) -> None:
    assert built.database.lease is not None
    built.database.lease = replace(built.database.lease, generation=2)
    failure = await refused(built, GeneratingBlock0())
    assert failure.reason == "PublicationRefused"
    assert built.row.block0 is None


async def test_a_revision_that_changed_during_the_publication_publishes_nothing(
    built: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = built.jcli.genesis_encode

    async def encode_slowly(genesis: Path, block0: Path) -> None:
        await encode(genesis, block0)
        built.row.edit(fingerprint="1:b")

    monkeypatch.setattr(built.jcli, "genesis_encode", encode_slowly)  # long enough for an edit
    failure = await refused(built, GeneratingBlock0())
    assert failure.reason == "PublicationRefused"
    assert built.row.block0 is None


async def test_a_block_0_of_an_earlier_life_is_adopted(published: World) -> None:
    block0 = published.ctx.block0_in_work()
    published.ctx.work = replace(published.ctx.election_in_work(), block0=None)
    published.ctx.workspace.new_draft(ID)
    calls = dict(published.jcli.calls)
    decision = await published.finish(GeneratingBlock0())
    assert decision.event is Event.BLOCK0_FOUND
    assert published.ctx.block0_in_work() == block0
    assert published.jcli.calls == calls, "nothing is built for that"


async def test_a_publication_whose_answer_was_lost_is_found(built: World) -> None:
    built.database.lost["publish_block0"] = deque([DATABASE_AWAY])
    await refused(built, GeneratingBlock0())
    decision = await built.finish(GeneratingBlock0())
    assert decision.event is Event.BLOCK0_FOUND
    assert built.database.calls["publish_block0"] == 1


async def test_a_publication_whose_answer_was_lost_is_found_also_after_an_edit(built: World) -> None:
    built.database.lost["publish_block0"] = deque([DATABASE_AWAY])
    await refused(built, GeneratingBlock0())
    built.row.edit(fingerprint="1:b", objectives=edited(built.row.spec))
    decision = await built.finish(GeneratingBlock0())
    assert decision.event is Event.BLOCK0_FOUND
    assert built.ctx.block0_in_work().fingerprint == "1:a"


async def test_what_jcli_refuses_is_for_a_person(built: World) -> None:
    built.jcli.failures["genesis_encode"] = PermanentError("CommandFailed", "jcli says no")
    assert (await refused(built, GeneratingBlock0())).message == "jcli says no"
    assert built.row.block0 is None


async def test_a_jcli_that_says_another_hash_is_not_trusted(built: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def another_hash(block0: Path) -> str:
        return "ab" * 32

    monkeypatch.setattr(built.jcli, "genesis_hash", another_hash)
    assert (await refused(built, GeneratingBlock0())).reason == "Block0Differs"
    assert built.row.block0 is None


async def test_several_groups_make_several_plans(new_world: Callable[..., World]) -> None:
    world = new_world(groups=3)
    await world.publish()
    assert [plan.voting_group for plan in world.plans] == ["group 0", "group 1", "group 2"]
    assert len({plan.token for plan in world.plans}) == 3
