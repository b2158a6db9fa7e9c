"""What every database must do, the real one and the one of the phase tests: reading elections and nodes."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node_fsm.core.cluster import ChainCopy, NodeReport
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind, ElectionOverview, NodeRow, StoredArchive
from tests.database.stands import Stand
from tests.database.world import START, publish, results_of
from tests.support.fakes import FACT
from tests.support.polling import HANGING

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CHAIN = "a" * 64
REPORT = NodeReport("leader0", "Running", START, 1, CHAIN, 7, "tip", "1.2", 1, (), "1", START, holds_chain=True)


async def fingerprinted(stand: Stand) -> list[ElectionOverview]:
    """The listed elections, once all fingerprints are known."""
    async with asyncio.timeout(HANGING):
        while not all(row.fingerprint for row in (await stand.database.overview([])).elections):
            await asyncio.sleep(0.01)
    return list((await stand.database.overview([])).elections)


def archived(election: int, hash_: str, kind: ArchiveKind, run: str, *, later: int = 0) -> StoredArchive:
    at = START + timedelta(seconds=later)
    return StoredArchive(election, "Fund 1", hash_, run, kind, "tip", f"s3://b/{run}", "00", 9, "{}", at)


async def test_elections_are_listed_by_their_start(stand: Stand) -> None:
    later = await stand.add_election("Later", START + timedelta(days=1))
    first, second = await stand.add_election("First"), await stand.add_election("Second")
    assert [row.id for row in (await stand.database.overview([])).elections] == [first, second, later]


async def test_ended_elections_are_missed_unless_they_were_cancelled(stand: Stand) -> None:
    missed = await stand.add_election("Missed", LONG_AGO)
    cancelled = await stand.add_election("Cancelled", LONG_AGO)
    await stand.cancel(cancelled)
    in_time = await stand.add_election("Cancelled in time")
    await stand.cancel(in_time)
    overview = await stand.database.overview([])
    assert [row.id for row in overview.missed] == [missed]
    assert [(row.id, row.cancelled) for row in overview.elections] == [(in_time, True)]


async def test_an_edit_changes_revision_and_fingerprint(stand: Stand) -> None:
    election = await stand.add_election()
    (before,) = await fingerprinted(stand)
    await stand.edit(election)
    (after,) = await fingerprinted(stand)
    assert after.revision > before.revision
    assert after.fingerprint != before.fingerprint
    spec = await stand.database.specification(election)
    assert (spec.revision, spec.fingerprint) == (after.revision, after.fingerprint)


async def test_a_cancel_is_an_edit(stand: Stand) -> None:
    election = await stand.add_election()
    before = await stand.database.specification(election)
    await stand.cancel(election)
    after = await stand.database.specification(election)
    assert after == replace(before, revision=after.revision)
    assert after.revision > before.revision


async def test_a_row_that_cannot_be_read_is_named_and_all_others_are_read(stand: Stand) -> None:
    election, other = await stand.add_election(), await stand.add_election("Other")
    await stand.damage(election)
    overview = await stand.database.overview([])
    assert [row.id for row in overview.elections] == [other]
    ((id_, name, why),) = [(row.id, row.name, row.why) for row in overview.unreadable]
    assert (id_, name) == (election, "Fund 1")
    assert "election.tallying_end" in why
    with pytest.raises(PermanentError) as caught:
        await stand.database.specification(election)
    assert caught.value.reason == "RowUnreadable"


async def test_an_election_that_is_not_there_is_gone(stand: Stand) -> None:
    with pytest.raises(PermanentError) as caught:
        await stand.database.specification(99)
    assert caught.value.reason == "ElectionGone"


async def test_only_what_holds_a_unit_is_in_the_funds(stand: Stand) -> None:
    election = await stand.add_election()
    for unit, funds in (
        (1, {"ca1address1": 507, "ca1address2": 30, "ca1address3": 4}),
        (7, {"ca1address1": 72, "ca1address2": 4}),
    ):
        batches = [batch async for batch in stand.database.funds(election, unit)]
        assert [pair for batch in batches for pair in batch] == list(funds.items())
    tokens = [batch async for batch in stand.database.tokens(election, "direct", 30)]
    assert [pair for batch in tokens for pair in batch] == [("ca1address1", 16), ("ca1address2", 1)]


async def test_a_published_election_is_listed_until_its_final_archive(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, _ = await publish(stand.database, election, tmp_path)
    (listed,) = (await stand.database.overview([])).elections
    assert listed.block0 is not None
    assert (listed.block0.hash, listed.block0.dates) == (publication.hash, publication.dates)
    assert not listed.results_posted
    await stand.database.post_results(election, publication.hash, results_of(publication), FACT)
    assert (await stand.database.overview([])).elections[0].results_posted
    for kind, is_archived, is_listed in (
        (ArchiveKind.SALVAGE, False, True),
        (ArchiveKind.SUPERSEDED, True, True),
        (ArchiveKind.FINAL, True, False),
    ):
        await stand.database.save_archive(archived(election, publication.hash, kind, kind), FACT)
        overview = await stand.database.overview([publication.hash])
        assert (overview.archived == {publication.hash}) == is_archived, "a salvaged copy may lack blocks"
        assert bool(overview.elections) == is_listed
    assert (await stand.database.overview(["b" * 64])).archived == frozenset()


async def test_what_an_edit_changed_is_told(stand: Stand, tmp_path: Path) -> None:
    election = await stand.add_election()
    publication, _ = await publish(stand.database, election, tmp_path)
    await stand.edit(election)
    assert "voting_power_unit" in await stand.database.drift(election, publication.hash)
    with pytest.raises(PermanentError) as caught:
        await stand.database.drift(election, "b" * 64)
    assert caught.value.reason == "Block0Unknown"


async def test_nodes_announce_themselves_if_they_have_a_row(stand: Stand) -> None:
    await stand.add_node("b", "ed25519_pk1b")
    await stand.add_node("a", None)
    await stand.database.announce("b", "/ip4/10.0.0.1/tcp/1")
    await stand.database.announce("nobody", "/ip4/10.0.0.2/tcp/1")
    assert (await stand.database.overview([])).nodes == (
        NodeRow("a", None, None),
        NodeRow("b", "ed25519_pk1b", "/ip4/10.0.0.1/tcp/1"),
    )


async def test_neighbours_are_the_other_nodes_with_a_tip(stand: Stand) -> None:
    for hostname, height, chain in (("b", 5, CHAIN), ("own", 9, CHAIN), ("a", 7, CHAIN), ("c", 9, "b" * 64)):
        await stand.database.report_status(replace(REPORT, hostname=hostname, height=height, block0_hash=chain))
    stopped = replace(REPORT, hostname="d", height=None, tip=None, holds_chain=False)
    await stand.database.report_status(stopped)
    heard = await stand.database.neighbours(CHAIN, "own")
    assert [(node.hostname, node.height, node.updated_at) for node in heard] == [("a", 7, START), ("b", 5, START)]


async def test_who_holds_a_chain_outlives_restarts(stand: Stand) -> None:
    await stand.add_node("a", "ed25519_pk1a")
    await stand.database.report_status(replace(REPORT, hostname="a"))
    await stand.database.report_status(replace(REPORT, hostname="f", height=9))
    await stand.database.report_status(replace(REPORT, hostname="a", height=None, tip=None, holds_chain=False))
    await stand.database.save_chain_copy(CHAIN, "f", lost=True)
    await stand.database.save_chain_copy(CHAIN, "new", lost=False)
    assert await stand.database.chain_copies(CHAIN) == (
        ChainCopy("a", 7, lost=False, is_leader=True),
        ChainCopy("f", 9, lost=True, is_leader=False),
        ChainCopy("new", 1, lost=False, is_leader=False),
    )
    await stand.database.report_status(replace(REPORT, hostname="f", height=12))
    assert [copy.lost for copy in await stand.database.chain_copies(CHAIN)] == [False, False, False]


async def test_an_entry_is_journalled_once(stand: Stand) -> None:
    missed = replace(FACT, event="election_missed", election_id=None, election_name=None)
    await stand.database.journal([])
    await stand.database.journal([FACT, missed])
    await stand.database.journal([missed, replace(FACT, reason="said in other words")])
    await (await stand.another_process()).journal([FACT, replace(FACT, at=FACT.at + timedelta(seconds=1))])
    await stand.database.journal([replace(missed, election_id=8)])
    assert [event for _, event, _ in await stand.journalled()] == [
        *("block0_written", "election_missed", "block0_written", "election_missed"),
    ]
