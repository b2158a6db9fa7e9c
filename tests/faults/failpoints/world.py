"""A world in which the election of some inputs is held: services as processes, a database and a bucket of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from node_fsm_sandbox.election.cluster import Cluster, Member
from node_fsm_sandbox.election.draw import Ballot
from node_fsm_sandbox.election.importing import import_files
from node_fsm_sandbox.election.outside import Outside
from node_fsm_sandbox.election.polling_station import BallotPaper, PollingStation, fill_in
from node_fsm_sandbox.servers.s3 import put_object

from node_fsm.block0.template import load_template
from node_fsm.chain.fragments import Fragment
from node_fsm.core.errors import ServiceError, TemporaryError
from node_fsm.core.phases import Phase, Role
from node_fsm.database.session import Session
from node_fsm.node.rest import NodeRest
from node_fsm.ports.answers import FragmentState, FragmentStatus
from node_fsm.s3.store import S3Store
from node_fsm.sidecar.answers import State
from tests.faults.failpoints.inputs import NAME, OFFSET_MINUTES, Inputs
from tests.faults.left_on_disk import left_on_disk
from tests.support.bucket import Bucket
from tests.support.roles import DatabaseRole

POLL_SECONDS = 0.5
"""Several worlds are looked at side by side, and each look costs the services as well as us."""

EXPECTED = {"sandbox", "votes_not_counted"}
"""What a service goes on to say when all is over: what votes were not counted is a part of how an election ended."""


class World:
    """The cluster of *inputs*, and what an observer sees of it."""

    def __init__(self, inputs: Inputs, cluster: Cluster, session: Session, store: S3Store, bucket: Bucket) -> None:
        self.inputs = inputs
        self.cluster = cluster
        self.session = session
        self.store = store
        self.bucket = bucket
        self.standing: dict[str, list[str]] = {}
        """Failpoints by hostname that are there in each life of a service, beside those at which it is to fail."""

    def member(self, hostname: str) -> Member:
        """The member of this name."""
        return next(member for member in self.cluster.members if member.hostname == hostname)

    def hold(self, hostname: str, place: str) -> Path:
        """Have a service stay at *place*, before it is started: until the file is gone that this gives."""
        gate = self.member(hostname).storage.with_name(f"hold-{hostname}")
        gate.touch()
        self.standing.setdefault(hostname, []).append(f"{place}=pause:{gate}")
        return gate

    async def vote(self, ballots: Sequence[Ballot]) -> list[Fragment]:
        """Have *ballots* come into blocks, all cast at once at the last node, which may end and start meanwhile."""
        fragments = await self._filled_in(ballots, lambda paper: paper)

        def are_counted(known: Collection[FragmentStatus]) -> bool:
            return all(status.state is FragmentState.IN_A_BLOCK for status in known)

        await self._post(fragments, are_counted)
        return fragments

    async def vote_in_vain(self, ballot: Ballot) -> None:
        """Cast a vote that the last node takes and no block: it is signed for another chain."""
        (fragment,) = await self._filled_in([ballot], lambda paper: replace(paper, block0_hash="0" * 64))
        await self._post([fragment], bool)

    async def _filled_in(
        self, ballots: Sequence[Ballot], changed: Callable[[BallotPaper], BallotPaper]
    ) -> list[Fragment]:
        jcli = self.inputs.binaries.jcli
        station = PollingStation(self._entrance, [], jcli)
        await station.wait_for_tip(self.inputs.election.times.voting_start)
        while True:
            with suppress(ServiceError):  # the node is away for a moment
                paper = changed(await station.paper())
                return [await fill_in(ballot, paper, jcli) for ballot in ballots]
            await asyncio.sleep(POLL_SECONDS)

    async def _post(
        self, fragments: Sequence[Fragment], is_enough: Callable[[Collection[FragmentStatus]], bool]
    ) -> None:
        """Post fragments, and again what the node does not know any more, until it says enough of all of them."""
        while True:
            with suppress(ServiceError):  # the node is away for a moment
                known = await self._entrance.fragment_statuses([fragment.id for fragment in fragments])
                if new := [fragment.raw for fragment in fragments if fragment.id not in known]:
                    await self._entrance.post_fragments(new)
                elif is_enough(known.values()):
                    return
            await asyncio.sleep(POLL_SECONDS)

    @property
    def _entrance(self) -> NodeRest:
        return self.cluster.members[-1].node

    async def sql(self, statement: str) -> object:
        """Run a statement as the owner of the database, which may be slow; the first value of a query."""
        while True:
            with suppress(TemporaryError):
                async with self.session.transaction("test") as connection:
                    found = await connection.exec_driver_sql(statement)
                    return found.scalar() if found.returns_rows else None

    async def until_sql(self, query: str) -> None:
        """Wait until the value of *query* is a true one."""
        while not await self.sql(query):
            await asyncio.sleep(POLL_SECONDS)

    async def answers(self, member: Member) -> None:
        """Wait until a service does, so that it ends in order when it is asked to, and gives up the lease."""
        while await member.service.state() is None:
            await asyncio.sleep(POLL_SECONDS)
        await self.until_sql("SELECT count(*) FROM lease WHERE NOT stopped")

    async def is_over_for(self, member: Member) -> bool:
        """Whether the election is archived, and a service waits for another and complains of nothing else."""
        if not await self.sql("SELECT count(*) FROM archive WHERE kind = 'final'"):
            return False
        state = await member.service.state()
        return state is not None and _is_over(state)

    async def over(self) -> None:
        """Wait until it is for all services, nothing is left on their disks, and they have reported that."""
        for member in self.cluster.members:
            while not await self.is_over_for(member) or left_on_disk(member.storage):
                await asyncio.sleep(POLL_SECONDS)
        await self.until_sql("SELECT bool_and(phase = 'Waiting') FROM node_status")


def _is_over(state: State) -> bool:
    complaints = {held.type for held in state.conditions} - EXPECTED
    return state.phase is Phase.WAITING and state.election is None and not complaints


@asynccontextmanager
async def world_of(inputs: Inputs, directory: Path, database_url: str, bucket: Bucket) -> AsyncIterator[World]:
    """A world with the election imported and no service started yet; nothing is left of it but logs."""
    outside = Outside(database_url, bucket.endpoint_url, bucket.name)
    settings = {
        "NODE_FSM_VOTING_START_OFFSET_MINUTES": str(OFFSET_MINUTES),
        "NODE_FSM_BLOCK0_TEMPLATE": str(inputs.template),
        "NODE_FSM_JCLI_PATH": str(inputs.binaries.jcli),
        "NODE_FSM_JORM_PATH": str(inputs.binaries.jormungandr),
        "NODE_FSM_LOG_LEVEL": "DEBUG",
        **inputs.settings,
    }
    async with AsyncExitStack() as stack:
        session, store = Session(database_url), S3Store(bucket.endpoint_url)
        stack.push_async_callback(session.close)
        stack.push_async_callback(store.close)
        cluster = Cluster(outside, directory, directory, settings)
        stack.push_async_callback(cluster.close)
        for member in await cluster.add(*inputs.parts):
            is_leader0 = member.part.role is Role.LEADER0
            role = DatabaseRole.LEADER0 if is_leader0 else DatabaseRole.NODE
            member.service.settings["NODE_FSM_DATABASE_URL"] = role.url(database_url)
            if is_leader0:
                member.service.settings["NODE_FSM_MEMBER_KEYS_S3_URI"] = f"s3://{bucket.name}/members"
        for one in inputs.committee:
            key = f"members/{NAME}/{one.key_file.name}"
            await put_object(bucket.endpoint_url, bucket.name, key, one.key_file.read_bytes())
        await import_files(session, inputs.file, inputs.voters, load_template(inputs.template), OFFSET_MINUTES)
        yield World(inputs, cluster, session, store, bucket)
