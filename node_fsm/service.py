"""The service: the only place where the parts are wired together, and where their ends are watched."""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

from loguru import logger

from node_fsm import __version__
from node_fsm.aio.threads import DISK, LONG, Threads
from node_fsm.core.conditions import Conditions, ConditionType
from node_fsm.core.machine import build_machine
from node_fsm.core.phases import Role
from node_fsm.core.table import TABLES
from node_fsm.core.view import Policy
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.cluster_status import cluster_status
from node_fsm.database.errors import LOST_CONNECTION
from node_fsm.engine.lease_keeper import LeaseKeeper
from node_fsm.engine.loop import Engine
from node_fsm.log import bind_context
from node_fsm.metrics import Metrics
from node_fsm.node.limits import NodeSettings
from node_fsm.node.supervisor import NodeSupervisor
from node_fsm.ports import MachineClock
from node_fsm.programs.jcli import Jcli
from node_fsm.s3.store import S3Store
from node_fsm.settings.model import Settings
from node_fsm.sidecar.app import create_app
from node_fsm.sidecar.page.status_page import StatusPage
from node_fsm.sidecar.server import SidecarServer
from node_fsm.steps.context import Context, PhaseSettings
from node_fsm.steps.mailbox import Mailbox, Pulse
from node_fsm.steps.versions import watch_programs
from node_fsm.storage.workspace import Workspace
from states import states_of

STOP_SECONDS = 60.0
"""From a signal to the end of the process; the node gets most of it to write its last blocks."""

GOODBYE_SECONDS = 5.0
TICK_LIMIT_SECONDS = 120.0
NAME_THREADS = 4
"""On which asyncio resolves names."""


async def run_service(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then stop everything within a deadline.

    Raises what ended a part of the service by itself: without its engine a service must not go on serving.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    asyncio.get_running_loop().set_exception_handler(left_over)
    asyncio.get_running_loop().set_default_executor(Threads(NAME_THREADS, "names").begin())
    DISK.begin()
    LONG.begin()
    bind_context(hostname=settings.hostname, role=settings.role)
    workspace = Workspace(settings.storage_dir)
    with workspace.exclusively():
        async with AsyncExitStack() as resources:
            service = Service(settings, workspace, resources)
            # What is loaded by now stays. To look at all of it takes the collector up to a quarter of a second on a
            # small machine, and nothing else runs meanwhile, the heartbeat included.
            gc.collect()
            gc.freeze()
            await service.run(stop)


class Service:
    """The parts of one service, wired."""

    def __init__(self, settings: Settings, workspace: Workspace, resources: AsyncExitStack) -> None:
        self._resources = resources
        mailbox = Mailbox()
        self.metrics = Metrics(settings.role)
        self.database = PostgresDatabase(
            settings.database_url.get_secret_value(),
            timed=self.metrics.database_call,
            fingerprints=settings.role is Role.LEADER0,
        )
        store = S3Store(settings.s3_endpoint_url, credentials=settings.aws_credentials(), observe=self.metrics.s3_call)
        for part in (self.database, store):
            resources.push_async_callback(_close, part.close)
        clock = MachineClock()
        self.node = NodeSupervisor(_node_settings(settings), on_change=mailbox.look_again, clock=clock)
        self.ctx = Context(
            settings=PhaseSettings(
                hostname=settings.hostname,
                policy=Policy(
                    role=settings.role,
                    voting_start_offset_minutes=settings.voting_start_offset_minutes,
                    close_grace_minutes=settings.close_grace_minutes,
                    hot_reload=settings.hot_reload,
                ),
                signing_key_uri=settings.signing_key_s3_uri,
                archive_uri=settings.archive_s3_uri,
                block0_template=settings.block0_template,
                service_version=__version__,
                member_keys_uri=settings.member_keys_s3_uri,
                max_decrypt_seconds=settings.max_decrypt_seconds,
            ),
            clock=clock,
            database=self.database,
            store=store,
            jcli=Jcli(settings.jcli_path),
            node=self.node,
            workspace=workspace,
            conditions=Conditions(clock.now),
            metrics=self.metrics,
            mailbox=mailbox,
            looked=Pulse(),
        )
        states = states_of(settings.role)
        if settings.failpoints:  # before anybody takes a port from the context
            from node_fsm_sandbox.failpoints.around import arm  # noqa: PLC0415 - production does not have it

            arm(settings.failpoints, self.ctx, states)
        machine = build_machine(TABLES[settings.role], states)
        self._rescan_seconds = settings.rescan_seconds
        self.engine = Engine(self.ctx, machine, self._rescan_seconds, advertise=settings.node_p2p_advertise)
        self.lease = None
        if settings.role is Role.LEADER0:
            self.lease = LeaseKeeper(self.ctx, workspace.instance, self.engine.unwritten)
        self.page = None
        if settings.status_page:
            self.page = StatusPage(self.engine.board, partial(cluster_status, self.database.session), clock)
        app = create_app(
            self.engine.board,
            self.metrics.registry,
            tick_limit=TICK_LIMIT_SECONDS,
            expose_state=settings.expose_state,
            monotonic=clock.monotonic,
            page=self.page.router if self.page else None,
        )
        self.sidecar = SidecarServer(app, settings.host, settings.port)

    async def run(self, stop: asyncio.Event) -> None:
        """Run all parts until *stop*, or until one of them ends by itself."""
        logger.info("node-fsm {} begins as {}", __version__, self.ctx.policy.role)
        parts: dict[str, Coroutine[Any, Any, None]] = {
            "the sidecar": self.sidecar.serve(),
            "the node's supervisor": self.node.run(),
            "the reporter": self.engine.reporter.run(),
            "the programs' watch": watch_programs(self.ctx, self._rescan_seconds),
            "the engine": self.engine.run(),
            "the notifications": self.database.listen(
                self.ctx.mailbox.database_changed,
                partial(self.ctx.conditions.set, ConditionType.NOTIFICATIONS_LOST),
            ),
        }
        if self.lease:
            parts["the lease keeper"] = self.lease.run()
        if self.page:
            parts["the status page"] = self.page.run()
        tasks = {name: asyncio.create_task(part, name=name) for name, part in parts.items()}
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, *tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
        ended = [task for task in tasks.values() if task.done()]
        logger.info("stopping: {}", f"{ended[0].get_name()} ended" if ended else "asked to")
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._stop(tasks)
        finally:
            stopping.cancel()
        for task in ended:
            task.result()
            raise RuntimeError(f"{task.get_name()} ended without being asked to")

    async def _stop(self, tasks: dict[str, "asyncio.Task[None]"]) -> None:
        """End the parts in order: the engine with the node first, what reports about them last."""
        for name in (
            "the notifications",
            "the programs' watch",
            "the status page",
            "the engine",
            "the lease keeper",
            "the node's supervisor",
            "the reporter",
        ):
            if task := tasks.get(name):
                task.cancel()
                await asyncio.wait({task})
        self.engine.board.stopped = True
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self.engine.reporter.flush()
                if self.lease:
                    await self.lease.release()
        await self.sidecar.stop(GOODBYE_SECONDS)
        await asyncio.wait({tasks["the sidecar"]})


def left_over(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody waited for; what the driver leaves behind when connections are lost is no news."""
    error = context.get("exception")
    if isinstance(error, LOST_CONNECTION):
        logger.debug("{}: {!r}", context["message"], error)
    elif isinstance(error, Exception):
        logger.opt(exception=error).error("{}", context["message"])
    else:
        loop.default_exception_handler(context)


async def _close(close: Callable[[], Awaitable[None]]) -> None:
    """Close connections, and leave those alone whose server is silent: closing them in order waits for its answer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GOODBYE_SECONDS):
            await close()


def _node_settings(settings: Settings) -> NodeSettings:
    return NodeSettings(
        executable=settings.jorm_path,
        rest=settings.node_rest_listen,
        p2p=settings.node_p2p_listen,
        public_address=settings.node_p2p_public_address,
    )
