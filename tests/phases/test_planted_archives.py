"""An archive that another node, or who has its S3 credential, puts where leader 0 looks for a forgotten one.

Each of them is whole, and verifies by itself. Votes are counted all the same.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from node_fsm.archive.manifest import Election, Tip, Versions
from node_fsm.archive.store import ArchiveRequest, archive_chain
from node_fsm.chain.blocks import read_blocks
from node_fsm.chain.fragments import FragmentKind
from node_fsm.core.model import ArchiveKind, PlanResult
from node_fsm.steps.recover import recover_archive
from node_fsm.steps.tally import count
from node_fsm.storage.workspace import ChainDirectory
from states.tallying import Tallying
from tests.archive.test_hostile_archives import CHOICE, hashed, linked, split
from tests.phases.small_election import ID, NAME
from tests.phases.test_private_tally import ended, private_plans, tallied
from tests.phases.world import ARCHIVE_URI, World

__all__ = ["ended"]  # a fixture


def forgotten(world: World) -> tuple[PlanResult, ...]:
    """Take the results out of the database; those that must come again."""
    world.database.snapshots.clear()
    return world.database.posted.pop(world.hash)


async def plant(
    world: World, directory: Path, results: Sequence[PlanResult] | None = None, untallied: str | None = None
) -> None:
    """Archive *directory* where leader 0 looks for it; without *results* with those that a recount gives."""
    found = await count(ChainDirectory(directory))
    recounted = [
        PlanResult(plan_id, tuple(proposal.weights or () for proposal in plan.proposals), None, on_chain=False)
        for plan_id, plan in found.plans.items()
    ]
    request = ArchiveRequest(
        directory=directory,
        kind=ArchiveKind.FINAL,
        election=Election(id=ID, name=NAME),
        block0_hash=world.hash,
        tip=Tip(hash=found.tip.id, date=str(found.tip.date), height=found.tip.height),
        vote_plan_ids=tuple(found.plans),
        results=None if untallied else tuple(results or recounted),
        untallied=untallied,
        fingerprint=None,
        versions=Versions(service="0", jormungandr=None, jcli=None),
    )
    await archive_chain(world.store, ARCHIVE_URI, request, world.clock)


def another_chain(world: World, directory: Path) -> None:
    """The first vote is for something else, and every block from its own on is made anew."""
    blocks = split(world.chain.blocks.read_bytes())
    first = next(height for height, raw in enumerate(blocks) if votes_in(raw))
    vote = votes_in(blocks[first])[0]
    changed = bytearray(vote)
    changed[CHOICE] ^= 1
    blocks[first] = hashed(blocks[first].replace(vote, bytes(changed)))
    (directory / "blocks.bin").write_bytes(b"".join(linked(blocks, first + 1)))


def without_votes(world: World, directory: Path) -> None:
    """The chain ends before the first vote."""
    blocks = split(world.chain.blocks.read_bytes())
    first = next(height for height, raw in enumerate(blocks) if votes_in(raw))
    (directory / "blocks.bin").write_bytes(b"".join(blocks[:first]))


def votes_in(raw: bytes) -> list[bytes]:
    fragments = next(read_blocks(io.BytesIO(raw))).fragments()
    return [fragment.raw for fragment in fragments if fragment.kind is FragmentKind.VOTE_CAST]


@pytest.mark.parametrize("forge", [another_chain, without_votes])
async def test_votes_are_counted_whatever_chain_somebody_archived(
    world: World, tmp_path: Path, forge: Callable[[World, Path], None]
) -> None:
    await world.end_voting()
    await world.finish(Tallying())
    right = forgotten(world)
    copytree(world.chain.path, tmp_path / "forged")
    forge(world, tmp_path / "forged")
    await plant(world, tmp_path / "forged")
    await world.finish(Tallying())
    assert [result.votes for result in world.results] == [result.votes for result in right]
    assert world.database.archives == []


async def test_private_results_that_nothing_proves_are_not_taken(ended: World, tmp_path: Path) -> None:
    await tallied(ended)
    right = forgotten(ended)
    private = private_plans(ended)[0].id
    false = tuple(
        replace(one, votes=tuple(tuple(each + 1 for each in options) for options in one.votes), on_chain=False)
        if one.plan_id == private
        else one
        for one in right
    )
    directory = tmp_path / "false"
    copytree(ended.chain.path, directory, ignore=lambda _, names: {"tally", "record"} & set(names))
    await plant(ended, directory, [replace(one, fragment_id=None) if one.plan_id == private else one for one in false])
    await ended.finish(Tallying())
    assert ended.results == right
    assert ended.database.archives == []


async def test_an_archive_without_results_ends_no_count(world: World, tmp_path: Path) -> None:
    await world.end_voting()
    await world.finish(Tallying())
    right = forgotten(world)
    copytree(world.chain.path, tmp_path / "closed")
    await plant(world, tmp_path / "closed", untallied="nobody counted")
    await world.finish(Tallying())
    assert world.results == right
    assert world.database.archives == []


@pytest.mark.parametrize("forge", [another_chain, without_votes])
async def test_nor_does_one_stand_for_a_chain_whose_node_lost_its_store(
    world: World, tmp_path: Path, forge: Callable[[World, Path], None]
) -> None:
    """This machine has the copy of the blocks still."""
    await world.end_voting()
    await world.finish(Tallying())
    forgotten(world)
    copytree(world.chain.path, tmp_path / "forged")
    forge(world, tmp_path / "forged")
    await plant(world, tmp_path / "forged")
    assert not await recover_archive(world.ctx)
    assert world.database.archives == []


async def test_archives_without_end_hold_up_no_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever plants them may have them be of any size."""
    await world.end_voting()
    await world.finish(Tallying())
    right = forgotten(world)
    await plant(world, world.chain.path)

    async def drip(_uri: str) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(1)
            yield b""

    monkeypatch.setattr(world.store, "download", drip)
    await world.finish(Tallying())
    assert world.results == right
    assert world.condition("tally_window_missed") is None


async def test_what_a_manifest_shows_to_be_no_final_archive_is_not_downloaded(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.end_voting()
    await world.finish(Tallying())
    forgotten(world)
    copytree(world.chain.path, tmp_path / "forged")
    without_votes(world, tmp_path / "forged")
    await plant(world, tmp_path / "forged")
    monkeypatch.delattr(type(world.store), "download")
    assert not await recover_archive(world.ctx)
