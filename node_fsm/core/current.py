"""Which election a node works on: one pure function, the same for every role."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import filterfalse

from node_fsm.core.chain_time import chain_start
from node_fsm.core.model import ElectionOverview, Overview
from node_fsm.core.phases import Role
from node_fsm.core.view import UNKNOWN, LocalChain, Policy, View


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


def with_forgotten(overview: Overview, local: Collection[LocalChain]) -> Overview:
    """The *overview*, in which elections are marked that the database takes for unpublished and this machine has run.

    Missed ones among them are listed with the others, since there are votes to be counted.
    """
    here = {chain.election_id for chain in local if may_be_put_back(chain, overview)}
    if not here:
        return overview

    def is_forgotten(row: ElectionOverview) -> bool:
        return row.id in here and row.block0 is None and not row.cancelled

    listed = (*overview.elections, *filter(is_forgotten, overview.missed))
    marked = (replace(row, forgotten=True) if is_forgotten(row) else row for row in listed)
    elections = tuple(sorted(marked, key=lambda row: (row.voting_start, row.id)))
    return replace(overview, elections=elections, missed=tuple(filterfalse(is_forgotten, overview.missed)))


def may_be_put_back(chain: LocalChain, overview: Overview) -> bool:
    """Whether a node ran on *chain* here, what was published with it is here too, and nothing says that it is over."""
    is_over = chain.block0_hash in overview.withdrawn | overview.archived
    return chain.has_blocks and chain.is_kept and not is_over


def is_to_come(election: ElectionOverview, now: datetime) -> bool:
    """Whether a block 0 may yet be made of an election, or is to be put back."""
    may_begin = election.forgotten or election.voting_end > now
    return not election.block0 and not election.cancelled and may_begin


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
