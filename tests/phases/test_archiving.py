"""Archiving: the chain goes to S3 and is read back, or gives way when S3 refuses."""

import asyncio
import json
from collections import deque
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from node_fsm.core.current import current
from node_fsm.core.errors import PermanentError, ServiceError
from node_fsm.core.events import Event
from node_fsm.core.model import ArchiveKind, DisputedTally
from node_fsm.steps.agreement import note
from node_fsm.steps.archive import ABOUT, About
from node_fsm.steps.kept_results import RESULTS
from node_fsm.steps.next_election import AHEAD
from node_fsm.steps.put_back import keep_publication
from node_fsm.storage.files import make_private
from node_fsm.storage.workspace import ChainDirectory
from states.archiving import PATIENCE_SECONDS, Archiving
from states.tallying import Tallying
from states.waiting import Waiting
from tests.phases.world import ARCHIVE_URI, World
from tests.support.fakes import FACT
from tests.support.memory_database import DATABASE_AWAY, Row
from tests.support.memory_store import S3_AWAY


@pytest.fixture
async def tallied(world: World) -> World:
    """Results stand, and the node has stopped."""
    await world.end_voting()
    await world.finish(Tallying())
    await world.node.stop()
    return world


@pytest.fixture
async def withdrawn(world: World) -> World:
    """Block 0 was withdrawn while people voted, and the node has stopped."""
    await world.end_voting()
    (world.chain.blocks).write_bytes(world.node.chain.raw if world.node.chain else b"")
    await world.database.withdraw_block0(1, world.hash, 1, FACT)
    await world.node.stop()
    await world.look()
    return world


def manifest(world: World) -> dict[str, Any]:
    """The one manifest in S3."""
    (text,) = [data for uri, data in world.store.objects.items() if uri.endswith("manifest.json")]
    found: dict[str, Any] = json.loads(text)
    return found


def set_aside(world: World) -> list[ChainDirectory]:
    return [ChainDirectory(path) for path in world.ctx.workspace.set_aside_chains()]


async def refused(world: World, state: Archiving) -> ServiceError:
    with pytest.raises(ServiceError) as refusal:
        await world.finish(state)
    return refusal.value


async def test_a_tallied_chain_makes_a_final_archive(tallied: World) -> None:
    decision = await tallied.finish(Archiving())
    assert decision.event is Event.ARCHIVED
    (record,) = tallied.database.archives
    assert (record.kind, record.block0_hash, record.election_name) == (ArchiveKind.FINAL, tallied.hash, "first")
    assert record.uri.startswith(f"{ARCHIVE_URI}/1-first/{tallied.hash}/")
    said = manifest(tallied)
    assert (said["kind"], said["untallied"], said["fingerprint"]) == ("final", None, "1:a")
    assert [entry["votes"] for entry in said["results"]] == [[[1, 10, 0], [0, 0]]]
    files = {file["name"] for file in said["files"]}
    assert {"block0.bin", "blocks.bin", "genesis.json", "plans/plan-0.json"} <= files
    assert {"record/vote-plans.json", "record/recount.json", "record/results.json"} <= files
    assert said["versions"] == {"service": "0", "jcli": "jcli of the tests", "jormungandr": "node of the tests"}
    assert tallied.chain.path.exists(), "deleting is another phase's"
    assert tallied.ctx.mailbox.take_database_change()


async def test_a_dispute_that_was_settled_is_not_in_the_archive(tallied: World) -> None:
    why = "1 of 2 leaders have the last counted block"
    tallied.database.disputes[tallied.hash] = DisputedTally("first", tallied.hash, why)
    tallied.store.failure = S3_AWAY
    await refused(tallied, Archiving())
    tallied.store.failure = None
    tallied.database.confirmed.add(tallied.hash)
    await tallied.finish(Archiving())
    said = manifest(tallied)
    assert said["notes"] == []
    assert "record/disputed.txt" not in {file["name"] for file in said["files"]}


async def test_a_version_that_is_not_told_holds_up_nothing(tallied: World) -> None:
    tallied.jcli.failures["version"] = PermanentError("CommandFailed", "no")
    await tallied.finish(Archiving())
    assert manifest(tallied)["versions"] == {"service": "0", "jcli": None, "jormungandr": "node of the tests"}


async def test_the_kept_recount_says_what_the_blocks_do(tallied: World) -> None:
    await tallied.finish(Archiving())
    (plan,) = json.loads((tallied.chain.record / "recount.json").read_bytes())
    assert plan["plan_id"] == tallied.plans[0].id
    assert [(proposal["votes"], proposal["votes_cast"]) for proposal in plan["proposals"]] == [
        ([1, 10, 0], 2),
        ([0, 0], 0),
    ]


async def test_a_chain_without_results_is_archived_as_untallied(tallied: World) -> None:
    tallied.database.posted.clear()
    (tallied.chain.record / RESULTS).unlink()
    await tallied.finish(Archiving())
    said = manifest(tallied)
    assert (said["kind"], said["results"]) == ("final", None)
    assert said["untallied"] == "no result could be had in time"


@pytest.mark.parametrize("disputed", [None, "1 of 3 leaders"])
@pytest.mark.parametrize("is_published", [True, False])
async def test_results_that_a_restored_database_forgot_are_put_back(
    tallied: World, is_published: bool, disputed: str | None
) -> None:
    """Once the archive is recorded nobody would count again."""
    before = dict(tallied.database.posted)
    await note(tallied.chain, disputed)
    await keep_publication(tallied.ctx, tallied.chain)
    tallied.database.posted.clear()
    if not is_published:
        tallied.database.forget(1)
    await tallied.look()
    await tallied.finish(Archiving())
    assert tallied.database.posted == before
    assert [entry["votes"] for entry in manifest(tallied)["results"]] == [[[1, 10, 0], [0, 0]]]
    assert tallied.hash in tallied.database.snapshots
    assert await tallied.database.disputed(tallied.hash) == disputed
    assert tallied.database.rows[1].block0


async def test_kept_results_that_cannot_be_read_are_told(tallied: World) -> None:
    tallied.database.posted.clear()
    (tallied.chain.record / RESULTS).write_text('[{"plan_id": "ab"}]')
    error = await refused(tallied, Archiving())
    assert error.reason == "RecordDamaged"
    assert RESULTS in error.message


async def test_a_withdrawn_chain_is_archived_as_superseded_with_its_votes_counted(withdrawn: World) -> None:
    await withdrawn.finish(Archiving())
    (record,) = withdrawn.database.archives
    assert record.kind is ArchiveKind.SUPERSEDED
    said = manifest(withdrawn)
    assert (said["results"], said["untallied"]) == (None, "block 0 was withdrawn")
    (plan,) = json.loads((withdrawn.chain.record / "recount.json").read_bytes())
    assert plan["proposals"][0]["votes"] == [1, 10, 0]


async def test_an_election_that_was_cancelled_while_it_was_tallied_is_withdrawn_first(withdrawn: World) -> None:
    withdrawn.database.withdrawn.clear()
    row = withdrawn.database.rows[1]
    row.block0, row.cancelled = (withdrawn.database.published[withdrawn.hash], b""), True
    await withdrawn.look()
    await withdrawn.finish(Archiving())
    (record,) = withdrawn.database.archives
    assert record.kind is ArchiveKind.SUPERSEDED
    assert withdrawn.database.withdrawn == {withdrawn.hash}
    assert row.block0 is None


async def test_results_that_stand_are_archived_though_somebody_marks_the_row_cancelled(tallied: World) -> None:
    tallied.database.rows[1].cancelled = True
    await tallied.look()
    await tallied.finish(Archiving())
    assert manifest(tallied)["kind"] == "final"
    assert tallied.database.withdrawn == set()


async def test_an_archive_that_is_recorded_is_not_made_again(tallied: World) -> None:
    await tallied.finish(Archiving())
    requests = len(tallied.store.requests)
    decision = await tallied.finish(Archiving())
    assert decision.event is Event.ARCHIVED
    assert len(tallied.store.requests) == requests
    assert len(tallied.database.archives) == 1


async def test_an_archive_of_another_kind_does_not_close_an_election(tallied: World) -> None:
    await tallied.finish(Archiving())
    (final,) = tallied.database.archives
    tallied.database.archives = [replace(final, kind=ArchiveKind.SALVAGE, run_id="another")]
    tallied.store.objects.clear()
    await tallied.finish(Archiving())
    assert [archive.kind for archive in tallied.database.archives] == [ArchiveKind.SALVAGE, ArchiveKind.FINAL]


async def test_an_archive_made_before_a_crash_is_found_verified_and_recorded(tallied: World) -> None:
    tallied.database.refused["save_archive"] = deque([DATABASE_AWAY])
    await refused(tallied, Archiving())
    made = dict(tallied.store.objects)
    await tallied.finish(Archiving())
    assert len(tallied.database.archives) == 1
    assert tallied.store.objects == made


async def test_a_final_archive_is_waited_for_as_long_as_it_takes(tallied: World) -> None:
    tallied.store.failure = S3_AWAY
    state = Archiving()
    for _ in range(3):
        assert await refused(tallied, state) == S3_AWAY
        await asyncio.sleep(10 * PATIENCE_SECONDS)
    assert set_aside(tallied) == []
    tallied.store.failure = None
    await tallied.finish(state)
    assert len(tallied.database.archives) == 1


def next_election(world: World, *, starts_in: float) -> None:
    """Add an election whose chain starts in so many seconds."""
    begin = world.clock.now() + timedelta(seconds=starts_in) + timedelta(minutes=1)
    end = begin + timedelta(hours=1)
    spec = replace(world.row.spec, id=2, name="second", voting_start=begin, voting_end=end, tallying_end=end)
    world.database.rows[2] = Row(spec, world.row.voters)


@pytest.mark.parametrize("failure", [S3_AWAY, PermanentError("S3AccessDenied", "no right to put_object")])
async def test_a_final_archive_that_cannot_be_made_gives_way_before_the_next_election_is_due(
    tallied: World, failure: ServiceError
) -> None:
    tallied.store.failure = failure
    next_election(tallied, starts_in=3600)
    state = Archiving()
    for _ in range(2):
        assert await refused(tallied, state) == failure
        await asyncio.sleep(1500)
    await asyncio.sleep(3600 - 3000 - AHEAD.total_seconds() + 1)
    decision = await tallied.finish(state)
    assert decision.event is Event.ARCHIVED
    assert "to be archived later" in decision.why
    election = current(tallied.ctx.known_overview(), tallied.clock.now(), tallied.ctx.policy)
    assert election is not None
    assert election.name == "second"
    assert tallied.database.posted, "the results stand"

    tallied.store.failure = None
    tallied.ctx.work = None
    async with tallied.doing(Waiting()) as failures:
        await tallied.until(lambda: not set_aside(tallied))
    assert failures == []
    (record,) = tallied.database.archives
    assert (record.kind, record.election_name) == (ArchiveKind.FINAL, "first")
    said = manifest(tallied)
    assert [entry["votes"] for entry in said["results"]] == [[[1, 10, 0], [0, 0]]]


async def test_a_next_election_that_is_due_already_leaves_two_minutes_to_the_archive(tallied: World) -> None:
    tallied.store.failure = S3_AWAY
    next_election(tallied, starts_in=-10)
    state = Archiving()
    assert await refused(tallied, state) == S3_AWAY
    await asyncio.sleep(PATIENCE_SECONDS - 1)
    assert await refused(tallied, state) == S3_AWAY
    await asyncio.sleep(2)
    assert (await tallied.finish(state)).event is Event.ARCHIVED
    assert len(set_aside(tallied)) == 1


async def test_a_superseded_chain_gives_way_when_s3_refuses_for_two_minutes(withdrawn: World) -> None:
    withdrawn.store.failure = S3_AWAY
    chain, blocks = withdrawn.chain.path, withdrawn.chain.blocks.read_bytes()
    state = Archiving()
    for _ in range(2):
        assert await refused(withdrawn, state) == S3_AWAY
        await asyncio.sleep(PATIENCE_SECONDS / 4)
    await asyncio.sleep(PATIENCE_SECONDS)
    decision = await withdrawn.finish(state)
    assert decision.event is Event.ARCHIVED
    assert "to be archived later" in decision.why
    (aside,) = set_aside(withdrawn)
    assert not chain.exists()
    assert aside.blocks.read_bytes() == blocks
    assert About.read(aside) == About(1, "first", withdrawn.hash, ArchiveKind.SUPERSEDED, "1:a")
    assert withdrawn.database.archives == []


async def test_patience_begins_anew_with_each_chain(withdrawn: World) -> None:
    withdrawn.store.failure = S3_AWAY
    state = Archiving()
    await asyncio.sleep(2 * PATIENCE_SECONDS)
    state._first_refusal = ("cd" * 32, 0.0)  # of a chain superseded long ago
    assert await refused(withdrawn, state) == S3_AWAY
    assert set_aside(withdrawn) == []


async def test_a_superseded_chain_is_archived_when_s3_is_back_in_time(withdrawn: World) -> None:
    withdrawn.store.failure = S3_AWAY
    state = Archiving()
    await refused(withdrawn, state)
    withdrawn.store.failure = None
    await asyncio.sleep(2 * PATIENCE_SECONDS)
    await withdrawn.finish(state)
    assert set_aside(withdrawn) == []
    assert len(withdrawn.database.archives) == 1


async def test_a_chain_that_was_withdrawn_before_any_block_needs_no_archive(published: World) -> None:
    published.ctx.workspace.adopt_draft(1, published.hash)
    await published.database.withdraw_block0(1, published.hash, 1, FACT)
    await published.look()
    decision = await published.finish(Archiving())
    assert decision.event is Event.ARCHIVED
    assert published.store.requests == ["read s3://keys/leader0"]
    assert published.database.archives == []


async def test_a_chain_without_a_copy_is_not_called_final(tallied: World) -> None:
    tallied.chain.blocks.unlink()
    failure = await refused(tallied, Archiving())
    assert isinstance(failure, PermanentError)
    assert str(tallied.chain.blocks) in failure.message
    assert tallied.database.archives == []


async def test_without_a_place_for_archives_it_says_which_setting_is_missing(tallied: World) -> None:
    tallied.ctx.settings = replace(tallied.ctx.settings, archive_uri=None)
    failure = await refused(tallied, Archiving())
    assert failure.reason == "SettingMissing"
    assert "NODE_FSM_ARCHIVE_S3_URI" in failure.message


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b"null", b'"text"', b'{"kind": "final"}', b'{"kind": "other"}', b"\xff", b'{"a": 1']
)
def test_a_note_that_cannot_be_read_is_none(text: bytes, world: World) -> None:
    directory = ChainDirectory(world.ctx.workspace.root)
    make_private(directory.path)
    assert About.read(directory) is None
    (directory.path / ABOUT).write_bytes(text)
    assert About.read(directory) is None
