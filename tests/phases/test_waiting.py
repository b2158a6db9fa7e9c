"""Waiting: the next election is checked as soon as its row is there, and missed ones are journalled once."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from node_fsm.core.conditions import ConditionType
from node_fsm.core.current import current
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import CommitteeMember, VotingGroup
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.phases import Role
from states.waiting import Waiting
from tests.phases.small_election import ID, LEADER1, row
from tests.phases.world import KEY_URI, World
from tests.support.memory_database import DATABASE_AWAY
from tests.support.private_jcli import member_public_key, new_member_secret


def look_soon(world: World) -> None:
    """What a notification of the database does."""
    world.ctx.mailbox.database_changed()


async def test_a_good_election_is_not_complained_of(world: World) -> None:
    async with world.doing(Waiting()) as failures:
        await world.until(lambda: world.ctx.progressed)
        assert list(world.ctx.conditions) == []
    assert failures == []
    assert world.database.calls["specification"] > 0


async def test_a_bad_row_is_told_at_once_and_its_correction_too(world: World) -> None:
    end = world.row.spec.voting_end
    async with world.doing(Waiting()):
        world.row.edit(voting_end=end + timedelta(microseconds=1), committee=())
        await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) == "SpecificationInvalid", seconds=3)
        assert "election.voting_end" in world.message(ConditionType.ELECTION_INVALID)
        world.row.edit(voting_end=end)
        await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) is None, seconds=3)


async def test_a_private_election_whose_committee_has_no_members_is_told(world: World) -> None:
    spec = world.row.spec
    world.row.edit(objectives=(replace(spec.objectives[0], payload_type=PayloadType.PRIVATE),))
    async with world.doing(Waiting()):
        await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) is not None)
    assert world.condition(ConditionType.ELECTION_INVALID) == "SpecificationInvalid"


def make_private(world: World, power: int) -> None:
    """Have the election be a private one that two voters with all of *power* vote in."""
    spec = world.row.spec
    private = replace(spec.objectives[0], payload_type=PayloadType.PRIVATE)
    group = replace(spec.groups[0], tokens=power)
    member = CommitteeMember("ab" * 32, 0, member_public_key(new_member_secret()))
    world.row.edit(objectives=(private,), groups=(group,), committee=(member,), committee_threshold=1)


def forget_speed(world: World) -> None:
    """Nobody has asked yet how fast this machine decrypts."""
    world.ctx.decryption_speed = None


async def test_private_votes_that_would_take_too_long_to_decrypt_are_told(world: World) -> None:
    make_private(world, 10**18)
    async with world.doing(Waiting()):
        await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) == "SpecificationInvalid")
        assert "longer than the 600 s of NODE_FSM_MAX_DECRYPT_SECONDS" in world.message(ConditionType.ELECTION_INVALID)
        make_private(world, 10**6)
        await world.until(lambda: "DECRYPT" not in str(list(world.ctx.conditions)))


async def test_how_fast_votes_are_decrypted_is_measured_for_private_ones_and_kept(world: World, tmp_path: Path) -> None:
    forget_speed(world)
    async with world.doing(Waiting()):
        await world.until(lambda: world.ctx.progressed)
    assert not world.jcli.calls["decrypt_results"], "public votes need no decryption"
    make_private(world, 11)
    async with world.doing(Waiting()):
        await world.until(lambda: world.ctx.decryption_speed is not None)
    trials = world.jcli.calls["decrypt_results"]
    assert trials > 0

    again = World(tmp_path)
    forget_speed(again)
    make_private(again, 11)
    async with again.doing(Waiting()):
        await again.until(lambda: again.ctx.decryption_speed is not None)
        assert again.jcli.calls["decrypt_results"] == 0, "an earlier life has measured it"
        measured = again.ctx.decryption_speed
        assert measured
        assert measured == world.ctx.decryption_speed
        again.jcli.full_version = "another jcli"
        again.row.edit(voting_end=again.row.spec.voting_end + timedelta(seconds=1))
        await again.until(lambda: again.ctx.decryption_speed == replace(measured, jcli="another jcli"))
    assert again.jcli.calls["decrypt_results"] == trials


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000, b'{"jcli": 1}'])
async def test_a_damaged_measurement_is_made_again(world: World, content: bytes) -> None:
    forget_speed(world)
    world.ctx.workspace.decryption_speed.write_bytes(content)
    make_private(world, 11)
    async with world.doing(Waiting()):
        await world.until(lambda: world.ctx.decryption_speed is not None)
    assert world.jcli.calls["decrypt_results"] > 0


async def test_without_a_jcli_that_decrypts_a_private_election_waits(world: World) -> None:
    forget_speed(world)
    world.jcli.failures["decrypt_results"] = PermanentError("CommandFailed", "jcli ended with code 1")
    make_private(world, 11)
    async with world.doing(Waiting()):
        await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) == "CommandFailed")
        world.jcli.failures.clear()
        world.row.edit(voting_end=world.row.spec.voting_end + timedelta(seconds=1))
        await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) != "CommandFailed")
    assert world.ctx.workspace.decryption_speed.exists()


@pytest.mark.parametrize("what", ["node", "template"])
async def test_what_else_is_missing_is_told_too(world: World, what: str) -> None:
    if what == "node":
        world.database.nodes = []
    else:
        world.template.write_text("nonsense: true")
    async with world.doing(Waiting()) as failures:
        await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) is not None)
        assert (
            world.condition(ConditionType.ELECTION_INVALID)
            == {"node": "NodeUnknown", "template": "TemplateInvalid"}[what]
        )
    assert failures == []


async def test_what_looks_mistaken_is_told_as_a_doubt(world: World) -> None:
    groups = (*world.row.spec.groups, VotingGroup("nothing to vote on", voters=1, token_holders=1, tokens=1))
    async with world.doing(Waiting()):
        world.row.edit(groups=groups)
        await world.until(lambda: world.condition(ConditionType.ELECTION_DOUBTFUL) == "SpecificationDoubtful")
        assert all(text in world.message(ConditionType.ELECTION_DOUBTFUL) for text in ("first", "nothing to vote on"))
        world.row.edit(groups=groups[:1])
        await world.until(lambda: world.condition(ConditionType.ELECTION_DOUBTFUL) is None)


async def test_nothing_is_complained_of_when_there_is_no_election(world: World) -> None:
    world.row.edit(voting_end=world.row.spec.voting_end + timedelta(microseconds=1))
    async with world.doing(Waiting()):
        await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) is not None)
        world.row.cancelled = True
        await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) is None)


async def test_all_elections_to_come_are_checked(world: World) -> None:
    later = row(2, "second", later=3600)
    good = later.spec.voting_end
    later.edit(voting_end=good + timedelta(microseconds=1))
    world.database.rows[2] = later
    async with world.doing(Waiting()):
        await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) == "SpecificationInvalid")
        assert "second" in world.message(ConditionType.ELECTION_INVALID)
        assert "first is not held up" in world.message(ConditionType.ELECTION_INVALID)
        later.edit(voting_end=good)
        await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) is None)


async def test_an_election_that_cannot_be_built_gives_way_until_it_is_mended(world: World) -> None:
    world.database.rows[2] = row(2, "second", later=60)
    secret = world.row
    objective = secret.spec.objectives[0]

    def next_one() -> str:
        assert world.ctx.view is not None
        found = current(world.ctx.known_overview(), world.clock.now(), world.ctx.policy, world.ctx.view.unbuildable)
        return found.name if found else ""

    async with world.doing(Waiting()):
        await world.until(lambda: next_one() == "first")
        secret.edit(objectives=(replace(objective, payload_type=PayloadType.PRIVATE),))
        await world.until(lambda: next_one() == "second")
        secret.edit(objectives=(objective,))
        await world.until(lambda: next_one() == "first")


async def test_a_change_while_the_last_one_is_checked_is_not_overlooked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    checking, go_on = asyncio.Event(), asyncio.Event()
    answer = world.database.specification

    async def slow(election_id: int) -> object:
        spec = await answer(election_id)
        checking.set()
        await go_on.wait()
        return spec

    monkeypatch.setattr(world.database, "specification", slow)
    await world.look()
    task = asyncio.create_task(Waiting().run(world.ctx))
    await checking.wait()
    world.row.edit(voting_end=world.row.spec.voting_end + timedelta(microseconds=1))
    await world.look()  # the engine's one look at it, while the work is busy
    go_on.set()
    await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) == "SpecificationInvalid", seconds=1)
    task.cancel()
    await asyncio.wait({task})


async def test_a_missed_election_is_journalled_once(world: World) -> None:
    world.clock.advance(seconds=3600)
    async with world.doing(Waiting()):
        await world.until(lambda: len(world.database.journalled) == 1)
        await world.until(lambda: world.database.calls["overview"] > 5)
        assert world.database.calls["journal"] == 1
    async with world.doing(Waiting()):  # after another election, or another life
        await world.until(lambda: world.database.calls["journal"] == 2)
    (entry,) = world.database.journalled
    assert (entry.event, entry.election_id, entry.election_name) == ("election_missed", ID, "first")
    assert entry.at == world.row.spec.voting_end
    assert entry.source == entry.target == "Waiting"


async def test_what_could_not_be_journalled_is_journalled_later(world: World) -> None:
    world.clock.advance(seconds=3600)
    world.database.refused["journal"] = deque([DATABASE_AWAY] * 2)
    async with world.doing(Waiting()) as failures:
        await world.until(lambda: len(world.database.journalled) == 1)
    assert failures == [DATABASE_AWAY] * 2


async def test_a_cancelled_election_was_not_missed(world: World) -> None:
    world.row.cancelled = True
    world.clock.advance(seconds=3600)
    async with world.doing(Waiting()):
        await world.until(lambda: world.database.calls["overview"] > 5)
    assert world.database.journalled == []


async def test_it_waits_while_the_database_is_away(world: World) -> None:
    world.database.failure = DATABASE_AWAY
    async with world.doing(Waiting()) as failures:
        await world.until(lambda: world.database.calls["overview"] > 5)
        assert failures == []
        world.row.edit(voting_end=world.row.spec.voting_end + timedelta(microseconds=1))
        world.database.failure = None
        await world.until(lambda: world.condition(ConditionType.ELECTION_INVALID) is not None)


async def test_other_nodes_leave_all_that_to_leader_0(new_world: Callable[..., World]) -> None:
    world = new_world(Role.NODE)
    world.store.objects[KEY_URI] = LEADER1.reveal().encode()
    world.row.edit(voting_end=world.row.spec.voting_end + timedelta(microseconds=1))
    async with world.doing(Waiting()):
        await world.until(lambda: world.database.calls["overview"] > 5)
        assert list(world.ctx.conditions) == []
        world.clock.advance(seconds=3600)
        look_soon(world)
        await world.until(lambda: world.database.calls["overview"] > 10)
    assert world.database.journalled == []
    assert world.database.calls["specification"] == 0
