"""What elections will need of the outside, tried before one is due: a condition each, with time to mend it."""

import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import PermanentError, ServiceError, as_service_error
from node_fsm.ports import ObjectStore
from node_fsm.steps.context import Context
from node_fsm.steps.signing_key import own_signing_key

PROBE_NAME = "probe"
PROBE = b"Written once by node-fsm, to know that it can. It may be removed.\n"
"""Lies for good under NODE_FSM_ARCHIVE_S3_URI: whoever may write there once need not be allowed to delete."""

AGAIN_SECONDS = 300.0
AGAIN_AFTER_A_FINDING_SECONDS = 15.0

LEAST_BYTES = 256 * 1024**2
BYTES_PER_VOTER = 2500
"""On the disk, with a vote of everybody: block 0 and its JSON, the node's store, our copy, fragment log and records."""

Problem = tuple[str, str]
"""Reason and message."""


async def findings(ctx: Context, voters: int = 0) -> dict[ConditionType, Problem | None]:
    """What each check found, None for what is well; *voters* are those of the largest election to come, if known."""
    checks: Mapping[ConditionType, Callable[[], Awaitable[object]]] = {
        ConditionType.KEY_UNUSABLE: lambda: own_signing_key(ctx),
        ConditionType.ARCHIVE_UNUSABLE: lambda: _probe_archive(ctx),
        ConditionType.PORT_UNUSABLE: ctx.node.check_ports,
        ConditionType.DISK_SHORT: lambda: check_space(ctx.workspace.root, voters),
    }
    return {condition: await _problem(condition, check) for condition, check in checks.items()}


CONDITIONS = frozenset(
    {
        ConditionType.KEY_UNUSABLE,
        ConditionType.ARCHIVE_UNUSABLE,
        ConditionType.PORT_UNUSABLE,
        ConditionType.DISK_SHORT,
    }
)
"""Those of :func:`findings`."""


class Readiness:
    """Has the checks made every few minutes, sooner while one finds something or when rows of nodes change."""

    def __init__(self) -> None:
        self._due = 0.0
        self._nodes: object = None

    async def keep_checked(self, ctx: Context, voters: int) -> None:
        """Check if that is due, and say in conditions what was found; nothing while the database is away."""
        nodes = ctx.known_overview().nodes
        if ctx.clock.monotonic() < self._due and nodes == self._nodes:
            return
        self._nodes = nodes
        found = await findings(ctx, voters)
        for condition, problem in found.items():
            ctx.conditions.set(condition, problem)
        again = AGAIN_AFTER_A_FINDING_SECONDS if any(found.values()) else AGAIN_SECONDS
        self._due = ctx.clock.monotonic() + again


async def _problem(condition: ConditionType, check: Callable[[], Awaitable[object]]) -> Problem | None:
    try:
        await check()
    except (ServiceError, OSError) as error:
        problem = as_service_error(error, f"looking for {condition}")
        return problem.reason, problem.message
    return None


async def _probe_archive(ctx: Context) -> None:
    """Write a small object as archives are written, if there is none, and read it; raises what the store raises."""
    if ctx.settings.archive_uri is None:
        return
    uri = f"{ctx.settings.archive_uri}/{PROBE_NAME}"
    await write_probe(ctx.store, uri)
    await ctx.store.read(uri, 10 * len(PROBE))


async def write_probe(store: ObjectStore, uri: str) -> bool:
    """Write the small object *uri*, if there is none; whether there was none. Raises what the store raises.

    PermanentError when the store writes over what is there although it was told not to.
    """
    is_new = await store.write_once(uri, PROBE)
    if is_new and await store.write_once(uri, PROBE):
        raise PermanentError(
            "S3WritesOver",
            f"the store wrote {uri} twice, although told to write only what is not there (If-None-Match); archives need"
            " one that does as it is told: correct NODE_FSM_ARCHIVE_S3_URI or NODE_FSM_S3_ENDPOINT_URL",
        )
    return is_new


async def check_space(root: Path, voters: int) -> int:
    """The bytes that are free for *root*; PermanentError when an election with so many *voters* needs more."""
    free = (await in_thread(DISK, shutil.disk_usage, root)).free
    needed = max(LEAST_BYTES, voters * BYTES_PER_VOTER)
    if free < needed:
        raise PermanentError(
            "DiskShort",
            f"{free} bytes are free for {root}, and an election here needs about {needed}; make room in the file system"
            " of NODE_FSM_STORAGE_DIR",
        )
    return free
