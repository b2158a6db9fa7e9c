"""A machine of the cluster: the real engine, phases and steps over simulated ports, started, stopped and killed."""

import asyncio
import shutil
from collections.abc import Coroutine
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

from node_fsm.core.conditions import Conditions, ConditionType
from node_fsm.core.decryption import DecryptionSpeed
from node_fsm.core.errors import TemporaryError
from node_fsm.core.machine import build_machine
from node_fsm.core.phases import Phase, Role
from node_fsm.core.secret import Secret
from node_fsm.core.table import TABLES
from node_fsm.core.view import Policy
from node_fsm.engine.lease_keeper import LeaseKeeper
from node_fsm.engine.loop import Engine
from node_fsm.metrics import Metrics
from node_fsm.ports import Database, Jcli, Node, ObjectStore
from node_fsm.steps.context import Context, PhaseSettings
from node_fsm.steps.mailbox import Mailbox, Pulse
from node_fsm.storage.workspace import Workspace
from states import states_of
from tests.simulation.clock import HostClock
from tests.simulation.database import SimulatedDatabase
from tests.simulation.faults import Faults, Faulty, Port
from tests.simulation.loop import Process, SimulationLoop
from tests.simulation.network import DATABASE, S3, Network
from tests.simulation.node import Nodes, SimulatedNode
from tests.support.chain_node import NODE_AWAY
from tests.support.fake_jcli import FakeJcli, public_key
from tests.support.memory_database import DATABASE_AWAY
from tests.support.memory_store import S3_AWAY, MemoryStore

JCLI_AWAY = TemporaryError("CommandTimeout", "jcli did not end in time")
ARCHIVES = "s3://archive/elections"
RESCAN_SECONDS = 30.0
GRACE_MINUTES = 5


class Host:
    """One machine with its disk. Between two lives of its service nothing but the disk is left."""

    def __init__(
        self,
        name: str,
        role: Role,
        key: Secret | None,
        *,
        directory: Path,
        template: Path,
        network: Network,
        nodes: Nodes,
        database: SimulatedDatabase,
        store: MemoryStore,
        faults: Faults,
        hot_reload: bool,
    ) -> None:
        self.name = name
        self.role = role
        self.clock = HostClock()
        self.network = network
        self.node = SimulatedNode(name, public_key(key) if key else None, nodes, nodes.clock, self._node_changed)
        self.lives = 0
        self.mishaps: list[str] = []
        """What must never happen in a service."""
        self.process: Process | None = None
        self.ctx: Context | None = None
        self._key_uri = f"s3://keys/{name}" if key else None
        if key and self._key_uri:
            store.objects[self._key_uri] = f"{key.reveal()}\n".encode()
        self._directory = directory
        self._template = template
        self._database = database
        self._store = store
        self._faults = faults
        self._hot_reload = hot_reload
        self._all_processes: list[Process] = []
        self._begun: list[Coroutine[Any, Any, Any]] = []
        self._parts: dict[str, asyncio.Task[Any]] = {}
        self._engine: Engine | None = None
        self._keeper: LeaseKeeper | None = None

    @property
    def is_up(self) -> bool:
        return self.process is not None and not self.process.is_dead

    @property
    def phase(self) -> Phase | None:
        """The phase of the service; None while there is none."""
        return self.ctx.phase if self.ctx and self.is_up else None

    @property
    def workspace(self) -> Workspace:
        return Workspace(self._directory)

    def start(self) -> None:
        """Begin a life of the service, unless there is one."""
        if self.is_up:
            return
        self.lives += 1
        loop = cast("SimulationLoop", asyncio.get_running_loop())
        self.process = process = Process(f"{self.name} {self.lives}", loop)
        self._all_processes.append(process)
        process.on_death.append(self.node.end)  # its leash ends it
        self._directory.mkdir(exist_ok=True)
        database = cast("SimulatedDatabase", self._database.another_process())
        ctx = self.ctx = self._context(database)
        process.on_death.append(partial(_forget, self._database, ctx.mailbox.database_changed))
        self._engine = Engine(
            ctx, build_machine(TABLES[self.role], states_of(self.role)), RESCAN_SECONDS, advertise=f"/dns4/{self.name}"
        )
        parts: dict[str, Coroutine[Any, Any, Any]] = {
            "notifications": ctx.database.listen(
                ctx.mailbox.database_changed, partial(ctx.conditions.set, ConditionType.NOTIFICATIONS_LOST)
            ),
            "engine": self._engine.run(),
            "reporter": self._engine.reporter.run(),
        }
        if self.role is Role.LEADER0:
            self._keeper = LeaseKeeper(ctx, ctx.workspace.instance, self._engine.unwritten)
            parts["lease keeper"] = self._keeper.run()
        self._begun += parts.values()
        self._parts = {name: process.start(self._watched(name, part)) for name, part in parts.items()}

    def kill(self) -> None:
        """End the service, and its node, where they are."""
        if self.process:
            self.process.kill()

    def stop(self) -> "asyncio.Task[None] | None":
        """Have the service end as SIGTERM has it; the task ends with it."""
        return self.process.start(self._stop()) if self.is_up and self.process else None

    def lose_disk(self) -> None:
        """The service ends, and nothing of the machine's disk is left."""
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def bury(self) -> None:
        """Let go of all lives; at the end of a simulation."""
        for process in self._all_processes:
            process.kill()
            process.bury()
        for part in self._begun:  # some never came to their first step
            with suppress(BaseException):
                part.close()

    async def _stop(self) -> None:
        """In the order of the service's own."""
        assert self.process, "only what was started is stopped"
        for name in ("notifications", "engine", "lease keeper", "reporter"):
            if part := self._parts.get(name):
                part.cancel()
                await asyncio.wait({part})
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                if self._engine:
                    await self._engine.reporter.flush()
                if self._keeper:
                    await self._keeper.release()
        self.process.kill()

    async def _watched(self, name: str, part: Coroutine[Any, Any, Any]) -> None:
        try:
            await part
        except Exception as error:  # noqa: BLE001 - that is what is watched for
            self.mishaps.append(f"{name} of {self.name} ended: {error!r}")

    def _node_changed(self) -> None:
        if self.ctx and self.is_up:
            self.ctx.mailbox.look_again()

    def _context(self, database: SimulatedDatabase) -> Context:
        mailbox = Mailbox()
        return Context(
            settings=PhaseSettings(
                hostname=self.name,
                policy=Policy(
                    self.role,
                    voting_start_offset_minutes=-1,
                    close_grace_minutes=GRACE_MINUTES,
                    hot_reload=self._hot_reload,
                ),
                signing_key_uri=self._key_uri,
                archive_uri=ARCHIVES,
                block0_template=self._template,
                service_version="0",
            ),
            clock=self.clock,
            database=cast("Database", self._port(database, "database", DATABASE_AWAY, DATABASE, {"listen", "notify"})),
            store=cast("ObjectStore", self._port(self._store, "store", S3_AWAY, S3)),
            jcli=cast("Jcli", self._port(FakeJcli(), "jcli", JCLI_AWAY)),
            node=cast("Node", _FaultyNode(self.node, self._port(self.node, "node", NODE_AWAY))),
            workspace=self.workspace,
            conditions=Conditions(self.clock.now),
            metrics=_metrics(self.role),
            mailbox=mailbox,
            looked=Pulse(),
            decryption_speed=DecryptionSpeed("jcli of the tests", 1, 0.01, 1e-4, 1e-6, 1e-6),
        )

    def _port(
        self, target: Any, name: str, away: TemporaryError, place: str | None = None, never: set[str] | None = None
    ) -> Faulty:
        is_reached = partial(self.network.reaches, self.name, place) if place else lambda: True
        return Faulty(target, Port(name, away, is_reached), self._faults, never=frozenset(never or ()))


class _FaultyNode:
    """The node's port: what is asked of its REST interface may fail, what is asked of its supervisor does not."""

    def __init__(self, node: SimulatedNode, faulty: Faulty) -> None:
        self._node = node
        self.api = faulty
        self.save_records = faulty.save_records
        self.version = faulty.version
        self.check_ports = faulty.check_ports

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)


@cache
def _metrics(role: Role) -> Metrics:
    """Those of all services of a role: to make them takes longer than an election, and nobody reads them here."""
    return Metrics(role)


def _forget(database: SimulatedDatabase, listener: Any) -> None:
    database.listeners[:] = [other for other in database.listeners if other != listener]
