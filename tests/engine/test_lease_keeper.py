"""The lease keeper: what is held is known, renewed, and given up."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from node_fsm.core.cluster import Lease
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import TemporaryError
from node_fsm.engine.faults import Unwritten
from node_fsm.engine.lease_keeper import LEASE_SECONDS, RENEWAL_SECONDS, LeaseKeeper
from node_fsm.ports import ProcessPhase
from node_fsm.steps.adopt import adopt_block0
from node_fsm.steps.wiring import require_node
from tests.phases.world import World
from tests.support.memory_database import DATABASE_AWAY
from tests.support.memory_lease import HeldLease

INSTANCE = "instance"


class Kept:
    """A world whose lease is kept."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keeper = LeaseKeeper(world.ctx, INSTANCE, Unwritten(world.ctx.conditions))

    @property
    def lease(self) -> Lease | None:
        return self.world.ctx.lease

    @property
    def generation(self) -> int | None:
        return self.lease.generation if self.lease else None

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.keeper.run())
        try:
            await asyncio.sleep(0.1)
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(World(tmp_path))


async def signalled(world: World) -> bool:
    """Whether the engine was told to look."""
    before = asyncio.get_running_loop().time()
    await world.ctx.mailbox.wait(0.5)
    return asyncio.get_running_loop().time() == before


def held_by(world: World, holder: str, seconds: float, generation: int = 7) -> HeldLease:
    until = world.clock.now() + timedelta(seconds=seconds)
    process = world.database.process if holder == "leader0" else "another"
    return HeldLease(holder, INSTANCE, process, generation, until)


async def test_it_takes_the_lease_and_tells_the_engine(kept: Kept) -> None:
    async with kept.keeping():
        assert kept.lease is not None
        assert kept.world.database.lease is not None
        assert kept.lease == kept.world.database.lease.as_lease()
        assert await signalled(kept.world)
        assert kept.world.condition(ConditionType.OTHER_LEADER0) is None


async def test_it_renews_long_before_the_lease_expires(kept: Kept) -> None:
    assert RENEWAL_SECONDS * 3 < LEASE_SECONDS
    async with kept.keeping():
        await signalled(kept.world)
        for _ in range(10):
            await asyncio.sleep(RENEWAL_SECONDS)
            assert kept.lease is not None
            assert kept.lease.expires_at > kept.world.clock.now() + timedelta(
                seconds=LEASE_SECONDS - RENEWAL_SECONDS - 1
            )
        assert not await signalled(kept.world), "the same lease is no news"


async def test_anothers_lease_is_waited_for(kept: Kept) -> None:
    kept.world.database.lease = held_by(kept.world, "other", seconds=20)
    async with kept.keeping():
        assert kept.lease is None
        assert kept.world.condition(ConditionType.OTHER_LEADER0) == "LeaseHeldElsewhere"
        await signalled(kept.world)
        await kept.world.until(lambda: kept.lease is not None, seconds=20 + RENEWAL_SECONDS)
        assert await signalled(kept.world)
        assert kept.generation == 8
        assert kept.world.condition(ConditionType.OTHER_LEADER0) == "OtherLeader0Unconfirmed", (
            "it never said that it stopped"
        )


async def test_a_lease_that_another_took_is_no_longer_held(kept: Kept) -> None:
    async with kept.keeping():
        await signalled(kept.world)
        kept.world.database.lease = held_by(kept.world, "other", seconds=1000)
        await kept.world.until(lambda: kept.lease is None, seconds=RENEWAL_SECONDS + 1)
        assert kept.world.condition(ConditionType.OTHER_LEADER0) == "LeaseHeldElsewhere"
        assert await signalled(kept.world)


async def test_a_new_generation_is_news(kept: Kept) -> None:
    async with kept.keeping():
        await signalled(kept.world)
        kept.world.database.lease = held_by(kept.world, "leader0", seconds=1000, generation=8)
        await kept.world.until(
            lambda: kept.lease is not None and kept.lease.generation == 8, seconds=RENEWAL_SECONDS + 1
        )
        assert await signalled(kept.world)


async def test_a_lease_beside_one_who_may_still_run_is_told(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    acquire = kept.world.database.acquire_lease
    unconfirmed: str | None = "old-host"

    async def acquire_beside(hostname: str, instance: str, seconds: float) -> Lease | None:
        lease = await acquire(hostname, instance, seconds)
        return replace(lease, unconfirmed_holder=unconfirmed) if lease else None

    monkeypatch.setattr(kept.world.database, "acquire_lease", acquire_beside)
    async with kept.keeping():
        assert kept.lease is not None
        assert kept.world.condition(ConditionType.OTHER_LEADER0) == "OtherLeader0Unconfirmed"
        assert "old-host" in kept.world.message(ConditionType.OTHER_LEADER0)
        unconfirmed = None
        await kept.world.until(
            lambda: kept.world.condition(ConditionType.OTHER_LEADER0) is None, seconds=RENEWAL_SECONDS + 1
        )


async def test_what_is_held_stays_held_while_the_database_is_away(kept: Kept) -> None:
    async with kept.keeping():
        held = kept.lease
        kept.world.database.failure = DATABASE_AWAY
        await asyncio.sleep(10 * LEASE_SECONDS)
        assert kept.lease == held
        kept.world.database.failure = None
        await kept.world.until(lambda: kept.lease != held, seconds=RENEWAL_SECONDS + 1)
        assert kept.lease is not None


async def test_a_node_whose_lease_another_has_is_stopped_and_that_is_recorded(kept: Kept) -> None:
    """A person gave the lease to another host: two nodes with leader 0's key must not run, nor be thought to."""
    world = kept.world
    await world.publish()
    world.ctx.lease = None
    async with kept.keeping():
        chain, head = await adopt_block0(world.ctx)
        await require_node(world.ctx, chain, head.leader_ids)
        assert world.node.state.running
        assert kept.generation
        world.database.lease = replace(
            held_by(world, "other", seconds=1000, generation=kept.generation + 1), unconfirmed_holder=None
        )
        await world.until(lambda: world.node.state.phase is ProcessPhase.STOPPED, seconds=RENEWAL_SECONDS + 1)
        assert kept.lease is None
        assert world.condition(ConditionType.OTHER_LEADER0) == "LeaseHeldElsewhere"
        with pytest.raises(TemporaryError, match="LeaseNotHeld"):
            await require_node(world.ctx, chain, head.leader_ids)
        await world.until(lambda: world.database.calls["release_lease"] == 1, seconds=2)
        world.node.require(world.node.required[-1])  # by a step that was under way
        await world.until(lambda: world.node.state.phase is ProcessPhase.STOPPED, seconds=RENEWAL_SECONDS + 1)


async def test_one_that_was_frozen_goes_on_although_another_took_the_lease(kept: Kept) -> None:
    world = kept.world
    await world.publish()
    world.ctx.lease = None
    async with kept.keeping():
        await world.until(lambda: kept.lease is not None)
        chain, head = await adopt_block0(world.ctx)
        await require_node(world.ctx, chain, head.leader_ids)
        assert kept.generation
        taken = held_by(world, "other", seconds=1000, generation=kept.generation + 1)
        world.database.lease = replace(taken, unconfirmed_holder="leader0")
        await world.until(lambda: kept.generation == taken.generation + 1, seconds=RENEWAL_SECONDS + 1)
        assert world.node.state.running
        assert kept.lease is not None
        assert kept.lease.unconfirmed_holder is None


async def test_a_lease_that_is_confirmed_is_news(kept: Kept) -> None:
    """What failed for want of it is tried again at once, not at the next scan."""
    world = kept.world
    world.database.lease = held_by(world, "other", seconds=0)
    async with kept.keeping():
        assert world.condition(ConditionType.OTHER_LEADER0) == "OtherLeader0Unconfirmed"
        await signalled(world)
        assert world.database.lease is not None
        world.database.lease = replace(world.database.lease, unconfirmed_holder=None)
        await world.until(lambda: world.condition(ConditionType.OTHER_LEADER0) is None, seconds=RENEWAL_SECONDS + 1)
        assert await signalled(world)


async def test_it_is_given_up_when_the_service_stops(kept: Kept) -> None:
    async with kept.keeping():
        held = kept.lease
    await kept.keeper.release()
    assert held is not None
    assert kept.world.database.lease is not None
    assert kept.world.database.lease.stopped


async def test_there_may_be_nothing_to_give_up_and_nobody_to_tell(kept: Kept) -> None:
    await kept.keeper.release()
    assert kept.world.database.calls["release_lease"] == 0
    async with kept.keeping():
        pass
    kept.world.database.failure = DATABASE_AWAY
    await kept.keeper.release()
    assert kept.world.database.lease is not None
    assert not kept.world.database.lease.stopped


async def test_what_nobody_foresaw_ends_nothing_and_the_lease_is_renewed_afterwards(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    async def refuse(*_: object) -> Lease | None:
        raise OverflowError("date value out of range")

    async with kept.keeping():
        held = kept.lease
        with monkeypatch.context() as patch:
            patch.setattr(kept.world.database, "acquire_lease", refuse)
            await asyncio.sleep(4 * RENEWAL_SECONDS)
            assert kept.lease == held
        await kept.world.until(lambda: kept.lease != held, seconds=RENEWAL_SECONDS + 1)
        monkeypatch.setattr(kept.world.database, "release_lease", refuse)
    await kept.keeper.release()
    assert log.getvalue().count("Traceback") == 1
