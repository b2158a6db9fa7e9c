"""All checks of a machine before its service begins, or beside it: each ends in time, and leaves nothing behind."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress

from node_fsm.core.errors import ServiceError
from node_fsm.database.session import Session
from node_fsm.preparation.cluster import ClusterChecks
from node_fsm.preparation.database import DatabaseChecks
from node_fsm.preparation.finding import Check, Finding, Verdict, examine
from node_fsm.preparation.machine import Machine
from node_fsm.preparation.objects import ObjectChecks
from node_fsm.preparation.programs import Programs, template
from node_fsm.s3.trial import TrialStore
from node_fsm.settings.errors import SettingsError
from node_fsm.settings.model import Settings, load_settings

SECONDS = 20.0
"""For each check; one whose thread waits for S3 ends a little later."""

PROGRAM_SECONDS = 40.0
COUNTING_SECONDS = 60.0
S3_SECONDS = 5.0


async def check(environ: Mapping[str, str]) -> AsyncGenerator[Finding, None]:
    """What can be seen of this machine alone: settings, template, programs. Nothing is connected to."""
    try:
        settings = load_settings(environ, Settings)
    except SettingsError as error:
        for problem in error.problems:
            yield Finding("settings", "environment", Verdict.FAILED, problem)
        for name in ("template", "programs"):
            yield Finding("settings", name, Verdict.SKIPPED, "the settings are to be mended first")
        return
    yield Finding("settings", "environment", Verdict.OK, f"{settings.role} {settings.hostname}")
    for finding in await _static(settings):
        yield finding


async def doctor(settings: Settings) -> AsyncGenerator[Finding, None]:
    """Everything that a service with these *settings* needs, in the order in which it is best mended."""
    for finding in await _static(settings):
        yield finding
    session = Session(settings.database_url.get_secret_value())
    try:
        async with aclosing(_live(settings, session)) as findings:
            async for finding in findings:
                yield finding
    finally:
        await session.close()


async def _static(settings: Settings) -> list[Finding]:
    programs = Programs(settings.jcli_path, settings.jorm_path)
    return [
        await examine("settings", "template", lambda: template(settings.block0_template), SECONDS),
        await examine("programs", "jcli", programs.jcli, PROGRAM_SECONDS),
        await examine("programs", "jormungandr", programs.jormungandr, PROGRAM_SECONDS),
    ]


async def _live(settings: Settings, session: Session) -> AsyncGenerator[Finding, None]:
    database, machine = DatabaseChecks(session, settings.role), Machine(settings)
    async for finding in _all(
        "database",
        {
            "answer": database.reachable,
            "schema": database.schema,
            "rights": database.privileges,
            "notifications": database.notifications,
            "clock": database.clock,
            "rows": database.rows,
        },
    ):
        yield finding
    with suppress(ServiceError):  # said above
        machine.voters = await database.voters()
    async for finding in _all(
        "machine",
        {
            "directory": machine.storage,
            "space": machine.space,
            "ports": machine.ports,
            "REST interface": machine.exposure,
        },
    ):
        yield finding
    cluster = ClusterChecks(session, settings, database)
    async for finding in _all(
        "cluster",
        {
            "role": cluster.role,
            "versions": cluster.versions,
            "address": cluster.address,
            "peers": cluster.peers,
        },
    ):
        yield finding
    async with aclosing(_objects(settings, database)) as findings:
        async for finding in findings:
            yield finding


async def _objects(settings: Settings, database: DatabaseChecks) -> AsyncGenerator[Finding, None]:
    try:
        store = TrialStore(settings.s3_endpoint_url, credentials=settings.aws_credentials(), timeout=S3_SECONDS)
    except ServiceError as error:
        yield Finding("S3", "settings", Verdict.FAILED, str(error))
        return
    objects = ObjectChecks(store, settings)
    try:
        async for finding in _all(
            "S3",
            {
                "key": lambda: objects.key(database.overview),
                "members' keys": objects.member_keys,
                "write": objects.write,
                "read": objects.read,
                "missing objects": objects.missing,
                "parts": objects.multipart,
                "uploads": objects.uploads,
                "what was written": objects.leftovers,
            },
        ):
            yield finding
    finally:
        await objects.clean()  # also when a person has interrupted it
        await store.close()


async def _all(area: str, checks: Mapping[str, Check]) -> AsyncIterator[Finding]:
    for name, made in checks.items():
        yield await examine(area, name, made, SECONDS)
