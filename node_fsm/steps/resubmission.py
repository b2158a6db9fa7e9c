"""Votes that a node has accepted are followed until a block has them: the node's own word for that proves nothing.

A node that is killed forgets its mempool, one whose chain turns gives up the blocks of a branch, and one whose block
outlasts its slot rejects that block and keeps its votes "Pending" for ever. So what the node logged is compared with
the blocks all the time, and what is in none is posted again, as fast as blocks take it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from loguru import logger

from node_fsm.aio.threads import LONG, in_thread
from node_fsm.chain.fragment_log import FragmentLog, LoggedFragment, PostAgain
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.chain.uncounted import was_in_time
from node_fsm.core.capacity import mempool_entries
from node_fsm.core.chain_time import ChainDates
from node_fsm.core.errors import TemporaryError
from node_fsm.ports.answers import FragmentState
from node_fsm.steps.context import Context
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.workspace import ChainDirectory

AT_ONCE = 8
"""A node passes no more of a batch on to its peers for certain: it drops what overflows the buffer of one, and the peer
with it, which then misses blocks until they have met again."""

IN_LOG = "FragmentAlreadyInLog"
"""The node's word for a fragment that it has seen: waiting, decided, or lost."""

OVERFLOW = "PoolOverflow"

YOUNG_BLOCKS = 3
"""So many blocks may pass without a vote that came in: the mempool holds no more than one can be made of."""

STUCK_BLOCKS = 6
"""After so many more the node is not going to put a vote into a block that it says it has."""

SHARE = 4
"""Of the mempool, one part in so many is filled with what is posted again: new votes need room, too."""

REASONS = 3
"""So many different ones of the node's are told in a line."""

RESTART_SECONDS = 300.0
"""Between two restarts for the sake of votes."""

RESTART_TAKES_SECONDS = 8.0
"""Nearer to the end of voting a restart would bring nothing back."""


class Resubmission:
    """Follows the log of one chain's node, from where it was last read to its end."""

    def __init__(self, chain: ChainDirectory) -> None:
        self._log = FragmentLog(chain.fragments)
        self._again = PostAgain()
        self._occasion: tuple[int, int] | None = None
        """The start of the node, and the loss of blocks, since which what is known below holds."""
        self._seen: dict[str, int] = {}
        """Of all that is in no block: the height at which it came, was posted again, or last asked for."""
        self._unknown: set[str] = set()
        """Of these the node has said that it does not know them."""
        self._posted: set[str] = set()
        self._given: set[str] = set()
        """What other nodes were given to post."""
        self._refused: dict[str, str] = {}
        self._stuck: dict[str, int] = {}
        """What the node says it has: the height at which it was first found to be in no block nevertheless."""
        self._restarted_at: float | None = None
        self._offered: list[LoggedFragment] = []
        self._to_post: list[Fragment] = []

    async def follow(self, ctx: Context, copy: BlockCopy) -> None:
        """Post what has not expired, was not refused and is in no block of *copy*, which is at the node's tip.

        After a start of the node and a loss of blocks that is all; else what should long be in one. What the chain had
        taken already goes first; see :class:`~node_fsm.chain.fragment_log.PostAgain`. A fragment that cannot be applied
        any more is refused by the ledger, so nothing counts twice. Does nothing unless the tip is between the start and
        the end of voting: outside of that the ledger refuses votes, and the node for good.
        """
        dates = ctx.block0_in_work().dates
        if not dates.vote_start <= copy.tip.date < dates.vote_end:
            return
        is_new = self._is_new_occasion((ctx.node.state.starts, copy.losses))
        waiting = await in_thread(LONG, self._waiting, copy, dates)
        height = copy.tip.height
        self._look_at(waiting, height - YOUNG_BLOCKS if is_new else height)
        due = [
            fragment
            for fragment in waiting
            if fragment.id not in self._refused and height - self._seen[fragment.id] >= YOUNG_BLOCKS
        ]
        if due:
            await self._post(ctx, await self._forgotten(ctx, due, height), height)
        self._may_restart(ctx, height)

    def stuck(self, height: int, *, makes_blocks: bool) -> list[Fragment]:
        """What the node says it has, and has put into no block for long.

        One that *makes_blocks* has the time to do so, in its turn; of another one only its peers ever will.
        """
        patience = YOUNG_BLOCKS if makes_blocks else 0
        ids = {id_ for id_, since in self._stuck.items() if height - since >= patience}
        return [entry.fragment for entry in self._again.waiting() if entry.fragment.id in ids]

    def waiting(self) -> list[Fragment]:
        """What was to be posted when that was last looked at: it was in no block, and may still come into one."""
        return self._to_post

    def take(self, entry: LoggedFragment) -> None:
        """Have a fragment of another node posted here, as if it had come now, and at once: it has waited there."""
        self._offered.append(entry)
        self._seen[entry.fragment.id] = -YOUNG_BLOCKS

    def given(self, fragment_ids: Iterable[str]) -> None:
        """Other nodes post these, too: nothing drastic need be done for them here."""
        self._given.update(fragment_ids)

    def expired(self, copy: BlockCopy) -> list[LoggedFragment]:
        """The votes that came in time, and that no block took before they expired."""
        return self._again.expired(copy)

    async def outstanding(self, ctx: Context, copy: BlockCopy) -> list[LoggedFragment]:
        """All votes that came in time, and that no block of *copy*, which is past the end of voting, has."""
        await in_thread(LONG, self._waiting, copy, ctx.block0_in_work().dates)
        waiting = [entry for entry in self._again.waiting() if entry.fragment.kind is FragmentKind.VOTE_CAST]
        with suppress(TemporaryError):  # the node may be gone; why they were refused is then not known
            statuses = await ctx.node.api.fragment_statuses([entry.fragment.id for entry in waiting])
            for id_, status in statuses.items():
                if status.state is FragmentState.REJECTED:
                    self._refused[id_] = status.reason or "no reason given"
        return [*self._again.expired(copy), *waiting]

    def why(self, fragment_id: str) -> str:
        """Why a vote is in no block, as far as this node knows."""
        if fragment_id in self._refused:
            return f"refused: {self._refused[fragment_id]}"
        waits = any(entry.fragment.id == fragment_id for entry in self._again.waiting())
        return "in no block" if waits else "expired"

    def _is_new_occasion(self, occasion: tuple[int, int]) -> bool:
        """Whether it is another one than before: then nothing holds that was known of the mempool."""
        if occasion == self._occasion:
            return False
        self._occasion = occasion
        self._seen.clear()
        self._unknown.clear()
        self._posted.clear()
        self._refused.clear()
        self._stuck.clear()
        return True

    def _look_at(self, waiting: Sequence[Fragment], came: int) -> None:
        """Note what waits; what is new *came* at that height."""
        ids = {fragment.id for fragment in waiting}
        self._seen = {id_: self._seen.get(id_, came) for id_ in ids}
        self._unknown &= ids
        self._posted &= ids
        self._given &= ids
        self._stuck = {id_: since for id_, since in self._stuck.items() if id_ in ids}
        self._refused = {id_: reason for id_, reason in self._refused.items() if id_ in ids}

    async def _forgotten(self, ctx: Context, due: Sequence[Fragment], height: int) -> list[Fragment]:
        """Those of *due* that the node does not know, in the same order; notes what it says of the others.

        It is asked once: what it comes to know since, as its sender posts it too, it says when it is posted again.
        """
        asked = [fragment.id for fragment in due if fragment.id not in self._unknown]
        statuses = await ctx.node.api.fragment_statuses(asked)
        self._unknown.update(id_ for id_ in asked if id_ not in statuses)
        refused = {}
        for id_, status in statuses.items():
            if status.state is FragmentState.REJECTED:
                refused[id_] = status.reason or "no reason given"
            else:
                self._says_it_has(id_, height)
        self._refuse(refused)
        return [fragment for fragment in due if fragment.id in self._unknown]

    async def _post(self, ctx: Context, fragments: Sequence[Fragment], height: int) -> None:
        """Post the first of *fragments*, as many as there is room for beside those that still wait for a block."""
        slot_duration = ctx.block0_in_work().dates.clock.slot_duration
        room = max(0, mempool_entries(slot_duration) // SHARE - len(self._posted))
        accepted, is_full = 0, False
        refused: dict[str, str] = {}
        for start in range(0, min(room, len(fragments)), AT_ONCE):
            batch = fragments[start : min(start + AT_ONCE, room)]
            for posted in await ctx.node.api.post_fragments([fragment.raw for fragment in batch]):
                logger.debug("posted {} again: {}", posted.id, posted.reason or "accepted")
                if posted.accepted:
                    accepted += 1
                    self._unknown.discard(posted.id)
                    self._posted.add(posted.id)
                    self._seen[posted.id] = height
                elif posted.reason == IN_LOG:
                    self._says_it_has(posted.id, height)
                elif posted.reason == OVERFLOW:
                    is_full = True
                else:
                    refused[posted.id] = posted.reason or ""
            if is_full:
                break
        self._refuse(refused)
        if accepted:
            logger.info("posted {} votes again, {} wait for room", accepted, len(fragments) - accepted)

    def _says_it_has(self, fragment_id: str, height: int) -> None:
        self._unknown.discard(fragment_id)
        self._stuck.setdefault(fragment_id, height)
        self._seen[fragment_id] = height  # to be asked again in a few blocks

    def _refuse(self, reasons: Mapping[str, str]) -> None:
        """Note what the node refuses, by id and with its reasons: in one line, there may be thousands."""
        for fragment_id, reason in reasons.items():
            logger.debug("the vote {} is in no block: the node refuses it: {}", fragment_id, reason)
            self._refused[fragment_id] = reason
            self._stuck.pop(fragment_id, None)
        if reasons:
            said = "; ".join(sorted(set(reasons.values()))[:REASONS])
            logger.warning("{} votes are in no block, since the node refuses them: {}", len(reasons), said)

    def _may_restart(self, ctx: Context, height: int) -> None:
        """Start the node anew, as the last means: it then takes again what it has in its log and in no block."""
        stuck = (id_ for id_, since in self._stuck.items() if height - since >= STUCK_BLOCKS)
        lost = [id_ for id_ in stuck if id_ not in self._given]
        now, dates = ctx.clock.monotonic(), ctx.block0_in_work().dates
        is_late = ctx.clock.now() + timedelta(seconds=RESTART_TAKES_SECONDS) > dates.vote_end_time
        is_soon = self._restarted_at is not None and now - self._restarted_at < RESTART_SECONDS
        if lost and not is_soon and not is_late:
            self._restarted_at = now
            ctx.node.restart(f"it keeps {len(lost)} votes to itself that are in no block; they are posted again")

    def _waiting(self, copy: BlockCopy, dates: ChainDates) -> list[Fragment]:
        """What is in no block, in the order in which to post it.

        A vote that came before voting began was refused, and its voter may have voted otherwise since: it stays out. So
        does one that came after voting, and so do those that were refused later, as far as their voters have used the
        same counter again.
        """
        date = copy.tip.date
        self._again.lost(copy.take_lost())
        offered, self._offered = self._offered, []
        for entry in (*self._log.read(), *offered):
            if entry.fragment.kind is not FragmentKind.VOTE_CAST or was_in_time(entry, dates):
                self._again.logged(entry, date, copy)
        self._to_post = self._again.fragments(date, copy, self._refused)
        return self._to_post
