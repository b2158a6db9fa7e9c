"""The tally of private plans: members' shares are awaited, checked and merged, and what they open is kept.

All of it is made of the node's account of the votes that was stored first, and of the shares in the database. So an
earlier life may have been cut off anywhere, and its disk may be gone.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from loguru import logger

from node_fsm.aio.processors import processors
from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.chain.decryption import result_problem
from node_fsm.chain.recount import Recount
from node_fsm.core.committee import Results
from node_fsm.core.conditions import ConditionType
from node_fsm.core.current import closing_time
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.payload_type import PayloadType
from node_fsm.steps.context import Context
from node_fsm.steps.member_keys import post_own_shares
from node_fsm.steps.private_plan import PrivatePlan, encrypted_sums, read_private_plan, read_result
from node_fsm.steps.shares import Shares, progress, say_who_is_missing
from node_fsm.steps.tally import count, keep_account, read_snapshot
from node_fsm.steps.tally_chain import Certificate
from node_fsm.storage.workspace import ChainDirectory

CONDITIONS = frozenset({ConditionType.SHARES_MISSING, ConditionType.SHARE_REFUSED, ConditionType.MEMBER_KEY_UNUSABLE})
"""What is said while private votes are opened."""

POLL_SECONDS = 15.0
"""So often shares and members' keys are looked for without a notification."""

SLACK = 2.0
"""Plans are decrypted beside each other and the node: one may take so many times as long as it would alone."""


class PrivateTally:
    """The private plans of the chain in work; made by :meth:`of`. Without such plans it does nothing."""

    def __init__(self, ctx: Context, plans: Sequence[PrivatePlan]) -> None:
        self._ctx = ctx
        self._plans = plans
        self._shares = Shares(ctx, plans)
        self._until = closing_time(ctx.block0_in_work().dates.committee_end_time, ctx.policy)
        self._read: tuple[object, float] | None = None
        """The reading of the database since which shares were looked for, and when they were."""
        self._posted: set[tuple[str, str]] = set()
        self._one_check = asyncio.Lock()
        """Checks are Python's work, of which one is done at a time whatever the cores: the first is to end soon."""
        self._processors = asyncio.Semaphore(processors())

    @classmethod
    async def of(
        cls, ctx: Context, chain: ChainDirectory, counted: Recount, account: Mapping[str, Any]
    ) -> "PrivateTally":
        """Store the node's *account* of the plans by id, unless one stands: all shares are made of the one that stands.

        What earlier lives have opened is taken from the database, or from the chain. A plan is left out when the votes
        on the chain are others than those that stand.
        """
        if not counted.block0.private_plans:
            return cls(ctx, ())
        hash_ = ctx.block0_in_work().hash
        await ctx.database.save_tally_snapshot(hash_, dict(account))
        plans = await _read(ctx, chain, counted)
        known = {plan.id: encrypted_sums(account[plan.id]) for plan in plans}
        differing = [plan for plan in plans if plan.encrypted and known[plan.id] not in {(), plan.encrypted}]
        if differing:
            await ctx.database.save_tally_snapshot(hash_, dict(account), anew=True)
            plans = await _read(ctx, chain, counted)
        for plan in [plan for plan in plans if plan.encrypted and known[plan.id] not in {(), plan.encrypted}]:
            logger.error(
                "the encrypted votes of plan {} on the chain are not those of which members have posted shares; it"
                " stays closed: two sums opened would tell the votes by which they differ",
                plan.id,
            )
            plans.remove(plan)
            await in_thread(DISK, shutil.rmtree, plan.directory)
        # A node that has a tally does not show the sums any more, and the archive is to have them.
        await keep_account(chain, {plan.id: plan.printed for plan in plans if plan.encrypted and not known[plan.id]})
        return cls(ctx, plans)

    @property
    def certificates(self) -> dict[str, Certificate]:
        """What the tally of each plan that is open is made with."""
        make = self._ctx.jcli.private_tally_certificate
        return {plan.id: partial(make, plan.id, plan.result, plan.merged) for plan in self._plans if plan.is_kept}

    async def keep(self) -> None:
        """Have beside the chain what the database has of shares and results."""
        await self._shares.take()
        await self._open_all()

    async def results(self, follow: Callable[[], Awaitable[None]]) -> dict[str, Results]:
        """The votes of the plans, kept in the database and beside the chain. Waits for members' shares meanwhile.

        Calls *follow* at every look. Plans whose shares have not come until the grace after tallying has ended are
        left out, and what keeps such plans closed is no failure any more.
        """
        ctx = self._ctx
        while self._plans:
            is_over = self._is_over
            await self._gather(at_once=is_over)
            await self._decrypt(is_over)
            closed = self._closed
            self._tell(closed)
            if not closed or is_over:
                break
            await follow()
            await ctx.next_look(POLL_SECONDS)
        return {plan.id: plan.results for plan in self._plans if plan.results is not None}

    @property
    def _is_over(self) -> bool:
        return self._ctx.clock.now() >= self._until

    @property
    def _closed(self) -> list[PrivatePlan]:
        return [plan for plan in self._plans if plan.results is None]

    def _tell(self, closed: Sequence[PrivatePlan]) -> None:
        say_who_is_missing(self._ctx, closed, self._until)
        self._ctx.tally_progress = told = progress(self._ctx, self._plans, self._until)
        self._ctx.metrics.plans_decrypted(told.decrypted, told.plans)

    async def _gather(self, *, at_once: bool) -> None:
        """Take the shares that are there, when the database was read anew, or it is some time since."""
        ctx, now = self._ctx, self._ctx.clock.monotonic()
        if not at_once and self._read and self._read[0] is ctx.overview() and now - self._read[1] < POLL_SECONDS:
            return
        if self._read is None or self._read[0] is not ctx.overview():
            await self._require_sums()
        self._read = (ctx.overview(), now)
        await self._shares.take()
        if ctx.settings.member_keys_uri is not None:  # whose shares are still to be made
            for plan in self._closed:
                await self._shares.check(plan)
        if await post_own_shares(ctx, self._closed, self._posted):
            await self._shares.take()

    async def _require_sums(self) -> None:
        """See that members still find what they open: the database may have been restored to a copy of before."""
        saved = await self._ctx.database.tally_snapshots(self._ctx.block0_in_work().hash)
        standing = {snapshot.plan_id: snapshot.hash for snapshot in saved}
        if any(standing.get(plan.id) != plan.snapshot_hash for plan in self._closed):
            raise TemporaryError(
                "SumsForgotten",
                "the database has the encrypted sums no more that members open; they are stored again, and shares that"
                " are gone with them have to be posted again",
            )

    async def _decrypt(self, is_over: bool) -> None:
        """Open the plans of which all shares are there."""
        for plan, error in await self._open_all():
            if isinstance(error, ServiceError) and is_over:
                logger.error("plan {} stays closed: {}", plan.id, error)
            else:
                raise error

    async def _open_all(self) -> list[tuple[PrivatePlan, BaseException]]:
        """Open, side by side, what can be; those that fail do not keep the others, and come back with their errors.

        One plan's shares are checked while another is decrypted.
        """
        ready = [plan for plan in self._plans if not plan.is_kept]
        ends = await asyncio.gather(*map(self._open, ready), return_exceptions=True)
        self._shares.tell()
        return [(plan, error) for plan, error in zip(ready, ends, strict=True) if error]

    async def _open(self, plan: PrivatePlan) -> None:
        """Decrypt a plan if all shares hold, unless an earlier life has; what comes out is kept before it is known."""
        async with self._one_check:
            await self._shares.check(plan)
        if not plan.is_complete:
            return
        async with self._processors:
            files = [plan.share_file(member) for member in range(len(plan.members))]
            await self._ctx.jcli.merge_shares(files, plan.merged)  # in the order of the members in the plan
            if plan.claimed:
                if problem := await self._problem(plan, plan.claimed):
                    raise PermanentError(
                        "ResultNotProven", f"vote_plan.decrypted of plan {plan.id} is not its result: {problem}"
                    )
                await in_thread(DISK, plan.keep_result, plan.claimed)
            results = await in_thread(DISK, read_result, plan.result)
            if results is None or await self._problem(plan, results):
                timeout = SLACK * self._ctx.settings.max_decrypt_seconds
                await self._ctx.jcli.decrypt_results(
                    plan.snapshot, plan.id, plan.merged, plan.result, members=len(plan.members), timeout=timeout
                )
                results = await in_thread(DISK, read_result, plan.result)
            problem = await self._problem(plan, results) if results else "it cannot be read"
            if problem or results is None:
                raise PermanentError(
                    "ResultNotProven", f"what jcli decrypted of plan {plan.id} is not its result: {problem}"
                )
        await self._ctx.database.save_decrypted(self._ctx.block0_in_work().hash, {plan.id: results})
        plan.results, plan.is_kept = results, True
        logger.info("plan {} is decrypted", plan.id)

    async def _problem(self, plan: PrivatePlan, results: Results) -> str | None:
        """Why *results* are not what the members' shares open, or are more than there is power."""
        for index, votes in enumerate(results):
            if sum(votes) > plan.power:
                return f"proposal {index} has {sum(votes)} votes, but block 0 gave only {plan.power}"
        shares = [plan.shares[member] for member in range(len(plan.members))]
        return await in_thread(LONG, result_problem, plan.encrypted, shares, results)


async def _read(ctx: Context, chain: ChainDirectory, counted: Recount) -> list[PrivatePlan]:
    """The private plans of a chain, as the account that stands has them, with the results that are known."""
    hash_ = ctx.block0_in_work().hash
    saved = {snapshot.plan_id: snapshot for snapshot in await ctx.database.tally_snapshots(hash_)}
    results = await ctx.database.decrypted(hash_)

    def read() -> Iterator[PrivatePlan]:
        for index, certificate in counted.block0.private_plans:
            power = counted.block0.power_in(certificate)
            plan = read_private_plan(chain, index, certificate, power, saved[certificate.id])
            plan.results = _opened_on_chain(counted, plan.id)
            plan.claimed = results.get(plan.id) or plan.results
            yield plan

    return await in_thread(DISK, lambda: list(read()))


async def keep_tally(ctx: Context, chain: ChainDirectory) -> None:
    """Have beside the chain, for its archive, the tally of private plans whose results stand: the disk may be new."""
    saved = await ctx.database.tally_snapshots(ctx.block0_in_work().hash)
    if any(plan.printed["payload"] == PayloadType.PRIVATE for plan in saved):
        account = await read_snapshot(chain, [plan.plan_id for plan in saved])
        await (await PrivateTally.of(ctx, chain, await count(chain), account.printed)).keep()


def _opened_on_chain(counted: Recount, plan_id: str) -> Results | None:
    """What the first tally of a plan in a block says; nodes take none that the shares in it do not prove."""
    return next((found.results for found in counted.tallies if found.plan_id == plan_id and found.results), None)
