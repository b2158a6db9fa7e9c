"""Before votes are counted: a majority of the chain's leaders must have the block up to which they are counted."""

from datetime import datetime
from functools import partial
from typing import NamedTuple

from loguru import logger

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.conditions import ConditionType
from node_fsm.core.confirmation import Confirmation
from node_fsm.core.errors import TemporaryError
from node_fsm.core.printable import argument
from node_fsm.steps.context import Context
from node_fsm.steps.next_election import is_held_up
from node_fsm.steps.resubmission import Resubmission
from node_fsm.steps.settling import has_settled
from node_fsm.steps.split import Neighbours
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.files import write_private
from node_fsm.storage.workspace import ChainDirectory

POLL_SECONDS = 1.0
LISTENING_SECONDS = 20.0
LISTENING_SLOTS = 3
"""However late it is, the others are listened to for so long once the database answers: a node reports with every
block, at most every few seconds."""


class Verdict(NamedTuple):
    """How a count that is made anew stands: why it is *disputed*, None when a majority of leaders has its blocks."""

    disputed: str | None


async def agree(
    ctx: Context, neighbours: Neighbours, copy: BlockCopy, votes: Resubmission, until: datetime
) -> str | None:
    """Wait until a majority of leaders has the last counted block of *copy*, or a person says that it is to be counted.

    Follows the chain and *votes* meanwhile: it may turn to that of the others, which may still take votes. At *until*,
    and not before the others were listened to, it gives up: returns why the count is disputed, else None. While the
    database is away nobody is heard; then it gives up at *until* too, since the time to put the tally on the chain is
    finite. Nothing can be posted before the database is back, and then the others are asked after all.
    """
    if neighbours.alone:
        return None
    block0 = ctx.block0_in_work()
    listening = max(LISTENING_SECONDS, LISTENING_SLOTS * block0.dates.clock.slot_duration)
    listening_since: float | None = None
    why = "the others could not be asked: the database did not answer"
    while True:
        confirmation = await _hear(ctx, neighbours, copy, votes)
        now = ctx.clock.monotonic()
        listening_since = (listening_since or now) if neighbours.database_answers else None
        were_heard = listening_since is not None and now - listening_since >= listening
        if confirmation:
            if confirmation.is_majority or await _is_confirmed(ctx, block0.hash):
                ctx.conditions.clear(ConditionType.TALLY_WAITS)
                return None
            why = confirmation.why_not
            if confirmation.differ or were_heard:  # before that, silence is nothing to speak of
                _say_who_is_missing(ctx, confirmation, until)
        if ctx.clock.now() >= until and (were_heard or not neighbours.database_answers):
            ctx.conditions.clear(ConditionType.TALLY_WAITS)
            logger.warning("the votes are counted without a majority of the leaders: {}", why)
            return why
        await _pause(ctx)


async def reconsider(
    ctx: Context, neighbours: Neighbours, copy: BlockCopy, votes: Resubmission, until: datetime
) -> Verdict | None:
    """After a disputed count of *copy* as it is: wait until it is to be made anew, and say how that one stands.

    It is once a majority of leaders has the last counted block: the chain may turn to that of the others meanwhile, or
    theirs to this one. It is also when the chain has turned to that of others who are no majority: what was counted is
    on it no more, so that no archive could show what stands. None at *until*, once a person has confirmed the count as
    it stands, and when another election is due.
    """
    vote_end = ctx.block0_in_work().dates.vote_end
    counted = copy.first_at(vote_end)
    while True:
        confirmation = await _hear(ctx, neighbours, copy, votes)
        if await _is_confirmed(ctx, ctx.block0_in_work().hash):
            return None
        is_over = ctx.clock.now() >= until or is_held_up(ctx)
        last = copy.first_at(vote_end)
        has_turned = last is not None and last != counted
        if confirmation and confirmation.is_majority:
            return Verdict(disputed=None)
        if has_turned and (confirmation or is_over):
            return Verdict(confirmation.why_not if confirmation else "the chain turned, and nobody was heard since")
        if is_over:
            return None
        await _pause(ctx)


async def _hear(ctx: Context, neighbours: Neighbours, copy: BlockCopy, votes: Resubmission) -> Confirmation | None:
    """Follow the chain, and who has its last counted block."""
    await copy.advance(ctx.node.api)
    await votes.follow(ctx, copy)
    await neighbours.compare(copy, at_once=True)
    return _confirmation(ctx, neighbours, copy)


async def _pause(ctx: Context) -> None:
    await ctx.next_look(min(POLL_SECONDS, ctx.block0_in_work().dates.clock.slot_duration / 2))


def _confirmation(ctx: Context, neighbours: Neighbours, copy: BlockCopy) -> Confirmation | None:
    """Who has the last counted block; None before it stays, and while the database does not say who the leaders are."""
    last = copy.first_at(ctx.block0_in_work().dates.vote_end)
    if last is None or not has_settled(ctx, copy, last) or not neighbours.database_answers:
        return None
    try:
        return neighbours.confirmation(last.id)
    except TemporaryError:  # it has just come back, and the engine has not read it again yet
        return None


def _say_who_is_missing(ctx: Context, confirmation: Confirmation, until: datetime) -> None:
    name = ctx.election_in_work().election_name
    ctx.conditions.raise_(
        ConditionType.TALLY_WAITS,
        "MajorityMissing",
        f"the votes of {name} are not counted yet: {confirmation.why_not}; it is waited for until"
        f" {until.isoformat()}, then counted as disputed. Start the missing leaders and let them reach each other; if"
        f" they are gone for good, `node-fsm election confirm {argument(name)}` has this chain counted at once",
    )


async def _is_confirmed(ctx: Context, block0_hash: str) -> bool:
    """Whether a person has said that the chain is to be counted as leader 0 has it."""
    try:
        return await ctx.database.tally_confirmed(block0_hash)
    except TemporaryError:
        return False


async def note(chain: ChainDirectory, disputed: str | None) -> None:
    """Keep beside the chain why its count is disputed: results may be posted by a later life, when nobody is asked."""
    if disputed is None:
        await in_thread(DISK, partial(chain.tally_disputed.unlink, missing_ok=True))
    else:
        await in_thread(DISK, write_private, chain.tally_disputed, disputed.encode())


async def noted(chain: ChainDirectory) -> str | None:
    """Why the count is disputed, None when it is not."""
    try:
        return (await in_thread(DISK, chain.tally_disputed.read_text)) or None
    except FileNotFoundError:
        return None
