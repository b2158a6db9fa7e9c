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
    those one whose chain is here. One that was begun here and is put back goes before earlier ones, which a database of
    before may take for published still; of a later one leader 0 has gone on to that. Else the next chronological one
    whose voting has not ended. One that cannot be begun gives way to those that can, and of one with a rival chain a
    person says which is to be counted.
    """
    elections = sorted(overview.elections, key=_order)
    open_ = [one for one in elections if one.block0 and not one.rival and not is_closed(one, now, policy)]
    begun = [election for election in open_ if election.begun]
    vanished = [election for election in elections if is_vanished(election, now, policy)]
    to_come = [election for election in elections if is_to_come(election, now)]
    to_put_back, buildable = ([one for one in some if one.id not in unbuildable] for some in (vanished, to_come))
    later = [election for election in open_ if to_put_back and _order(election) > _order(to_put_back[0])]
    return next(iter(begun or later or to_put_back or open_ or buildable or to_come), None)


def _order(election: ElectionOverview) -> tuple[datetime, int]:
    return election.voting_start, election.id


def with_what_is_here(overview: Overview, local: Collection[LocalChain], policy: Policy) -> Overview:
    """The *overview*, in which elections are marked that were begun on this machine, or published and then forgotten.

    Missed ones among them are listed with the others, since there may be votes to be counted.
    """
    begun = [chain for chain in local if is_going_on(chain, overview)]
    is_leader0 = policy.role is Role.LEADER0

    def marked(row: ElectionOverview) -> ElectionOverview:
        here = [chain for chain in begun if chain.election_id == row.id]
        if row.block0:
            is_begun = row.block0.hash in {chain.block0_hash for chain in here}
            return replace(row, begun=is_begun, rival=_rival(row, row.block0.hash, here) if is_leader0 else None)
        # Leader 0 can put back only what it has kept; another node waits for leader 0.
        is_awaited = not row.cancelled and any(chain.has_publication or not is_leader0 for chain in here)
        return replace(row, begun=is_awaited, forgotten=is_awaited and is_leader0)

    if not begun:
        return overview
    rows = sorted(map(marked, (*overview.elections, *overview.missed)), key=_order)
    still_missed = {row.id for row in overview.missed} - {row.id for row in rows if row.begun}
    return replace(
        overview,
        elections=tuple(row for row in rows if row.id not in still_missed),
        missed=tuple(row for row in rows if row.id in still_missed),
    )


def _rival(row: ElectionOverview, published: str, here: Collection[LocalChain]) -> str | None:
    """The block 0 of a chain that was published and never withdrawn, while the row has another.

    The database is a copy of before the last publication, and people may have voted on that.
    """
    if row.cancelled or row.archived:
        return None
    return next((chain.block0_hash for chain in here if chain.has_publication and chain.block0_hash != published), None)


def is_going_on(chain: LocalChain, overview: Overview) -> bool:
    """Whether a node ran on *chain* here, and nothing says that it is over."""
    return chain.has_blocks and chain.block0_hash not in overview.withdrawn | overview.archived


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
