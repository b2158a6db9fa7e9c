"""A chain whose voting is over by the clock, and whose node has not come to its end."""

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.current import closing_time
from node_fsm.core.errors import TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.view import Decision
from node_fsm.steps.context import Context
from node_fsm.steps.next_election import is_held_up
from node_fsm.steps.recover import recover_archive
from node_fsm.storage.workspace import ChainDirectory

PATIENCE_SECONDS = 120.0
"""How long the node may still come up when the next election waits for it."""


class Overdue:
    """What keeps the node from coming up may last for ever: after two minutes the next election is given way."""

    def __init__(self) -> None:
        self._held_up_since: float | None = None

    def follow(self, ctx: Context) -> Decision | None:
        """How Running ends without the chain's own end; None as long as that may come."""
        closing = closing_time(ctx.block0_in_work().dates.committee_end_time, ctx.policy)
        is_clock_right = ctx.view is not None and not ctx.view.clock_wrong
        is_over = is_clock_right and ctx.clock.now() >= closing
        if ctx.node.state.running or not is_over or not is_held_up(ctx):
            self._held_up_since = None
            return None
        if self._held_up_since is None:
            self._held_up_since = ctx.clock.monotonic()
        if ctx.clock.monotonic() - self._held_up_since < PATIENCE_SECONDS:
            return None
        return Decision(
            Event.VOTING_ENDED,
            "the time to tally and its grace have passed, the node has not come to the end of voting, and the next"
            " election waits",
        )


async def begin_no_archived_chain_anew(ctx: Context, chain: ChainDirectory) -> None:
    """See that a chain of which nothing is here is not archived, before leader 0 begins it when voting is over.

    By a database that was restored to a copy of before its first block it was never begun, and it would be counted
    without its votes. TemporaryError when it is archived, which is recorded again then, or S3 does not say.
    """
    is_over = ctx.clock.now() >= ctx.block0_in_work().dates.vote_end_time
    if is_over and not await in_thread(DISK, lambda: chain.is_held) and await recover_archive(ctx):
        raise TemporaryError("ChainArchived", "the chain is archived, and is not begun anew")
