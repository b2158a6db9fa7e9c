"""jcli and jormungandr, as far as they tell of themselves: whether they can be run, and which versions they are."""

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger

from node_fsm.archive.manifest import Versions
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import ServiceError, UnexpectedError, as_service_error
from node_fsm.steps.context import Context

RECHECK_SECONDS = 3600.0


async def watch_programs(ctx: Context, retry_seconds: float) -> None:
    """Ask for the versions as soon as the service is up, and again until cancelled: programs are replaced meanwhile.

    Soon, while one cannot be run; whoever else asked may have found that out.
    """
    while True:
        await ask_versions(ctx)
        for _ in range(max(1, round(RECHECK_SECONDS / retry_seconds))):
            await asyncio.sleep(retry_seconds)
            if ConditionType.PROGRAM_UNUSABLE in ctx.conditions:
                break


async def ask_versions(ctx: Context) -> Versions:
    """The versions at work, None for a program that does not tell its own; they also go into metrics and conditions."""
    problems: list[ServiceError] = []

    async def ask(version: Callable[[], Awaitable[str]]) -> str | None:
        try:
            return await version()
        except Exception as error:  # noqa: BLE001 - this is no reason to end a service whose node runs
            problem = as_service_error(error, "asking a program for its version")
            if isinstance(problem, UnexpectedError):
                logger.opt(exception=error).error("{}", problem)
            else:
                logger.warning("a version is not known: {}", problem)
            problems.append(problem)
            return None

    found = Versions(
        service=ctx.settings.service_version,
        jcli=await ask(ctx.jcli.version),
        jormungandr=await ask(ctx.node.version),
    )
    ctx.metrics.versions(found.service, found.jcli or "unknown", found.jormungandr or "unknown")
    ctx.conditions.set(ConditionType.PROGRAM_UNUSABLE, (problems[0].reason, problems[0].message) if problems else None)
    if not problems:  # a program that does not answer now may be a stand-in all the same
        ctx.conditions.set(ConditionType.SANDBOX, _sandbox(found))
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
