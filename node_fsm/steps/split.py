"""The other nodes of a chain: whether this node reaches them, and whether they are on the same chain.

A jormungandr without peers says Running and goes on by itself, and so do two halves of a cluster that is cut in two.
So it is looked for here: in the number of connected peers, and in what the other nodes report to ``node_status``.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import TemporaryError
from node_fsm.core.model import Neighbour
from node_fsm.core.phases import Role
from node_fsm.steps.context import Context
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.files import write_private

CONDITIONS = frozenset({ConditionType.ISOLATED, ConditionType.SPLIT_BRAIN, ConditionType.CHAIN_BEHIND})

ISOLATED_SECONDS = 15.0
COMPARE_SECONDS = 10.0
SILENT_SECONDS = 150.0
"""A node that reported nothing new for so long says nothing about the chain any more: twice its longest silence."""

BEHIND_BLOCKS = 10
REPORTS_IN_A_ROW = 2
"""A single report may be of a block that was replaced a moment later, as happens between leaders of adjacent slots."""


class Neighbours:
    """Compares this node with the others of the chain in work, for as long as it runs; *alone*: there are no others."""

    def __init__(self, ctx: Context, *, alone: bool) -> None:
        self._ctx = ctx
        self._alone = alone
        self._began = self._next_comparison = ctx.clock.monotonic()
        self._lonely_since: float | None = None
        self._others: dict[str, _Other] = {}
        self._database_answers = True

    @classmethod
    def of(cls, ctx: Context, leaders: Collection[str]) -> "Neighbours":
        """Those of this node on a chain with these *leaders* in its block 0."""
        return cls(ctx, alone=ctx.policy.role is Role.LEADER0 and len(leaders) == 1)

    async def compare(self, copy: BlockCopy) -> None:
        """Set the conditions about other nodes; *copy* is at the tip of the node, which runs."""
        if self._alone:
            return
        self._ctx.conditions.set(ConditionType.ISOLATED, self._isolation(copy))
        now = self._ctx.clock.monotonic()
        if now < self._next_comparison:
            return
        self._next_comparison = now + COMPARE_SECONDS
        try:
            reports = await self._ctx.database.neighbours(self._ctx.block0_in_work().hash, self._ctx.settings.hostname)
        except TemporaryError:
            self._database_answers = False
            self._ctx.node.overtaken(False)
            return  # the chain goes on without the database; what was known of the others stays
        self._database_answers = True
        for report in reports:
            self._others.setdefault(report.hostname, _Other(report, now)).hear(report, copy, now)
        heard = [other for other in self._others.values() if now - other.heard_at < SILENT_SECONDS]
        if heard or now - self._began >= SILENT_SECONDS:  # before that, what an earlier attempt found still holds
            await self._say(heard, copy)

    def silence(self) -> None:
        """Nothing can be said while the node does not run, and what was known is old when it runs again."""
        self._lonely_since = None
        self._others.clear()
        self._ctx.node.overtaken(False)
        for condition in CONDITIONS:
            self._ctx.conditions.clear(condition)

    async def agree(self, copy: BlockCopy, until: datetime) -> None:
        """Return once another node has the same chain, or none says anything to the database, or at *until*.

        At once when nothing speaks against it. So a leader 0 that was cut off does not count a part of the votes.
        """
        ctx, began, doubted = self._ctx, self._ctx.clock.monotonic(), False
        slot = ctx.block0_in_work().dates.clock.slot_duration
        listening = max(2 * COMPARE_SECONDS, 2 * slot + COMPARE_SECONDS)
        while not self._alone and ctx.clock.now() < until:
            doubted = doubted or self._is_in_doubt()
            if not doubted:
                return
            await copy.advance(ctx.node.api)
            await self.compare(copy)
            if not self._database_answers:
                began = ctx.clock.monotonic()  # nothing was heard, which is not to say that nobody speaks
            heard = [other for other in self._others.values() if other.heard_at >= began]
            if any(other.agrees for other in heard) and not self._is_in_doubt():
                break
            if not heard and ctx.clock.monotonic() - began >= listening:
                break
            await ctx.next_look(slot)
        ctx.node.overtaken(False)

    def _is_in_doubt(self) -> bool:
        ctx = self._ctx
        is_said = any(type_ in ctx.conditions for type_ in CONDITIONS)
        return is_said or not ctx.node.state.peers_connected or ctx.chain().disputed.exists()

    async def _say(self, heard: Sequence["_Other"], copy: BlockCopy) -> None:
        ctx = self._ctx
        apart = [other.report for other in heard if other.apart >= REPORTS_IN_A_ROW]
        ahead = [other.report for other in heard if other.ahead >= REPORTS_IN_A_ROW]
        ctx.conditions.set(ConditionType.SPLIT_BRAIN, _split(apart))
        ctx.conditions.set(ConditionType.CHAIN_BEHIND, _behind(ahead, copy.tip.height))
        ctx.node.overtaken(any(other.report.height > copy.tip.height for other in heard))
        agreeing = {other.report.hostname for other in heard if other.agrees}
        await in_thread(DISK, self._note_dispute, {other.hostname for other in apart}, agreeing)

    def _note_dispute(self, apart: set[str], agreeing: set[str]) -> None:
        """Keep beside the chain who reported another one, until each of them has reported this one."""
        disputed = self._ctx.chain().disputed
        noted = set(disputed.read_text().split()) if disputed.exists() else set()
        left = (noted | apart) - agreeing
        with suppress(OSError):  # a full disk: it is tried again at the next comparison
            if left and left != noted:
                write_private(disputed, "\n".join(sorted(left)).encode())
            elif not left:
                disputed.unlink(missing_ok=True)

    def _isolation(self, copy: BlockCopy) -> tuple[str, str] | None:
        is_over = copy.tip.date >= self._ctx.block0_in_work().dates.vote_end and self._ctx.policy.role is Role.NODE
        if self._ctx.node.state.peers_connected or is_over:  # then the others stop one by one
            self._lonely_since = None
            return None
        now = self._ctx.clock.monotonic()
        self._lonely_since = self._lonely_since or now
        if now - self._lonely_since < ISOLATED_SECONDS:
            return None
        return (
            "NoPeers",
            (
                "the node runs, and no other node is connected to it: votes may go into blocks that nobody else has;"
                " check that other leaders run, and that the addresses in jorm_nodes.p2p_address are reached"
            ),
        )


class _Other:
    """Another node, and how often in a row it reported a block that is not ours, or a height far above ours.

    What stood in the database at the first look may be old; only what changes afterwards is heard.
    """

    def __init__(self, report: Neighbour, now: float) -> None:
        self.report = report
        self.heard_at = now - SILENT_SECONDS
        self.apart = self.ahead = 0
        self.agrees = False

    def hear(self, report: Neighbour, copy: BlockCopy, now: float) -> None:
        if report == self.report:
            return
        self.report, self.heard_at = report, now
        ours = copy.id_at(report.height)
        self.agrees = ours == report.tip
        if ours is not None:
            self.apart = self.apart + 1 if ours != report.tip else 0
        self.ahead = self.ahead + 1 if report.height > copy.tip.height + BEHIND_BLOCKS else 0


def _split(apart: Sequence[Neighbour]) -> tuple[str, str] | None:
    if not apart:
        return None
    return (
        "TipsDiffer",
        (
            f"{_reported(apart)}, which this node's chain does not have at that height: the chain has split, and votes"
            " of the shorter part will have to be posted again; see to it that the nodes reach each other, check"
            " p2p_address in jorm_nodes"
        ),
    )


def _behind(ahead: Sequence[Neighbour], height: int) -> tuple[str, str] | None:
    if not ahead:
        return None
    return (
        "OthersAhead",
        (
            f"{_reported(ahead)}, and this node is at height {height}: it is cut off from the others or copies their"
            " blocks too slowly; check that it reaches them, and its machine's load"
        ),
    )


def _reported(others: Sequence[Neighbour]) -> str:
    return ", ".join([f"{other.hostname} reported block {other.tip[:8]} at height {other.height}" for other in others])
