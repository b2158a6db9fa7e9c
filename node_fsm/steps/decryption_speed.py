"""How fast this machine's jcli opens private votes: measured once with sums that are known, and kept.

What counts is the time on the processor, not on the clock: whatever else a machine does at the moment, an election is
not refused for it.
"""

import json
import resource
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from struct import pack
from time import perf_counter
from typing import Any

from loguru import logger

from node_fsm.aio.processors import processors
from node_fsm.aio.threads import DISK, in_thread
from node_fsm.block0.checks.ballot import private_objectives
from node_fsm.core.decryption import DecryptionLimit, DecryptionSpeed, search_steps, table_steps
from node_fsm.core.model import ElectionSpec
from node_fsm.core.secret import Secret
from node_fsm.ports import Jcli
from node_fsm.steps.context import Context
from node_fsm.storage.files import scratch_directory, write_private

MEMBER_SECRET = Secret("ristretto255_membersk1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq35vk7r")
"""The number 1 as a member's key: a key of nothing."""
MEMBER_KEY = "ristretto255_memberpk1ute2uzn2h388r2yy49su2qz3tavwxzm25kpdmrdk5ev5tcyd94mq9wn8th"

POINTS = {
    0: "0000000000000000000000000000000000000000000000000000000000000000",
    10**6: "64aff78e09b0fa5dccd82b594cd49d431d0fbf8ddd6830e65a0cdcd428d67428",
    10**8: "5cbf8be06abedef7402fe04382bb9cdbdfa0a1c7aec9adb9ebeda7beff5fb663",
}
"""So many times the base point of ristretto255: what is left of a sum of so many votes once it is opened."""

SHARES, SEARCHES = 50, 10
ENOUGH_SECONDS = 0.15
"""A measurement that took so long tells enough: stand-ins are slow, and need no larger one."""

_PLAN_ID = "00" * 32
_TRIALS = 2
_SECONDS = 120.0
"""A call that takes longer, on however busy a machine, says nothing of it."""


async def decryption_limit(ctx: Context, spec: ElectionSpec) -> DecryptionLimit | None:
    """How long private votes of *spec* may take here; None when there are none. Raises what jcli raises."""
    if not private_objectives(spec):
        return None
    return DecryptionLimit(await decryption_speed(ctx), ctx.settings.max_decrypt_seconds)


async def decryption_speed(ctx: Context) -> DecryptionSpeed:
    """This machine's, as it was kept, or measured when jcli is another one than then."""
    version, cores = await ctx.jcli.version(), processors()
    known = ctx.decryption_speed or await in_thread(DISK, _read, ctx.workspace.decryption_speed)
    if known is None or known.jcli != version:
        known = await measure(ctx.jcli, ctx.workspace.root)
        logger.info("decrypting private votes takes here, in seconds: {}", known.document())
        await in_thread(DISK, _write, ctx.workspace.decryption_speed, known)
    ctx.decryption_speed = replace(known, cores=cores)
    return ctx.decryption_speed


async def measure(jcli: Jcli, directory: Path, spent: Callable[[], float] | None = None) -> DecryptionSpeed:
    """Have *jcli* decrypt sums of known votes, with scratch files in *directory*; takes it about a second.

    *spent* gives the processor time of all commands that have ended. Raises what *jcli* raises.
    """
    async with scratch_directory(directory, "decryption-") as scratch:
        trial = _Trial(jcli, scratch, spent or seconds_of_ended_commands)
        one = await trial.seconds(0, [0])
        share = max(0.0, await trial.seconds(0, [0] * SHARES) - one) / (SHARES - 1)
        for power in sorted(POINTS)[1:]:
            table = await trial.seconds(power, [0])
            both = await trial.seconds(power, [power] * SEARCHES)
            if both >= ENOUGH_SECONDS:
                break
    return DecryptionSpeed(
        jcli=await jcli.version(),
        cores=processors(),
        call=max(0.0, one - share),
        share=share,
        table_step=max(0.0, table - one) / table_steps(power),
        search_step=max(0.0, both - table - (SEARCHES - 1) * share) / (SEARCHES * search_steps(power)),
    )


def seconds_of_ended_commands() -> float:
    """The processor time of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Trial:
    def __init__(self, jcli: Jcli, directory: Path, spent: Callable[[], float]) -> None:
        self._jcli = jcli
        self._directory = directory
        self._spent = spent

    async def seconds(self, power: int, votes: Sequence[int]) -> float:
        """What decrypting these votes takes, one option a proposal, each voted on with *power*: the best of a few."""
        plans, share, merged = (self._directory / name for name in ("plans.json", "share.json", "merged.json"))
        await in_thread(DISK, write_private, plans, json.dumps([_plan(power, votes)]).encode())
        shares = await self._jcli.decryption_shares(plans, _PLAN_ID, MEMBER_SECRET)
        await in_thread(DISK, write_private, share, json.dumps(shares).encode())
        await self._jcli.merge_shares([share], merged)
        return min([await self._once(plans, merged) for _ in range(_TRIALS)])

    async def _once(self, plans: Path, merged: Path) -> float:
        result = self._directory / "result.json"
        begin, before = perf_counter(), self._spent()
        await self._jcli.decrypt_results(plans, _PLAN_ID, merged, result, members=1, timeout=_SECONDS)
        # Another command that ends meanwhile counts too, but what one thread did took as long by the clock.
        return min(self._spent() - before, perf_counter() - begin)


def _plan(power: int, votes: Sequence[int]) -> dict[str, Any]:
    """A plan as the node shows it, whose sums are encrypted with nothing: opened by anybody's share."""
    return {
        "id": _PLAN_ID,
        "payload": "private",
        "vote_start": "0.0",
        "vote_end": "1.0",
        "committee_end": "2.0",
        "committee_member_keys": [MEMBER_KEY],
        "proposals": [
            {
                "index": index,
                "proposal_id": f"{index:064x}",
                "options": {"start": 0, "end": 1},
                "votes_cast": 1,
                "tally": {"Private": {"state": {"Encrypted": {"encrypted_tally": _sum(power, count)}}}},
            }
            for index, count in enumerate(votes)
        ],
        "voting_token": f"{'00' * 28}.00",
    }


def _sum(power: int, votes: int) -> str:
    """A fingerprint that nobody compares, the power, and the two halves of a ciphertext."""
    return b64encode(bytes(32) + pack("<Q", power) + bytes(32) + bytes.fromhex(POINTS[votes])).decode()


def _read(file: Path) -> DecryptionSpeed | None:
    """What was kept, None when that is nothing or cannot be read: it is measured again then."""
    try:
        return DecryptionSpeed.parse(json.loads(file.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None


def _write(file: Path, speed: DecryptionSpeed) -> None:
    write_private(file, json.dumps(speed.document()).encode())
