"""Waiting: no election is due."""

from node_fsm.core.conditions import ConditionType
from node_fsm.core.current import current, is_to_come
from node_fsm.core.errors import PermanentError
from node_fsm.core.events import Fact
from node_fsm.core.model import ElectionOverview, JournalEntry, Overview
from node_fsm.core.phases import Phase, Role
from node_fsm.core.view import UNKNOWN, Decision
from node_fsm.steps import readiness
from node_fsm.steps.context import Context
from node_fsm.steps.publish import check
from node_fsm.steps.readiness import Readiness
from node_fsm.steps.set_aside import SetAside
from states.base import PhaseState


class Waiting(PhaseState):
    """Leader 0 checks the next election as soon as its row is there, so that a person has time to mend it."""

    phase = Phase.WAITING
    conditions = readiness.CONDITIONS | {ConditionType.ELECTION_INVALID, ConditionType.ELECTION_DOUBTFUL}

    async def run(self, ctx: Context) -> Decision:
        """Never returns: what ends Waiting is decided from the view."""
        checked: Overview | None = None
        journalled: set[int] = set()
        set_aside, ready, voters = SetAside(), Readiness(), 0
        while True:
            overview = ctx.overview()
            is_disk_known = ctx.view is not None and ctx.view.local is not UNKNOWN  # by it one is missed or forgotten
            if ctx.policy.role is Role.LEADER0 and overview is not UNKNOWN and is_disk_known:
                for election in overview.missed:
                    if election.id not in journalled:
                        await _journal_missed(ctx, election)
                        journalled.add(election.id)
                if overview is not checked:  # read anew
                    voters = await _check(ctx, overview)
                    checked = overview
            if overview is not UNKNOWN:
                await ready.keep_checked(ctx, voters)
                await set_aside.clear(ctx)
            ctx.progress()
            await ctx.next_look()


async def _journal_missed(ctx: Context, election: ElectionOverview) -> None:
    entry = JournalEntry(
        hostname=ctx.settings.hostname,
        election_id=election.id,
        election_name=election.name,
        source=Phase.WAITING,
        event=Fact.ELECTION_MISSED,
        target=Phase.WAITING,
        at=election.voting_end,
        reason="voting ended without a block 0",
    )
    await ctx.database.journal([entry])


async def _check(ctx: Context, overview: Overview) -> int:
    """Say in conditions what is wrong with the elections to come; how many voters the largest good one has."""
    now, problems, doubts, voters = ctx.clock.now(), [], [], 0
    for election in (election for election in overview.elections if is_to_come(election, now)):
        try:
            known = ctx.checked.get(election.id)
            if known and known[1] and known[0] == ctx.to_check(election, overview):
                raise known[1]
            if election.forgotten:
                continue
            spec = await ctx.database.specification(election.id)
            doubts += [f"{election.name}: {doubt}" for doubt in (await check(ctx, spec)).warnings]
            voters = max(voters, sum(group.voters for group in spec.groups))
        except PermanentError as error:
            problems.append((election, error))
    _say_problems(ctx, overview, problems)
    ctx.conditions.set(
        ConditionType.ELECTION_DOUBTFUL, ("SpecificationDoubtful", "; ".join(doubts)) if doubts else None
    )
    return voters


def _say_problems(ctx: Context, overview: Overview, problems: list[tuple[ElectionOverview, PermanentError]]) -> None:
    if not problems:
        ctx.conditions.clear(ConditionType.ELECTION_INVALID)
        return
    messages = list(dict.fromkeys(error.message for _, error in problems))
    following = current(overview, ctx.clock.now(), ctx.policy, [election.id for election, _ in problems])
    if following and not any(following.id == election.id for election, _ in problems):
        messages.append(f"meanwhile {following.name} is not held up by that, and goes first")
    ctx.conditions.raise_(ConditionType.ELECTION_INVALID, problems[0][1].reason, "; ".join(messages))
