"""Whether another election waits for what is done now."""

from datetime import timedelta

from node_fsm.core.current import due_time, is_closed, is_to_come
from node_fsm.core.view import UNKNOWN
from node_fsm.steps.context import Context

AHEAD = timedelta(minutes=5)
"""So long before the next election is due its machine is to be free."""


def is_held_up(ctx: Context) -> bool:
    """Whether another election is due, or will be in a moment."""
    view, now = ctx.view, ctx.clock.now()
    if view is None or view.overview is UNKNOWN:
        return False
    others = [other for other in view.overview.elections if other.id != ctx.election_in_work().election_id]
    if any(other.block0 and not is_closed(other, now, ctx.policy) for other in others):
        return True
    dues = (due_time(other, view, ctx.policy) for other in others if is_to_come(other, now))
    return any(due and now >= due - AHEAD for due in dues)
