"""The other nodes of a chain: whether this node reaches them, and whether they are on the same chain.

A jormungandr without peers says Running and goes on by itself, so do two halves of a cluster that is cut in two, and
its count of peers goes on saying 2 or 3 through minutes of silence. So it is looked for here, in what the nodes tell
each other through ``node_status``: marks of their chains, and whom each found on another one.
"""

from collections.abc import Collection, Sequence

from node_fsm.core.cluster import ChainStatement, Neighbour
from node_fsm.core.conditions import ConditionType
from node_fsm.core.confirmation import Confirmation, Statement, confirm
from node_fsm.core.errors import TemporaryError
from node_fsm.core.marks import Agreement, Mark, compare, mark_heights, shared
from node_fsm.core.phases import Role
from node_fsm.steps.context import Context
from node_fsm.steps.settling import has_settled
from node_fsm.storage.block_copy import BlockCopy

CONDITIONS = frozenset({ConditionType.ISOLATED, ConditionType.SPLIT_BRAIN, ConditionType.CHAIN_BEHIND})

ISOLATED_SECONDS = 15.0
COMPARE_SECONDS = 2.0
"""A few rows each time. Votes that stand on the shorter part of a split expire while nobody sees it."""

SILENT_SECONDS = 150.0
"""A node that reported nothing new for so long says nothing about the chain any more: twice its longest silence."""

BEHIND_BLOCKS = 10
REPORTS_IN_A_ROW = 2
"""One report may be of a block that was replaced a moment later, as happens between leaders of adjacent slots."""

DEEP = 3
"""No such block lies this far below both tips: a difference there needs no second report."""

REMEMBERED_MARKS = 512


class Neighbours:
    """Compares this node with the others of the chain in work, for as long as it runs.

    *leaders* are the keys in block 0.
    """

    def __init__(self, ctx: Context, leaders: Collection[str]) -> None:
        self._ctx = ctx
        self._leaders = tuple(leaders)
        self._began = self._next_comparison = ctx.clock.monotonic()
        self._lonely_since: float | None = None
        self._others: dict[str, _Other] = {}
        self._is_overtaken = False
        self.database_answers = False
        """Whether the database gave what the others reported when it was last asked."""
        self.parted_behind: int | None = None
        """The height of the last block that is known to be shared with a node whose chain looks like another one.

        One report is enough here: what is done about votes by it does no harm when it was of a block replaced a moment
        later. None while all look alike.
        """

    @property
    def alone(self) -> bool:
        """Whether this is the chain's only leader: nobody else makes blocks, so there is nobody to agree with."""
        return self._ctx.policy.role is Role.LEADER0 and len(self._leaders) == 1

    async def compare(self, copy: BlockCopy, *, at_once: bool = False) -> None:
        """State which chain this node is on, and set the conditions about the others.

        *copy* is at the tip of the node, which runs. The others are heard every few seconds, or *at_once*.
        """
        if self.alone:
            return
        ctx, now = self._ctx, self._ctx.clock.monotonic()
        isolation = self._isolation(copy)
        ctx.conditions.set(ConditionType.ISOLATED, isolation)
        if at_once or now >= self._next_comparison:
            self._next_comparison = now + COMPARE_SECONDS
            await self._hear(copy, now)
        # Of itself a node does not look for lost peers again; this is seen without the database.
        ctx.node.overtaken(self._is_overtaken or isolation is not None)
        ctx.state_chain(self._statement(copy))

    def confirmation(self, last_counted: str) -> Confirmation:
        """Which leaders have said, after the end of voting, that they have the block *last_counted*, as this one has.

        Whatever a node said counts, however old: a settled block does not become another one by silence.
        """
        ctx = self._ctx
        overview = ctx.known_overview()
        own = Statement(ctx.settings.hostname, ctx.own_node().leader_id, last_counted)
        said = {name: other.report.last_counted for name, other in self._others.items()}
        others = [
            Statement(node.hostname, node.leader_id, said.get(node.hostname))
            for node in overview.nodes
            if node.hostname != own.hostname
        ]
        return confirm(last_counted, self._leaders, [own, *others])

    def silence(self) -> None:
        """Nothing can be said while the node does not run, and what was known is old when it runs again."""
        self._lonely_since = None
        self._others.clear()
        self._is_overtaken = False
        self.parted_behind = None
        self._ctx.node.overtaken(False)
        self._ctx.state_chain(None)
        for condition in CONDITIONS:
            self._ctx.conditions.clear(condition)

    async def _hear(self, copy: BlockCopy, now: float) -> None:
        ctx = self._ctx
        try:
            reports = await ctx.database.neighbours(ctx.block0_in_work().hash, ctx.settings.hostname)
        except TemporaryError:
            self.database_answers = self._is_overtaken = False
            return  # the chain goes on without the database; what was known of the others stays
        self.database_answers = True
        for report in reports:
            self._others.setdefault(report.hostname, _Other(report, now)).hear(report, copy, now)
        heard = [other for other in self._others.values() if now - other.heard_at < SILENT_SECONDS]
        if heard or now - self._began >= SILENT_SECONDS:  # before that, what an earlier attempt found still holds
            await self._say(heard, copy)

    async def _say(self, heard: Sequence["_Other"], copy: BlockCopy) -> None:
        ctx = self._ctx
        own = ctx.settings.hostname
        apart = [other for other in heard if other.agreement is Agreement.APART or own in other.report.apart]
        ahead = [other for other in heard if other.ahead >= REPORTS_IN_A_ROW]
        if apart or all(other.agreement is Agreement.SAME for other in heard):
            ctx.conditions.set(ConditionType.SPLIT_BRAIN, _split([other.report for other in apart]))
        ctx.conditions.set(ConditionType.CHAIN_BEHIND, _behind([other.report for other in ahead]))
        self._is_overtaken = any(other.report.height > copy.tip.height for other in heard)
        parted = [other.shared for other in heard if other.looks_apart or own in other.report.apart]
        self.parted_behind = min(parted, default=None)

    def _statement(self, copy: BlockCopy) -> ChainStatement:
        ctx = self._ctx
        heights = mark_heights(copy.tip.height)
        last = copy.first_at(ctx.block0_in_work().dates.vote_end)
        return ChainStatement(
            marks=tuple(Mark(height, block_id) for height in heights if (block_id := copy.id_at(height))),
            apart=tuple(sorted(name for name, other in self._others.items() if other.agreement is Agreement.APART)),
            last_counted=last.id if last and has_settled(ctx, copy, last) else None,
        )

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
    """Another node: what it reported last, and what follows from all of that for its chain.

    What stood in the database at the first look may be old; only what changes afterwards is heard.
    """

    def __init__(self, report: Neighbour, now: float) -> None:
        self.report = report
        self.heard_at = now - SILENT_SECONDS
        self.agreement = Agreement.UNKNOWN
        self.ahead = 0
        self.looks_apart = False
        self.shared = 0
        """The height of the last block that both are known to have."""
        self._apart_in_a_row = 0
        self._marks: dict[int, str] = {}
        """By height; those above this node's tip are compared once it has grown."""

    def hear(self, report: Neighbour, copy: BlockCopy, now: float) -> None:
        is_new = report != self.report
        if is_new:
            self.report, self.heard_at = report, now
            self.ahead = self.ahead + 1 if report.height > copy.tip.height + BEHIND_BLOCKS else 0
            self._remember(report.marks)
        if self._marks:
            self._judge(copy, is_new=is_new)

    def _remember(self, marks: Sequence[Mark]) -> None:
        """Add *marks* to those known, unless they are of another chain: then what it was on before counts no more."""
        if any(self._marks.get(mark.height, mark.id) != mark.id for mark in marks):
            self._marks.clear()
        self._marks.update(marks)
        for height in sorted(self._marks)[:-REMEMBERED_MARKS]:
            del self._marks[height]

    def _judge(self, copy: BlockCopy, *, is_new: bool) -> None:
        marks = [Mark(*item) for item in self._marks.items()]
        shallow = compare(marks, copy.tip.height, copy.id_at)
        self.shared = shared(marks, copy.tip.height, copy.id_at)
        self.looks_apart = shallow is Agreement.APART
        if shallow is not Agreement.APART:
            self._apart_in_a_row = 0
            self.agreement = shallow
            return
        self._apart_in_a_row += is_new
        deep = compare(marks, min(copy.tip.height, self.report.height) - DEEP, copy.id_at)
        if deep is Agreement.APART or self._apart_in_a_row >= REPORTS_IN_A_ROW:
            self.agreement = Agreement.APART


def _split(apart: Sequence[Neighbour]) -> tuple[str, str] | None:
    if not apart:
        return None
    wrong_clocks = [other.hostname for other in apart if ConditionType.CLOCK_WRONG in other.conditions]
    hint = f"; the clock of {' and '.join(wrong_clocks)} is wrong, mend that first" if wrong_clocks else ""
    return (
        "TipsDiffer",
        (
            f"{_names(apart)}: on another chain than this node; votes of the shorter part have to be posted again once"
            f" the parts meet; see to it that the nodes reach each other, check p2p_address in jorm_nodes{hint}"
        ),
    )


def _behind(ahead: Sequence[Neighbour]) -> tuple[str, str] | None:
    if not ahead:
        return None
    return (
        "OthersAhead",
        (
            f"{_names(ahead)}: more than {BEHIND_BLOCKS} blocks ahead of this node, which is cut off from them or"
            " copies their blocks too slowly; check that it reaches them, and its machine's load"
        ),
    )


def _names(others: Sequence[Neighbour]) -> str:
    return ", ".join(other.hostname for other in others)
