"""The tally on this machine: what the node says of the votes is recorded, our own count of public votes checked.

The count comes from our own copy of the blocks and must equal the node's. How private votes are opened is in
:mod:`~node_fsm.steps.private_tally`, how the tally gets onto the chain in :mod:`~node_fsm.steps.tally_chain`.
"""

import json
import shutil
from collections.abc import Collection, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from loguru import logger

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.chain.errors import ChainDataError
from node_fsm.chain.recount import PlanCount, ProposalCount, Recount, recount
from node_fsm.core.committee import Results
from node_fsm.core.errors import NOT_AS_EXPECTED, PermanentError, TemporaryError
from node_fsm.core.model import PlanResult
from node_fsm.core.payload_type import PayloadType
from node_fsm.ports.answers import ProposalStatus, VotePlanStatus
from node_fsm.steps.context import Context
from node_fsm.storage.block_copy import BlockCopy
from node_fsm.storage.block_index import CopiedBlock
from node_fsm.storage.files import make_private, move, unfinished, write_private
from node_fsm.storage.workspace import ChainDirectory

VOTE_PLANS_RECORD = "vote-plans.json"


class TallySnapshot(NamedTuple):
    """The node's account of our plans after voting, by plan id: as it printed it, and understood."""

    printed: dict[str, Any]
    plans: Mapping[str, VotePlanStatus]


async def record(ctx: Context, chain: ChainDirectory, copy: BlockCopy, block: CopiedBlock) -> None:
    """Keep what the node says of itself and the votes, each answer as the node printed it.

    Once per election, unless *block*, the first after voting, is another one than then: what was recorded of a chain
    that was given up since says nothing of this one. TemporaryError when the answer about the plans is none.
    """
    if await is_recorded(chain, copy):
        return
    if await in_thread(DISK, chain.record.exists):
        logger.warning("the chain has turned since the votes were recorded; they are recorded anew")
        await in_thread(DISK, shutil.rmtree, chain.record)
    made = unfinished(chain.record)
    await in_thread(DISK, make_private, made)
    await ctx.node.save_records(made)
    await in_thread(LONG, _keep, chain, made, block)


async def is_recorded(chain: ChainDirectory, copy: BlockCopy) -> bool:
    """Whether what the node says of the votes was recorded, and on the chain that *copy* has."""

    def recorded_at() -> str | None:
        return chain.record_block.read_text() if chain.record_block.exists() else None

    if not await in_thread(DISK, chain.record.exists):
        return False
    block_id = await in_thread(DISK, recorded_at)
    return block_id is None or copy.has_block(block_id)


def _keep(chain: ChainDirectory, made: Path, block: CopiedBlock) -> None:
    try:
        _by_id((made / VOTE_PLANS_RECORD).read_bytes())
    except (FileNotFoundError, ValueError) as error:
        raise TemporaryError("NodeAnswerUnknown", f"the node's account of the vote plans is none: {error}") from error
    write_private(chain.record_block, block.id.encode())
    move(made, chain.record)


async def read_snapshot(chain: ChainDirectory, plan_ids: Collection[str]) -> TallySnapshot:
    """The recorded account of our plans; anybody may add plans to a chain, and those are left out.

    PermanentError ``RecordDamaged`` when it is none, or lacks one of *plan_ids*.
    """
    file = chain.record / VOTE_PLANS_RECORD
    try:
        found = _by_id(await in_thread(DISK, file.read_bytes))
        if missing := [plan_id for plan_id in plan_ids if plan_id not in found]:
            raise ValueError(f"it lacks plan {', '.join(missing)}")
        printed = {plan_id: found[plan_id] for plan_id in plan_ids}
        return TallySnapshot(printed, {plan_id: _parse(plan) for plan_id, plan in printed.items()})
    except (ValueError, FileNotFoundError) as error:
        raise PermanentError(
            "RecordDamaged",
            f"{file} is not the node's account of the votes: {error}; move {chain.record} away to have the node asked"
            " again, as long as it runs",
        ) from error


def _by_id(answer: bytes) -> dict[str, Any]:
    """The plans in the node's answer, also those of others, whose shape is not ours to judge; ValueError."""
    try:
        return {str(plan["id"]): plan for plan in json.loads(answer)}
    except NOT_AS_EXPECTED as error:
        raise ValueError(f"it is no list of plans ({error!r})") from error


def _parse(plan: Any) -> VotePlanStatus:
    try:
        return VotePlanStatus.parse(plan)
    except NOT_AS_EXPECTED as error:
        raise ValueError(f"plan {plan['id']} is not understood ({error!r})") from error


async def count(chain: ChainDirectory) -> Recount:
    """Count the votes in the copy of the blocks; PermanentError when it is no valid chain, or not there."""

    def read() -> Recount:
        with chain.blocks.open("rb") as stream:
            return recount(stream)

    try:
        return await in_thread(LONG, read)
    except (ChainDataError, FileNotFoundError) as error:
        raise PermanentError("BlockCopyDamaged", f"{chain.blocks} cannot be recounted: {error}") from error


async def keep_account(chain: ChainDirectory, plans: Mapping[str, Any]) -> None:
    """Put what the node said of *plans* earlier in the place of what it says in the record."""

    def write() -> None:
        file = chain.record / VOTE_PLANS_RECORD
        kept = [plans.get(plan_id, plan) for plan_id, plan in _by_id(file.read_bytes()).items()]
        write_private(file, json.dumps(kept).encode())

    if plans:
        await in_thread(DISK, write)


def check_count(counted: Recount, said: Mapping[str, VotePlanStatus]) -> None:
    """PermanentError when a plan's count exceeds its voting power or differs from what the node *said* of it.

    Of a private plan the numbers of votes are compared: what they say is encrypted.
    """
    for anomaly in counted.anomalies:
        logger.warning("a vote in a block does not count: {}", anomaly)
    for plan_id, plan in counted.plans.items():
        power = counted.block0.power_in(plan.plan)
        is_private = plan.plan.payload_type is PayloadType.PRIVATE
        theirs = [_said(proposal, is_private=is_private) for proposal in said[plan_id].proposals]
        for index, (proposal, answer) in enumerate(zip_longest(plan.proposals, theirs)):
            ours = _counted(proposal) if proposal else None
            if not is_private and ours and ours[1] is not None and sum(ours[1]) > power:
                raise PermanentError(
                    "CountExceedsPower",
                    f"proposal {index} of plan {plan_id} has {sum(ours[1])} votes, but block 0 gave only"
                    f" {power}; nothing is posted, keep blocks.bin and compare it with another node's",
                )
            if ours != answer:
                raise PermanentError(
                    "CountsDiffer",
                    f"proposal {index} of plan {plan_id}: the blocks say {_shown(ours)}, the node says"
                    f" {_shown(answer)}; nothing is posted, compare with another node's chain",
                )


def _said(proposal: ProposalStatus, *, is_private: bool) -> tuple[str, tuple[int, ...] | None]:
    """A proposal's external id and votes by option; of a private one the number of those who voted."""
    return proposal.id, (proposal.votes_cast,) if is_private else proposal.results


def _counted(proposal: ProposalCount) -> tuple[str, tuple[int, ...] | None]:
    """The same of our own count."""
    return proposal.external_id, (proposal.votes_cast,) if proposal.weights is None else proposal.weights


def _shown(counted: tuple[str, tuple[int, ...] | None] | None) -> str:
    """A proposal's external id and votes by option."""
    return f"{list(counted[1] or ())} for {counted[0]}" if counted else "nothing"


def results(counted: Recount, copy: BlockCopy, opened: Mapping[str, Results]) -> list[PlanResult]:
    """What is to be posted, in the order of the plans in block 0; without private plans that are not *opened*."""
    return [
        _result(counted.plans[plan.id], opened.get(plan.id), copy)
        for plan in counted.block0.vote_plans
        if plan.payload_type is PayloadType.PUBLIC or plan.id in opened
    ]


def _result(plan: PlanCount, opened: Results | None, copy: BlockCopy) -> PlanResult:
    found = copy.tally(plan.plan.id)
    return PlanResult(
        plan_id=plan.plan.id,
        votes=opened or tuple(proposal.weights for proposal in plan.proposals if proposal.weights is not None),
        fragment_id=found[0] if found else None,
        on_chain=found is not None,
    )
