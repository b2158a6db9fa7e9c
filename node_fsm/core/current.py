"""Which election a node works on: one pure function, the same for every role."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from node_fsm.core.chain_time import chain_start
from node_fsm.core.model import ElectionOverview, Overview
from node_fsm.core.phases import Role
from node_fsm.core.view import UNKNOWN, LocalChain, Policy, View


def current(
    overview: Overview, now: datetime, policy: Policy, unbuildable: Collection[int] = ()
) -> ElectionOverview | None:
    """The election to work on at *now*, if any.

    First a published one that is not closed, so that a chain that runs is never pre-empted by an earlier row, and among
    those one whose chain is here; before others also one that was begun here and is put back. Else the next
    chronological one whose voting has not ended. One that cannot be begun gives way to those that can.
    """
    elections = sorted(overview.elections, key=lambda election: (election.voting_start, election.id))
    open_ = [election for election in elections if election.block0 and not is_closed(election, now, policy)]
    begun = [election for election in open_ if election.begun]
    vanished = [election for election in elections if is_vanished(election, now, policy)]
    to_come = [election for election in elections if is_to_come(election, now)]
    to_put_back, buildable = ([one for one in some if one.id not in unbuildable] for some in (vanished, to_come))
    return next(iter(begun or to_put_back or open_ or buildable or to_come), None)


def with_what_is_here(overview: Overview, local: Collection[LocalChain], policy: Policy) -> Overview:
    """The *overview*, in which elections are marked that were begun on this machine, or published and then forgotten.

    Missed ones among them are listed with the others, since there are votes to be counted.
    """
    is_over = overview.withdrawn | overview.archived
    begun = [chain for chain in local if chain.has_blocks and chain.block0_hash not in is_over]

    def marked(row: ElectionOverview) -> ElectionOverview:
        here = [chain for chain in begun if chain.election_id == row.id]
        if row.block0:
            return replace(row, begun=True) if row.block0.hash in {chain.block0_hash for chain in here} else row
        forgotten = policy.role is Role.LEADER0 and any(chain.is_kept for chain in here)
        return replace(row, begun=True, forgotten=forgotten) if here and not row.cancelled else row

    if not begun:
        return overview
    rows = sorted(map(marked, (*overview.elections, *overview.missed)), key=lambda row: (row.voting_start, row.id))
    still_missed = {row.id for row in overview.missed} - {row.id for row in rows if row.begun}
    return replace(
        overview,
        elections=tuple(row for row in rows if row.id not in still_missed),
        missed=tuple(row for row in rows if row.id in still_missed),
    )


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


def is_vanished(election: ElectionOverview, now: datetime, policy: Policy) -> bool:
    """Whether the block 0 of a chain that is here is gone from its row, and is put back, by leader 0.

    If that does not have it either, another node awaits it no longer than there may be something to count.
    """
    if election.block0 or election.cancelled or not election.begun:
        return False
    is_awaited = policy.role is Role.NODE and now < closing_time(election.tallying_end, policy)
    return election.forgotten or is_awaited


def closing_time(committee_end: datetime, policy: Policy) -> datetime:
    """When the time to tally and its grace have passed."""
    return committee_end + timedelta(minutes=policy.close_grace_minutes)


def due_time(election: ElectionOverview, view: View, policy: Policy) -> datetime | None:
    """When leader 0 begins to work on an unpublished election; None while the template cannot be read."""
    if view.slot_duration is UNKNOWN:
        return None
    return chain_start(election.voting_start, policy.voting_start_offset_minutes, view.slot_duration)
