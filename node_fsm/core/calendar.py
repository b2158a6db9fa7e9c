"""The moments of an election, by the names that deadlines have: what is compared with the clock from outside."""

from datetime import datetime

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
        start: datetime | None = dates.clock.start
        tallying_end = dates.committee_end_time
        voting = {"voting_start": dates.vote_start_time, "voting_end": dates.vote_end_time}
    else:
        start, tallying_end = due_time(election, view, policy), election.tallying_end
        voting = {"voting_start": election.voting_start, "voting_end": election.voting_end}
    moments = voting | {"tallying_end": tallying_end, "close": closing_time(tallying_end, policy)}
    return {"chain_start": start} | moments if start else moments
