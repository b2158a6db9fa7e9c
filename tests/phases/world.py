"""One leader 0 (or another node) among fakes, and an engine that only looks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import takewhile
from pathlib import Path

import yaml

from node_fsm.core.cluster import ChainStatement, NodeReport
from node_fsm.core.conditions import Conditions
from node_fsm.core.current import current, with_what_is_here
from node_fsm.core.decryption import DecryptionSpeed
from node_fsm.core.errors import ServiceError
from node_fsm.core.marks import Mark
from node_fsm.core.model import PlanResult, VotePlan
from node_fsm.core.phases import Role
from node_fsm.core.view import UNKNOWN, Decision, Policy, View, Work
from node_fsm.metrics import Metrics
from node_fsm.steps.adopt import adopt_block0
from node_fsm.steps.context import Context, PhaseSettings
from node_fsm.steps.mailbox import Mailbox, Pulse
from node_fsm.steps.set_aside import with_deferred
from node_fsm.steps.settling import SETTLING
from node_fsm.steps.signing_key import fetch_signing_key
from node_fsm.steps.wiring import require_node
from node_fsm.storage.workspace import ChainDirectory, Workspace
from states.base import PhaseState
from states.building_vote_plan import BuildingVotePlan
from states.generating_block0 import GeneratingBlock0
from tests.phases.small_election import ID, LEADER0, LEADER1, VOTING_END, VOTING_START, account, cluster
from tests.support.chain_node import ChainNode
from tests.support.fake_jcli import FakeJcli
from tests.support.main_chain import header
from tests.support.memory_database import MemoryDatabase, Row
from tests.support.memory_store import MemoryStore
from tests.support.private_votes import vote
from tests.support.template import TEMPLATE
from tests.support.virtual_time import LoopClock

KEY_URI = "s3://keys/leader0"
ARCHIVE_URI = "s3://archive/elections"


class World:
    """The context of leader 0 (or of another node), and what a test does with it."""

    def __init__(
        self,
        directory: Path,
        role: Role = Role.LEADER0,
        *,
        hot_reload: bool = False,
        groups: int = 1,
        private: int = 0,
        beside: "World | None" = None,
    ) -> None:
        (directory / "storage").mkdir(parents=True, exist_ok=True)
        self.clock: LoopClock = beside.clock if beside else LoopClock()
        self.database: MemoryDatabase = beside.database if beside else cluster(self.clock, groups, private)
        self.store = MemoryStore({KEY_URI: f"{LEADER0.reveal()}\n".encode()})
        self.jcli = FakeJcli()
        self.node = ChainNode(self.clock)
        self.template = directory / "template.yaml"
        self.template.write_text(yaml.safe_dump(TEMPLATE))
        hostname = "leader0" if role is Role.LEADER0 else "leader1"
        self.ctx = Context(
            settings=PhaseSettings(
                hostname=hostname,
                policy=Policy(role, voting_start_offset_minutes=-1, close_grace_minutes=60, hot_reload=hot_reload),
                signing_key_uri=KEY_URI,
                archive_uri=ARCHIVE_URI,
                block0_template=self.template,
                service_version="0",
            ),
            clock=self.clock,
            database=self.database,
            store=self.store,
            jcli=self.jcli,
            node=self.node,
            workspace=Workspace(directory / "storage"),
            conditions=Conditions(self.clock.now),
            metrics=Metrics(role),
            mailbox=Mailbox(),
            looked=Pulse(),
            decryption_speed=DecryptionSpeed(self.jcli.full_version, 1, 0.01, 1e-4, 1e-6, 1e-6),
        )
        self.in_agreement = role is Role.LEADER0 and beside is None
        """Whether leader 1 says, as soon as it is so, that it has the same last counted block."""
        if beside and role is Role.NODE:
            self.ctx.work = beside.ctx.work
            self.store.objects[KEY_URI] = LEADER1.reveal().encode()

    @property
    def row(self) -> Row:
        return self.database.rows[ID]

    @property
    def chain(self) -> ChainDirectory:
        return self.ctx.chain()

    @property
    def hash(self) -> str:
        return self.ctx.block0_in_work().hash

    @property
    def plans(self) -> tuple[VotePlan, ...]:
        return self.database.published[self.hash].plans

    @property
    def results(self) -> tuple[PlanResult, ...]:
        return self.database.posted[self.hash]

    def condition(self, type_: str) -> str | None:
        """The reason of a condition that holds."""
        return next((held.reason for held in self.ctx.conditions if held.type == type_), None)

    def message(self, type_: str) -> str:
        return next(held.message for held in self.ctx.conditions if held.type == type_)

    async def look(self) -> None:
        """Read the world as the engine does, and tell the phase's work."""
        ctx = self.ctx
        self.node.grow()
        if self.in_agreement:
            self.leader1_agrees()
        hashes = [chain.block0_hash for chain in ctx.workspace.chains() if chain.block0_hash]
        if ctx.work and ctx.work.block0:
            hashes.append(ctx.work.block0.hash)
        try:
            overview = await ctx.database.overview(hashes)
        except ServiceError:
            overview = None
        local = ctx.workspace.chains()
        if overview:
            overview = with_what_is_here(overview, local, ctx.policy)
        ctx.view = View(
            overview=with_deferred(overview, ctx.workspace) if overview else UNKNOWN,
            local=local,
            slot_duration=1,
            generation=ctx.lease.generation if ctx.lease else None,
            tip=UNKNOWN,
            failure=None,
            unbuildable=ctx.unbuildable(overview) if overview else frozenset(),
        )
        ctx.looked.beat()

    def leader1_agrees(self) -> None:
        """Have leader 1 report that its chain is that of this node."""
        chain, work = self.node.chain, self.ctx.work
        if chain is None or work is None or work.block0 is None or not chain.tip.height:
            return
        dates, tip = work.block0.dates, chain.tip
        after = list(takewhile(lambda one: one.date >= dates.vote_end, map(header, reversed(chain.blocks))))
        is_settled = after and dates.clock.time_at(after[-1].date) + SETTLING <= self.clock.now()
        now = self.clock.now()
        self.database.statuses["leader1"] = NodeReport(
            *("leader1", "Running", now, ID, work.block0.hash, tip.height, tip.id, str(tip.date), 1, (), "0"),
            updated_at=now,
            holds_chain=False,
            statement=ChainStatement((Mark(tip.height, tip.id),), (), after[-1].id if is_settled else None),
        )

    async def begin(self) -> None:
        """Leave Waiting for the current election, with the lease."""
        self.ctx.lease = await self.database.acquire_lease("leader0", "instance", 1e6)
        await self.look()
        overview = self.ctx.known_overview()
        election = current(overview, self.clock.now(), self.ctx.policy, self.ctx.unbuildable(overview))
        assert election is not None
        self.ctx.work = Work.on(election)

    async def finish(self, state: PhaseState) -> Decision:
        """Do a phase's work to its end, while the engine looks every second; go on with its election and block 0."""
        async with self.looking(), asyncio.timeout(3600):
            decision = await state.run(self.ctx)
        self.ctx.work = decision.work or self.ctx.work
        await self.look()
        return decision

    async def insist(self, state: PhaseState) -> list[ServiceError]:
        """Do a phase's work to its end, again after each failure; the failures."""
        failures: list[ServiceError] = []
        while True:
            try:
                await self.finish(state)
                return failures
            except ServiceError as error:
                failures.append(error)
                assert len(failures) < 100, failures
            await asyncio.sleep(1)

    @asynccontextmanager
    async def doing(self, state: PhaseState) -> AsyncIterator[list[ServiceError]]:
        """A phase's work, tried again a second after each failure, while the engine looks; gives the failures."""
        failures: list[ServiceError] = []

        async def work() -> None:
            while True:
                try:
                    decision = await state.run(self.ctx)
                    raise AssertionError(f"{state.name} has ended: {decision}")
                except ServiceError as error:
                    failures.append(error)
                await asyncio.sleep(1)

        async with self.looking():
            task = asyncio.create_task(work())
            try:
                yield failures
                if task.done():
                    task.result()
            finally:
                task.cancel()
                await asyncio.wait({task})

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        async def look() -> None:
            while True:
                await self.look()
                await self.ctx.mailbox.wait(1.0)

        await self.look()
        task = asyncio.create_task(look())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def until(self, holds: Callable[[], bool], seconds: float = 120) -> None:
        """Let the clock go on until *holds*; AssertionError when it does not within *seconds*."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError("the condition did not come to hold") from None

    async def publish(self) -> None:
        """Go on to a published block 0."""
        await self.begin()
        self.ctx.signing_key = await fetch_signing_key(self.store, self.jcli, KEY_URI, self.ctx.own_node())
        await self.finish(BuildingVotePlan())
        await self.finish(GeneratingBlock0())

    async def run_chain(self) -> ChainDirectory:
        """Go on to a node that runs on the published block 0, with the votes of its two voters waiting."""
        await self.publish()
        chain, head = await adopt_block0(self.ctx)
        await require_node(self.ctx, chain, head.leader_ids)
        self.clock.advance(seconds=VOTING_START + 1)
        for plan in self.plans:
            for voter in range(2):
                await self.node.post_fragment(vote(plan, account(voter), choice=voter))
        return chain

    async def end_voting(self, *, late: float = 0) -> None:
        """Go on from there to the first block after voting, and *late* seconds more."""
        await self.run_chain()
        self.clock.advance(seconds=VOTING_END - VOTING_START - 1 + late)
        await self.look()
