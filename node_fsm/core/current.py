"""Which election a node works on: one pure function, the same for every role."""

from collections.abc import Collection
from datetime import datetime, timedelta

from node_fsm.core.chain_time import chain_start
from node_fsm.core.model import ElectionOverview, Overview
from node_fsm.core.phases import Role
from node_fsm.core.view import UNKNOWN, Policy, View


def current(
    overview: Overview, now: datetime, policy: Policy, unbuildable: Collection[int] = ()
) -> ElectionOverview | None:
    """The election to work on at *now*, if any.

    First a published election that is not closed, so that a chain that runs is never pre-empted by an earlier row;
    else the next chronological one whose voting has not ended. One that cannot be built gives way to those that can.
    """
    elections = sorted(overview.elections, key=lambda election: (election.voting_start, election.id))
    for election in elections:
        if election.block0 and not is_closed(election, now, policy):
            return election
    to_come = [election for election in elections if is_to_come(election, now)]
    buildable = [election for election in to_come if election.id not in unbuildable]
    return next(iter(buildable or to_come), None)


def is_to_come(election: ElectionOverview, now: datetime) -> bool:
    """Whether a block 0 may yet be made of an election."""
    return not election.block0 and not election.cancelled and election.voting_end > now


def is_closed(election: ElectionOverview, now: datetime, policy: Policy) -> bool:
    """Whether nothing is left to do for a published election.

    For leader 0 only a verified final archive closes it, or one that has to wait because the next election may not;
    other nodes also let go after the close grace.
    """
    if election.archived or election.archive_deferred:
        return True
    if election.block0 is None or policy.role is Role.LEADER0:
        return False
    return now >= closing_time(election.block0.dates.committee_end_time, policy)


def closing_time(committee_end: datetime, policy: Policy) -> datetime:
    """When the time to tally and its grace have passed."""
    return committee_end + timedelta(minutes=policy.close_grace_minutes)


def due_time(election: ElectionOverview, view: View, policy: Policy) -> datetime | None:
    """When leader 0 begins to work on an unpublished election; None while the template cannot be read."""
    if view.slot_duration is UNKNOWN:
        return None
    return chain_start(election.voting_start, policy.voting_start_offset_minutes, view.slot_duration)
