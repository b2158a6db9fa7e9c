"""The whole service but its adapters, among fakes: killed and started again, while the rest of its world lives on."""

import asyncio
import shutil
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from node_fsm.chain.fragments import FragmentKind
from node_fsm.core.cluster import ChainCopy
from node_fsm.core.committee import SavedSnapshot
from node_fsm.core.machine import build_machine
from node_fsm.core.model import ArchiveKind
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.phases import Phase, Role
from node_fsm.core.table import TABLES
from node_fsm.engine.lease_keeper import LeaseKeeper
from node_fsm.engine.loop import Engine
from states import states_of
from tests.phases.small_election import ID, MEMBERS, VOTING_START, account
from tests.phases.world import World
from tests.support.chain_node import ChainNode
from tests.support.fakes import STOPPED
from tests.support.memory_database import MemoryDatabase
from tests.support.private_jcli import share_of
from tests.support.private_votes import vote

LONGEST_LIFE = 7200.0


class Killed(BaseException):
    """The service ends here, whatever it is doing."""


class Cluster:
    """What outlives the service of leader 0 (database, S3, node, working directory), two voters, and the committee."""

    def __init__(self, directory: Path, *, groups: int = 1, private: int = 0) -> None:
        self._directory = directory
        self.world = World(directory, groups=groups, private=private)
        self.database, self.store = self.world.database, self.world.store
        self.jcli, self.node = self.world.jcli, self.world.node
        self.lives = 0
        self._shared: set[tuple[str, str, int]] = set()
        """Of which block 0 and plan which member has posted a share: they do so once."""

    def lose_disk(self) -> None:
        """All that the service had on its machine is gone; leader 1 has the chain."""
        shutil.rmtree(self._directory / "storage")
        for copies in self.database.copies.values():
            copies["leader1"] = ChainCopy("leader1", self.node.state.height or 0, lost=False, is_leader=True)

    async def live(self) -> None:
        """A life of the service: until its election is over, or until it is killed."""
        self.lives += 1
        self.world = world = self._born()
        machine = build_machine(TABLES[Role.LEADER0], states_of(Role.LEADER0))
        engine = Engine(world.ctx, machine, rescan_seconds=30, advertise="")
        keeper = LeaseKeeper(world.ctx, "instance", engine.unwritten)
        parts: list[Coroutine[Any, Any, None]] = [
            *(engine.run(), engine.reporter.run(), keeper.run()),
            *(self._time_passes(), self._vote(), self._post_shares(), self._end()),
        ]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            ended, _ = await asyncio.wait(tasks, timeout=LONGEST_LIFE, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        assert ended, f"the service is still {world.ctx.phase}: {[str(held) for held in world.ctx.conditions]}"
        for task in ended:
            task.result()
        await engine.reporter.flush()

    async def live_through(self, effects: Sequence[tuple[str, str, int]], *, after: bool) -> None:
        """Lives that end at each of *effects*, as many as it takes to reach the end."""
        for port, method, call in effects:
            self.kill_at(port, method, call, after=after)
        while self.lives <= len(effects):
            with suppress(Killed):
                await self.live()
                break

    def kill_at(self, port: str, method: str, call: int, *, after: bool) -> None:
        """Kill the service at one call of a port's method, before or *after* its effect."""
        target = getattr(self, port)
        original, numbers = getattr(target, method), count()

        async def trapped(*arguments: Any, **options: Any) -> Any:
            is_it = next(numbers) == call
            if is_it and not after:
                raise Killed
            answer = await original(*arguments, **options)
            if is_it:
                raise Killed
            return answer

        setattr(target, method, trapped)

    def _born(self) -> World:
        """A service that remembers nothing; its node ended with the one before."""
        world = World(self._directory, beside=self.world)
        world.ctx.work = None
        world.ctx.store, world.ctx.jcli, world.ctx.node = self.store, self.jcli, self.node
        world.node = self.node
        self.node.state = STOPPED
        self.database.process = uuid4().hex
        return world

    async def _time_passes(self) -> None:
        """What the node's supervisor tells the engine."""
        while True:
            self.node.grow()
            self.world.leader1_agrees()
            self.world.ctx.mailbox.look_again()
            await asyncio.sleep(1)

    async def _vote(self) -> None:
        """Once people may vote, two do; they do not vote again."""
        while True:
            await asyncio.sleep(1)
            voted = any(raw[5] == FragmentKind.VOTE_CAST for raw in self.node.posted)
            if not voted and self.node.state.running and (self.node.state.height or 0) > VOTING_START + 2:
                (publication, _) = self.database.rows[ID].block0 or (None, None)
                for plan in publication.plans if publication else ():
                    for voter in range(2):
                        raw = vote(plan, account(voter), choice=voter)
                        await ChainNode.post_fragment(self.node, raw)  # whatever happens to the service's own calls

    async def _post_shares(self) -> None:
        """The members, who keep their keys, post their shares: one at once, the other some seconds later."""
        while True:
            await asyncio.sleep(1)
            for block0_hash in self.database.published:
                for snapshot in self.database.snapshots_of(block0_hash):
                    if snapshot.printed["payload"] == PayloadType.PRIVATE:
                        await self._post_share(block0_hash, snapshot)

    async def _post_share(self, block0_hash: str, snapshot: SavedSnapshot) -> None:
        for member, secret in enumerate(MEMBERS):
            mine = (block0_hash, snapshot.plan_id, member)
            if mine in self._shared:
                continue
            await asyncio.sleep(3 * member)
            self._shared.add(mine)
            await MemoryDatabase.post_shares(self.database, block0_hash, [share_of(snapshot, secret)])
            self.world.ctx.mailbox.database_changed()

    async def _end(self) -> None:
        """Until the election is archived and nothing of it is left."""
        while not (
            self.world.ctx.phase is Phase.WAITING
            and any(archive.kind is ArchiveKind.FINAL for archive in self.database.archives)
            and self.world.ctx.workspace.chains() == ()
        ):
            await asyncio.sleep(1)
