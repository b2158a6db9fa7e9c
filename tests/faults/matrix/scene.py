"""A small election of one cell's own: the service under test, and around it all that a fault may break."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import asyncpg
import httpx
import psutil
import yaml
from node_fsm_sandbox.election.draw import Ballot, DrawnElection, draw_election, draw_voters
from node_fsm_sandbox.election.importing import import_files, write_election
from node_fsm_sandbox.election.outside import Outside
from node_fsm_sandbox.election.part import Part, rest_url, settings_of
from node_fsm_sandbox.election.polling_station import PollingStation
from node_fsm_sandbox.election.schedule import Times
from node_fsm_sandbox.election.service_process import ServiceProcess
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from sqlalchemy import make_url

from node_fsm.block0.template import load_template
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import ServiceError
from node_fsm.core.phases import Phase, Role
from node_fsm.database.session import Session
from node_fsm.node.rest import NodeRest
from node_fsm.s3.store import S3Store
from node_fsm.sidecar.answers import HeldCondition, State
from tests.contract.binaries import Binaries
from tests.faults.matrix.programs import Programs
from tests.faults.matrix.table import PHASES
from tests.support.bucket import Bucket
from tests.support.polling import HANGING
from tests.support.proxy import FaultyProxy
from tests.support.roles import DatabaseRole
from tests.support.s3_front import S3Front
from tests.support.template import TEMPLATE

POLL_SECONDS = 0.4
"""Many scenes are looked at side by side, and each look costs the service as well as us."""

OFFSET_MINUTES = -0.1
LEAD_SECONDS = 8
TALLYING_SECONDS = 400
VOTERS = 4

WITH_NODE = frozenset({Phase.RUNNING, Phase.TALLYING})


@dataclass
class Scene:
    """One service and what it depends on.

    *database* and *s3* are the networks between the service and its servers; S3 answers as *front* has it.
    """

    directory: Path
    part: Part
    outside: Outside
    bucket: Bucket
    database: FaultyProxy
    s3: FaultyProxy
    front: S3Front
    programs: Programs
    service: ServiceProcess
    node: NodeRest
    leaders: tuple[NodeRest, ...]
    """The nodes that tell of a follower's votes."""

    session: Session
    store: S3Store
    postgres: EmbeddedPostgres
    stack: AsyncExitStack
    """What is undone when the scene is over, after the service has ended."""
    election: DrawnElection | None = None
    voting: float = 60.0
    ballots: list[Ballot] = field(default_factory=list)
    """Those of the election that are to be cast at this service's node, and were not yet."""

    @property
    def role(self) -> str:
        return self.part.kind

    @property
    def storage(self) -> Path:
        return Path(self.service.settings["NODE_FSM_STORAGE_DIR"])

    # The course of the election

    def hold(self, phases: Collection[Phase], passes: int) -> None:
        """Have the service stop the first times that it begins one of *phases* until it is let go.

        Before it is started.
        """
        for phase in phases:
            self._gate(phase).touch()
        holds = [
            f"phase.{phase}:before@{number}=pause:{self._gate(phase)}"
            for phase in phases
            for number in range(1, passes + 1)
        ]
        self.service.settings["NODE_FSM_FAILPOINTS"] = ",".join(holds)

    def let_go(self, phase: Phase) -> None:
        """Have the service begin with the work of *phase*."""
        self._gate(phase).unlink(missing_ok=True)

    def _gate(self, phase: Phase) -> Path:
        return self.directory / f"hold-{phase}"

    async def post_election(self, lead: float = LEAD_SECONDS) -> DrawnElection:
        """Have an operator import the election, whose voting begins in *lead* seconds and takes :attr:`voting`."""
        times = Times.soon(lead, voting=self.voting, tallying=TALLYING_SECONDS)
        election = self.election = draw_election("first", times, draw_voters(Random(1), VOTERS), Random(1))
        self.ballots = list(election.ballots)
        await self._import(election)
        return election

    async def post_another(self, name: str) -> None:
        """Have an operator import an election of the far future."""
        times = Times.soon(86400, voting=self.voting, tallying=TALLYING_SECONDS)
        await self._import(draw_election(name, times, draw_voters(Random(2), VOTERS), Random(2)))

    async def _import(self, election: DrawnElection) -> None:
        file, voters = write_election(election, self.directory / election.name)
        template = load_template(self.directory / "template.yaml")
        await import_files(self.session, file, voters, template, OFFSET_MINUTES)

    async def vote(self, count: int | None = None) -> None:
        """Cast the next *count* ballots, or all that are left, once voting is open; they are in blocks on return."""
        assert self.election, "there is one when it is voted in"
        ballots = self.ballots[:count]
        station = PollingStation(self.node, self.leaders)
        await station.wait_for_tip(self.election.times.voting_start, HANGING)
        await station.settled(await station.cast(ballots), HANGING)
        self.ballots = self.ballots[len(ballots) :]

    # Looking at it

    async def state(self) -> State:
        """What the service says of itself now; it must answer."""
        state = await self.service.state()
        assert state, "the service does not answer"
        return state

    async def until(self, holds: Callable[[State], bool], what: str, seconds: float = HANGING) -> State:
        """The first state of which *holds* is true; AssertionError says *what* did not come about."""
        deadline, state = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            assert self.service.process.is_running(), f"the service has ended, and not: {what}"
            state = await self.service.state()
            if state and holds(state):
                return state
            await asyncio.sleep(POLL_SECONDS)
        raise AssertionError(f"not within {seconds:g} s: {what}; its last state: {state}")

    async def reach(self, phase: Phase) -> State:
        """Wait until the service is in *phase*; Tallying comes when the clock says so."""
        left = 0.0
        if self.election and phase is Phase.TALLYING:
            left = max(0.0, (self.election.times.voting_end - datetime.now(UTC)).total_seconds())
        return await self.until(lambda state: state.phase is phase, f"{phase} is reached", left + HANGING)

    async def until_sql(self, question: str) -> None:
        """Wait until the database says yes."""
        deadline = time.monotonic() + HANGING
        while not await self.sql(question):
            assert time.monotonic() < deadline, f"not within {HANGING:g} s: {question}"
            await asyncio.sleep(POLL_SECONDS)

    async def eventually(self, holds: Callable[[], bool], what: str, seconds: float = HANGING) -> None:
        """Wait until *holds* says so."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
            await asyncio.sleep(POLL_SECONDS)

    async def condition(self, type_: ConditionType, reason: str | None = None) -> HeldCondition:
        """Wait until this condition holds, for this *reason* if one is given."""
        state = await self.until(lambda state: bool(_held(state, type_, reason)), f"{type_} ({reason}) holds")
        return _held(state, type_, reason)[0]

    async def heartbeat(self) -> None:
        """Have the service answer that it lives."""
        try:
            await self.service.heartbeat()
        except httpx.HTTPError as error:
            raise AssertionError(f"no heartbeat: {error!r}") from error

    async def height(self) -> int:
        """How many blocks the node's chain has, once the node answers."""
        async with asyncio.timeout(HANGING):
            while True:
                with suppress(ServiceError):  # it starts
                    return (await self.node.stats()).height
                await asyncio.sleep(POLL_SECONDS)

    def node_process(self) -> psutil.Process | None:
        """The node of the service, or None; not the leash that it is on."""
        for process in self.service.process.children(recursive=True):
            with suppress(psutil.Error):  # it has ended
                command = process.cmdline()
                if "--config" in command and not any(word.endswith("leash.py") for word in command):
                    return process
        return None

    async def sql(self, statement: str, *arguments: object) -> object:
        """Run a statement past the faults; the first value that it returns."""
        connection = await asyncpg.connect(self.outside.database_url.replace("+asyncpg", ""))
        try:
            if statement.startswith("SELECT"):
                return await connection.fetchval(statement, *arguments)
            return await connection.execute(statement, *arguments)
        finally:
            await connection.close()


def _held(state: State, type_: ConditionType, reason: str | None) -> list[HeldCondition]:
    return [held for held in state.conditions if held.type == type_ and reason in {None, held.reason}]


@dataclass(frozen=True, slots=True)
class Place:
    """Where scenes are: their servers, the programs they run, and a directory for all of them."""

    directory: Path
    outside: Outside
    bucket: Bucket
    postgres: EmbeddedPostgres
    binaries: Binaries

    @asynccontextmanager
    async def scene(self, part: Part, leaders: Sequence[Scene] = ()) -> AsyncIterator[Scene]:
        """The scene of one service, which is not started yet; nothing is left of it but its log."""
        directory = self.directory / part.hostname
        directory.mkdir()
        (directory / "template.yaml").write_text(yaml.safe_dump(TEMPLATE))
        programs = Programs(self.binaries, directory / "programs")
        role = DatabaseRole.LEADER0 if part.role is Role.LEADER0 else DatabaseRole.NODE
        url, s3_url = make_url(role.url(self.outside.database_url)), make_url(self.bucket.endpoint_url)
        assert url.port, "it has one"
        assert s3_url.port, "it has one"
        async with AsyncExitStack() as stack:
            front = stack.enter_context(S3Front(s3_url.port))
            database, s3 = (stack.enter_context(FaultyProxy(port)) for port in (url.port, front.port))
            settings = settings_of(part, self.bucket.name, directory / "storage") | {
                "NODE_FSM_DATABASE_URL": url.set(port=database.port).render_as_string(hide_password=False),
                "NODE_FSM_S3_ENDPOINT_URL": f"http://{s3_url.host}:{s3.port}",
                "NODE_FSM_VOTING_START_OFFSET_MINUTES": str(OFFSET_MINUTES),
                "NODE_FSM_BLOCK0_TEMPLATE": str(directory / "template.yaml"),
                "NODE_FSM_JCLI_PATH": str(programs.jcli),
                "NODE_FSM_JORM_PATH": str(programs.jormungandr),
                "NODE_FSM_LOG_LEVEL": "DEBUG",
            }
            service = ServiceProcess(part.hostname, settings, directory / "service.log", directory)
            node = await stack.enter_async_context(NodeRest(rest_url(settings)))
            session, store = Session(self.outside.database_url), S3Store(self.bucket.endpoint_url)
            stack.push_async_callback(session.close)
            stack.push_async_callback(store.close)
            later = await stack.enter_async_context(AsyncExitStack())
            stack.push_async_callback(service.close)
            await self.outside.register([part])
            yield Scene(
                directory,
                part,
                self.outside,
                self.bucket,
                database,
                s3,
                front,
                programs,
                service,
                node,
                tuple(other.node for other in leaders),
                session,
                store,
                self.postgres,
                later,
            )


def order(role: str, phases: Collection[Phase]) -> list[Phase]:
    """*phases* as an election comes to them."""
    return [phase for phase in PHASES[role] if phase in phases]
