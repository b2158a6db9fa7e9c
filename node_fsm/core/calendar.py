"""The moments of an election, by the names that deadlines have: what is compared with the clock from outside."""

from datetime import datetime

from node_fsm.core.chain_time import ChainDates
from node_fsm.core.current import closing_time, due_time
from node_fsm.core.model import ElectionOverview
from node_fsm.core.view import Policy, View


def calendar(election: ElectionOverview, view: View, policy: Policy) -> dict[str, datetime]:
    """When the chain starts, voting starts and ends, tallying ends, and its grace is over.

    Of a published election as block 0 says them, else as its row does; without the chain's start while the template
    cannot be read.
    """
    if election.block0:
        dates = election.block0.dates
        return chain_calendar(dates, closing_time(dates.committee_end_time, policy))
    start = due_time(election, view, policy)
    return ({"chain_start": start} if start else {}) | {
        "voting_start": election.voting_start,
        "voting_end": election.voting_end,
        "tallying_end": election.tallying_end,
        "close": closing_time(election.tallying_end, policy),
    }


def chain_calendar(dates: ChainDates, close: datetime) -> dict[str, datetime]:
    """The same of a chain with these *dates*, whose grace is over at *close*."""
    return {
        "chain_start": dates.clock.start,
        "voting_start": dates.vote_start_time,
        "voting_end": dates.vote_end_time,
        "tallying_end": dates.committee_end_time,
        "close": close,
    }
