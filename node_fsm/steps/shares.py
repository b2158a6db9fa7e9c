"""The shares that members posted: each is checked before it is merged, and who is awaited is said."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from node_fsm.aio.threads import LONG, in_thread
from node_fsm.chain.decryption import share_problem
from node_fsm.core.committee import PostedShare
from node_fsm.core.conditions import ConditionType
from node_fsm.core.printable import argument
from node_fsm.core.tally_progress import MemberProgress, TallyProgress
from node_fsm.steps.context import Context
from node_fsm.steps.private_plan import PrivatePlan

_SHOWN = 5
"""Refused shares that are told of at once; anybody who may post can post many."""


class Shares:
    """What was posted for *plans*. Of each member the first share that holds counts, whatever else was posted."""

    def __init__(self, ctx: Context, plans: Sequence[PrivatePlan]) -> None:
        self._ctx = ctx
        self._plans = {plan.id: plan for plan in plans}
        self._posted: tuple[PostedShare, ...] = ()
        self._problems: dict[PostedShare, str | None] = {}
        """What is wrong with each that was looked at: a look takes milliseconds for each proposal."""

    async def take(self) -> None:
        """Read what was posted."""
        self._posted = await self._ctx.database.shares(self._ctx.block0_in_work().hash)

    async def check(self, plan: PrivatePlan) -> None:
        """Look at what was posted for *plan* since, and keep what holds."""
        await in_thread(LONG, self._check, [one for one in self._posted if one.plan_id == plan.id])

    def tell(self) -> None:
        """Say in a condition which shares do not hold."""
        self._check([one for one in self._posted if one.plan_id not in self._plans])
        refused = list(self._refused())
        if not refused:
            self._ctx.conditions.clear(ConditionType.SHARE_REFUSED)
            return
        more = f"; and {len(refused) - _SHOWN} more" if refused[_SHOWN:] else ""
        self._ctx.conditions.raise_(
            ConditionType.SHARE_REFUSED,
            "ShareInvalid",
            f"shares do not hold and are not merged: {'; '.join(refused[:_SHOWN])}{more}; have these members post"
            " theirs again with `node-fsm committee share`, made of the account of the votes in the database",
        )

    def _check(self, posted: Sequence[PostedShare]) -> None:
        for one in posted:
            if one not in self._problems:
                self._problems[one] = problem = self._problem(one)
                if problem is None:
                    plan = self._plans[one.plan_id]
                    if (member := plan.members.index(one.member_key)) not in plan.shares:
                        plan.keep_share(member, one.share)

    def _problem(self, one: PostedShare) -> str | None:
        plan = self._plans.get(one.plan_id)
        if plan is None or not plan.encrypted:
            return "is of a plan without encrypted votes"
        if one.member_key not in plan.members:
            return "has the key of no member"
        if one.snapshot_hash != plan.snapshot_hash:
            return "was made of another account of the votes"
        return share_problem(plan.encrypted, one.member_key, one.share, plan.members)

    def _refused(self) -> Iterator[str]:
        """What was refused of those of whom no share holds: they have to post again."""
        for one, problem in self._problems.items():
            if problem is None:
                continue
            plan = self._plans.get(one.plan_id)
            member = plan.members.index(one.member_key) if plan and one.member_key in plan.members else None
            if plan is None or member is None:
                yield f"that for plan {one.plan_id} of {one.member_key} {problem}"
            elif member in plan.missing:
                yield f"that for plan {one.plan_id} of member {member} ({one.member_key}) {problem}"


def say_who_is_missing(ctx: Context, plans: Sequence[PrivatePlan], until: datetime) -> None:
    """Say of whom shares are missing, and how long they are taken."""
    missing = {member: plan.members[member] for plan in plans for member in plan.missing}
    if not missing:
        ctx.conditions.clear(ConditionType.SHARES_MISSING)
        return
    name, committee_end = ctx.election_in_work().election_name, ctx.block0_in_work().dates.committee_end_time
    members = ", ".join(f"member {member} ({key})" for member, key in sorted(missing.items()))
    ctx.conditions.raise_(
        ConditionType.SHARES_MISSING,
        "SharesMissing",
        f"the private votes of {name} cannot be opened yet, shares are missing of {members}; each of them posts theirs"
        f" with `node-fsm committee share --election {argument(name)} --key-file FILE`: until"
        f" {committee_end.isoformat()} for the tally to come onto the chain, until {until.isoformat()} for results at"
        " all",
    )


def progress(ctx: Context, plans: Sequence[PrivatePlan], until: datetime) -> TallyProgress:
    """How far the opening is."""
    members = dict.fromkeys(key for plan in plans for key in plan.members)  # the same, in the same order, in each
    return TallyProgress(
        block0_hash=ctx.block0_in_work().hash,
        plans=len(plans),
        decrypted=sum(plan.results is not None for plan in plans),
        members=tuple(
            MemberProgress(index, key, sum(plan.members.index(key) in plan.shares for plan in plans))
            for index, key in enumerate(members)
        ),
        until=until,
    )
