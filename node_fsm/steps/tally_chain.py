"""The tally on the chain: posted, followed until it is in a block that has settled, and found again.

A public tally changes nothing that the node shows of a plan, so "done" means: our transaction is in a block of the
chain that has settled. A private one carries the shares and what they open, and is made of the files that have them.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from loguru import logger

from node_fsm.aio.deadline import deadline
from node_fsm.aio.threads import DISK, in_thread
from node_fsm.chain.address import account_address, ed25519_public_key
from node_fsm.chain.block0 import Block0Summary
from node_fsm.chain.limits import LANES
from node_fsm.core.chain_time import BlockDate
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.model import Payer, PlanResult, SignedFragment
from node_fsm.core.payload_type import PayloadType
from node_fsm.ports.answers import FragmentState
from node_fsm.steps.context import Context
from node_fsm.steps.resubmission import Resubmission
from node_fsm.steps.settling import has_settled
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.block_index import CopiedBlock
from node_fsm.storage.files import make_private

ATTEMPTS = 5
WAIT_SLOTS = 20
SHORTEST_WAIT_SECONDS = 30.0

Certificate = Callable[[], Awaitable[str]]
"""Makes the certificate of a plan's tally."""


async def settle(ctx: Context, copy: BlockCopy, date: BlockDate, votes: Resubmission | None = None) -> None:
    """Follow the chain, and *votes* with it, until the copy has a block dated *date* or later that has settled."""
    clock = ctx.block0_in_work().dates.clock
    async with deadline(_patience(ctx), "ChainStandsStill", f"the chain had no settled block dated {date} or later"):
        while True:
            await copy.advance(ctx.node.api)
            if votes:
                await votes.follow(ctx, copy)
            block = copy.first_at(date)
            if block and has_settled(ctx, copy, block):
                return
            await ctx.next_look(clock.slot_duration / 2)


def window_open(ctx: Context, copy: BlockCopy) -> bool:
    """Whether the chain still takes tallies: by the date of its own tip, as long as it moves.

    A chain that stands still for good closes no window by itself, so then this machine's clock counts as well, unless
    it is known to be wrong. One that was set a moment ago is not known to be yet.
    """
    dates, node = ctx.block0_in_work().dates, ctx.node.state
    if copy.tip.date >= dates.committee_end:
        return False
    moves = node.running and node.stalled_since is None
    return moves or ConditionType.CLOCK_WRONG in ctx.conditions or ctx.clock.now() < dates.committee_end_time


def check_still_there(copy: BlockCopy, block: CopiedBlock) -> None:
    """TemporaryError ``ChainTurned`` when the first block after voting, up to which votes were counted, is gone."""
    if not copy.has_block(block.id):
        raise TemporaryError(
            "ChainTurned",
            f"block {block.id}, up to which the votes were counted, is no longer on the chain; they are counted again",
        )


def public_certificates(ctx: Context, chain: Block0Summary) -> dict[str, Certificate]:
    """By plan id what the tallies of the public plans are made with."""
    make = ctx.jcli.public_tally_certificate
    return {plan.id: partial(make, plan.id) for plan in chain.vote_plans if plan.payload_type is PayloadType.PUBLIC}


async def tally_on_chain(
    ctx: Context, copy: BlockCopy, certificates: Mapping[str, Certificate], *, production: bool
) -> None:
    """Have the tally of each plan with one of *certificates* in a settled block, as long as the chain takes tallies.

    *production* says which addresses the chain has.
    """
    plan_ids = list(certificates)
    for attempt in range(ATTEMPTS + 1):
        await copy.advance(ctx.node.api)
        missing = [plan_id for plan_id in plan_ids if copy.tally(plan_id) is None]
        if not missing or not window_open(ctx, copy):
            break
        if attempt == ATTEMPTS:
            raise TemporaryError("TallyNotInBlock", f"the tally of plan {missing[0]} is in no block; trying again")
        await _post_tallies(ctx, copy, {id_: certificates[id_] for id_ in missing}, attempt, production=production)
    newest = max((found[1].date for plan_id in plan_ids if (found := copy.tally(plan_id))), default=None)
    if newest:
        await settle(ctx, copy, newest)
    lost = [plan_id for plan_id in plan_ids if copy.tally(plan_id) is None]
    if lost and window_open(ctx, copy):
        raise TemporaryError("TallyLost", f"the block with the tally of plan {lost[0]} left the chain; trying again")


async def follow_tallies(ctx: Context, copy: BlockCopy, posted: Sequence[PlanResult]) -> None:
    """Follow the chain until the copy has every tally that posted results speak of."""
    expected = {result.fragment_id for result in posted if result.on_chain}
    async with deadline(_patience(ctx), "TallyNotSynced", "the tally that the posted results name did not come"):
        while not all(fragment in copy for fragment in expected):
            await copy.advance(ctx.node.api)
            await ctx.next_look(ctx.block0_in_work().dates.clock.slot_duration / 2)


async def _post_tallies(
    ctx: Context, copy: BlockCopy, certificates: Mapping[str, Certificate], attempt: int, *, production: bool
) -> None:
    """Post the tallies of *certificates* together, and follow each until it is in a block, refused, or forgotten.

    They are spread over the lanes of the account, so that one that is refused makes few others wrong. At each *attempt*
    a plan has another lane: otherwise it would be the same transaction again, and a node that has refused a transaction
    does not look at it a second time.
    """
    assert ctx.signing_key is not None, "Running fetched the key"
    block0 = ctx.block0_in_work()
    public_key = ed25519_public_key(await ctx.jcli.public_key(ctx.signing_key))
    address = account_address(public_key, production=production)
    account = await ctx.node.api.account(public_key.hex())
    if account is None:
        raise PermanentError("AccountMissing", f"the account of {address} is not on the chain, so it cannot tally")
    used: Counter[int] = Counter()
    posted: dict[str, str | None] = {}
    for index, (plan_id, certificate) in enumerate(certificates.items()):
        lane = (index + attempt) % LANES
        payer = Payer(address, account.counters[lane] + used[lane], lane, ctx.signing_key)
        used[lane] += 1
        fragment = await _tally(ctx, await certificate(), payer, block0.dates.clock.expiry(copy.tip.date))
        answer = await ctx.node.api.post_fragment(fragment.raw)
        logger.info("posted the tally of plan {} as {}: {}", plan_id, fragment.id, answer.reason or "accepted")
        posted[fragment.id] = answer.reason
    await _follow(ctx, copy, posted)


async def _tally(ctx: Context, certificate: str, payer: Payer, expiry: BlockDate) -> SignedFragment:
    staging = ctx.chain().staging
    await in_thread(DISK, make_private, staging)
    return await ctx.jcli.transaction(
        certificate,
        payer,
        block0_hash=ctx.block0_in_work().hash,
        expiry=expiry,
        directory=staging,
        authority=payer.secret,
    )


async def _follow(ctx: Context, copy: BlockCopy, posted: Mapping[str, str | None]) -> None:
    """Wait until no tally of *posted* (with why the node did not take it) is on its way any more."""
    slot_duration = ctx.block0_in_work().dates.clock.slot_duration
    pending, were_lost = set(posted), False
    async with deadline(_patience(ctx), "TallyPending", f"tallies came into no block: {', '.join(sorted(posted))}"):
        while pending := {id_ for id_ in pending if id_ not in copy}:
            statuses = await ctx.node.api.fragment_statuses(pending)
            for id_ in list(pending):
                status = statuses.get(id_)
                if status is None or status.state is FragmentState.REJECTED:
                    reason = status.reason if status else posted[id_] or "the node forgot it"
                    logger.warning("the tally {} is not in a block: {}", id_, reason)
                    pending.remove(id_)
                    were_lost = True
            if pending:
                await ctx.next_look(slot_duration / 2)
                await copy.advance(ctx.node.api)
        if were_lost:
            await ctx.next_look(slot_duration)


def _patience(ctx: Context) -> float:
    return max(SHORTEST_WAIT_SECONDS, WAIT_SLOTS * ctx.block0_in_work().dates.clock.slot_duration)
