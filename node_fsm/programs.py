"""jcli and jormungandr, as far as they tell of themselves: whether they can be run, and which versions they are."""

from collections.abc import Awaitable, Callable

from loguru import logger

from node_fsm.context import Context
from node_fsm.core.errors import ServiceError
from node_fsm.manifest import Versions

PROGRAM_UNUSABLE = "program_unusable"
SANDBOX = "sandbox"


async def ask_versions(ctx: Context) -> Versions:
    """The versions at work, None for a program that does not tell its own; they also go into metrics and conditions.

    That a program cannot be run, or is a stand-in, is said as soon as the service is up, not when an election begins.
    """
    problems: list[ServiceError] = []

    async def ask(version: Callable[[], Awaitable[str]]) -> str | None:
        try:
            return await version()
        except ServiceError as error:
            logger.warning("a version is not known: {}", error)
            problems.append(error)
            return None

    found = Versions(
        service=ctx.settings.service_version,
        jcli=await ask(ctx.jcli.version),
        jormungandr=await ask(ctx.node.version),
    )
    ctx.metrics.versions(found.service, found.jcli or "unknown", found.jormungandr or "unknown")
    ctx.conditions.set(PROGRAM_UNUSABLE, (problems[0].reason, problems[0].message) if problems else None)
    ctx.conditions.set(SANDBOX, _sandbox(found))
    return found


def _sandbox(versions: Versions) -> tuple[str, str] | None:
    stand_ins = [version for version in (versions.jcli, versions.jormungandr) if version and "(sandbox" in version]
    if not stand_ins:
        return None
    return (
        "SandboxBinaries",
        (
            f"this service runs on stand-ins ({', '.join(stand_ins)}), what it decides means nothing; for a real"
            " election set NODE_FSM_JCLI_PATH and NODE_FSM_JORM_PATH to the real programs and restart"
        ),
    )
