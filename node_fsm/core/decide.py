"""Decisions: from a view of the world to the event it calls for, with one sentence saying why.

Pure and level-triggered: asked again with the same view it answers the same, so a lost, late or repeated signal
changes nothing but the delay.
"""

from datetime import datetime, timedelta
from typing import Literal

from node_fsm.core.current import closing_time, current, due_time, is_closed, is_going_on
from node_fsm.core.errors import PermanentError
from node_fsm.core.events import Event
from node_fsm.core.model import Block0Ref, ElectionOverview, Overview
from node_fsm.core.phases import BEFORE_PUBLICATION, NODE_MUST_RUN, Phase, Role
from node_fsm.core.view import UNKNOWN, Deadline, Decision, LocalChain, Policy, Unknown, View, Work

LAST_ATTEMPTS = timedelta(minutes=10)
"""After the grace of a tally, how long what does not answer may still do so."""

LEAST_FAILURES = 3
"""So often in a row a tally has to fail before it is given up: leader 0 may come back when the grace is long over."""


def decide(phase: Phase, work: Work | None, view: View, now: datetime, policy: Policy) -> Decision | None:
    """The event that *view* calls for in *phase*, or None.

    *work* is None exactly in Waiting, and in Reset when it only clears leftovers.
    """
    if phase is Phase.WAITING:
        return _waiting(view, now, policy)
    if work is None:
        return None
    if phase in BEFORE_PUBLICATION:
        return _before_publication(phase, work, view, now, policy)
    if phase is Phase.RUNNING and work.block0:
        running = _running_leader0 if policy.role is Role.LEADER0 else _running_node
        return running(work, work.block0, view, now, policy)
    if phase is Phase.TALLYING and work.block0:
        return _tallying(work, work.block0, view, now, policy)
    return None


def deadlines_ahead(phase: Phase, work: Work | None, view: View, now: datetime, policy: Policy) -> tuple[Deadline, ...]:
    """All moments after *now* that matter in *phase*, the next one first.

    Between *now* and that one the clock alone changes no answer of :func:`decide`.
    """
    ahead = [deadline for deadline in _deadlines(phase, work, view, now, policy) if deadline.at > now]
    return tuple(sorted(dict.fromkeys(ahead), key=lambda deadline: deadline.at))


def _deadlines(phase: Phase, work: Work | None, view: View, now: datetime, policy: Policy) -> list[Deadline]:
    """The moments that *phase* looks forward or back to; none in phases that the clock does not touch."""
    if phase in NODE_MUST_RUN:
        if work is None or work.block0 is None:
            return []
        given_up = closing_time(work.block0.dates.committee_end_time, policy) + LAST_ATTEMPTS
        last = [Deadline("give_up", given_up, work.election_name)] if phase is Phase.TALLYING else []
        return [*_chain_deadlines(work.election_name, work.block0, policy), *last]
    if phase not in BEFORE_PUBLICATION | {Phase.WAITING} or view.overview is UNKNOWN:
        return []
    here = _let_go(view.overview, view.local, policy) if phase is Phase.WAITING else []
    return [*here, *_election_deadlines(view, view.overview, now, policy)]


def _let_go(
    overview: Overview, local: tuple[LocalChain, ...] | Literal[Unknown.UNKNOWN], policy: Policy
) -> list[Deadline]:
    """When other nodes than leader 0 let go of the chains that are here, and it of those it cannot put back."""
    chains = () if local is UNKNOWN else local
    rows = [row for chain in chains if chain.block0_hash and (row := overview.row(chain.election_id))]
    ends = [(row.name, row.block0.dates.committee_end_time if row.block0 else row.tallying_end) for row in rows]
    return [Deadline("close", closing_time(end, policy), name) for name, end in ends]


def _election_deadlines(view: View, overview: Overview, now: datetime, policy: Policy) -> list[Deadline]:
    """Those of the current election."""
    election = current(overview, now, policy, view.unbuildable)
    if election is None:
        return []
    if election.block0:
        return _chain_deadlines(election.name, election.block0, policy)
    due = due_time(election, view, policy)
    row = [
        Deadline("voting_start", election.voting_start, election.name),
        Deadline("voting_end", election.voting_end, election.name),
    ]
    return [Deadline("chain_start", due, election.name), *row] if due else row


def _chain_deadlines(election: str, block0: Block0Ref, policy: Policy) -> list[Deadline]:
    committee_end = block0.dates.committee_end_time
    return [
        Deadline("voting_end", block0.dates.vote_end_time, election),
        Deadline("tallying_end", committee_end, election),
        Deadline("close", closing_time(committee_end, policy), election),
    ]


def _waiting(view: View, now: datetime, policy: Policy) -> Decision | None:
    if view.overview is UNKNOWN or view.local is UNKNOWN:
        return None
    election = current(view.overview, now, policy, view.unbuildable)
    may_end = election and not _is_to_be_counted_anew(election, view.overview, now)
    if policy.role is Role.LEADER0 and election and may_end and _only_archive_missing(election, view.local):
        why = f"the results of {election.name} stand, and its chain is here without a verified archive"
        return Decision(Event.RESULTS_POSTED, why, Work.on(election))
    leftover = next((chain for chain in view.local if is_leftover(chain, election, view.overview, now, policy)), None)
    if leftover:
        of = f"election {leftover.election_id}"
        return Decision(Event.LEFTOVERS_FOUND, f"there is local data of {of}, which is not worked on any more")
    if election is None:
        return None
    if election.block0:
        event = Event.ELECTION_DUE if policy.role is Role.LEADER0 else Event.BLOCK0_POSTED
        return Decision(event, f"block 0 of {election.name} is published", Work.on(election))
    if policy.role is Role.LEADER0 and election.forgotten:
        why = f"the chain of {election.name} is here, and the database does not know its block 0 any more"
        return Decision(Event.ELECTION_DUE, why, Work.on(election))
    due = due_time(election, view, policy)
    is_due = due is not None and now >= due and not view.clock_wrong
    if policy.role is Role.LEADER0 and due and is_due and election.fingerprint is not None:
        why = f"the chain of {election.name} starts at {due.isoformat()}"
        return Decision(Event.ELECTION_DUE, why, Work.on(election))
    return None


def _only_archive_missing(election: ElectionOverview, local: tuple[LocalChain, ...]) -> bool:
    return (
        election.block0 is not None
        and election.results_posted
        and any(chain.block0_hash == election.block0.hash and chain.is_recorded for chain in local)
    )


def _is_to_be_counted_anew(election: ElectionOverview, overview: Overview, now: datetime) -> bool:
    """Whether the count is disputed, and there is time for the leaders that were missing to come back."""
    if election.block0 is None or now >= election.block0.dates.committee_end_time:
        return False
    return any(tally.block0_hash == election.block0.hash for tally in overview.disputed)


def is_leftover(
    chain: LocalChain, election: ElectionOverview | None, overview: Overview, now: datetime, policy: Policy
) -> bool:
    """Whether nobody comes back to *chain*: its election is over, or its block 0 was replaced or withdrawn.

    *election* is the current one, and the only one of which a draft is kept. A database that was restored to an older
    copy may have others worked on first that were over already: a chain that is still to be ended stays. So does what a
    node ran on while its row cannot be read, and while its block 0 has merely vanished from it: leader 0 puts that back
    if it can, and on all nodes together it may be all there is of the chain. Of rival chains a person chooses.
    """
    if overview.is_unreadable(chain.election_id):
        return chain.block0_hash in overview.withdrawn
    own = overview.row(chain.election_id)
    if own is None:
        return True
    if chain.block0_hash is None:
        return election is None or own.id != election.id
    if own.block0 is None:
        is_given_up = own.cancelled or chain.block0_hash in overview.withdrawn or not chain.has_blocks
        return is_given_up or not (own.forgotten or now < closing_time(own.tallying_end, policy))
    if own.rival:
        return not is_going_on(chain, overview)
    return chain.block0_hash != own.block0.hash or is_closed(own, now, policy)


def _before_publication(phase: Phase, work: Work, view: View, now: datetime, policy: Policy) -> Decision | None:
    if view.overview is UNKNOWN:
        return None
    election = current(view.overview, now, policy, view.unbuildable)
    if election is None or election.id != work.election_id:
        return Decision(Event.ELECTION_CHANGED, f"{work.election_name} is no longer the current election")
    if policy.role is Role.NODE:
        return _joining(work, election)
    if election.block0 is None:
        if election.forgotten:
            why = f"the chain of {election.name} is here, and is put back instead"
            return None if phase is Phase.FETCHING_KEY else Decision(Event.ELECTION_CHANGED, why)
        if election.fingerprint not in {None, work.fingerprint}:
            return Decision(Event.ELECTION_CHANGED, f"{election.name} was edited before its block 0 was published")
        return None
    if phase is not Phase.FETCHING_KEY and election.block0.generation != view.generation:
        why = f"block 0 {election.block0.hash} of {election.name} is already published"
        return Decision(Event.BLOCK0_FOUND, why, Work.on(election))
    return None


def _joining(work: Work, election: ElectionOverview) -> Decision | None:
    if election.block0 and work.block0 and election.block0.hash == work.block0.hash:
        return None
    return Decision(Event.ELECTION_CHANGED, f"the posted block 0 of {election.name} changed")


def _running_leader0(work: Work, block0: Block0Ref, view: View, now: datetime, policy: Policy) -> Decision | None:
    if view.overview is not UNKNOWN and block0.hash in view.overview.withdrawn:
        return Decision(Event.ELECTION_CHANGED, f"block 0 {block0.hash} of {work.election_name} was withdrawn")
    if view.overview is not UNKNOWN and _is_archived(block0, work, view.overview):
        why = f"the final archive of {work.election_name} is verified already: another leader 0 has ended it"
        return Decision(Event.ELECTION_CHANGED, why)
    if view.tip is not UNKNOWN and view.tip >= block0.dates.vote_end:
        why = f"the tip is dated {view.tip}, and voting ended at {block0.dates.vote_end}"
        return Decision(Event.VOTING_ENDED, why)
    return None


def _is_archived(block0: Block0Ref, work: Work, overview: Overview) -> bool:
    """Whether the final archive is verified, after which the database lists the election no more."""
    election = overview.election(work.election_id)
    if election is None:
        return block0.hash in overview.archived
    return election.archived and election.block0 is not None and election.block0.hash == block0.hash


def _running_node(work: Work, block0: Block0Ref, view: View, now: datetime, policy: Policy) -> Decision | None:
    if now >= closing_time(block0.dates.committee_end_time, policy) and not view.clock_wrong:
        return Decision(Event.ELECTION_CLOSED, f"the time to tally {work.election_name} and its grace have passed")
    if view.overview is UNKNOWN:
        return None
    posted = _posted(block0, work, view.overview)
    if posted and not posted.archived:
        return None
    if view.overview.is_unreadable(work.election_id) and block0.hash not in view.overview.withdrawn:
        return None
    if posted or block0.hash in view.overview.archived:
        return Decision(Event.ELECTION_CLOSED, f"the archive of {work.election_name} is verified")
    return Decision(Event.ELECTION_CHANGED, f"the posted block 0 of {work.election_name} is no longer {block0.hash}")


def _posted(block0: Block0Ref, work: Work, overview: Overview) -> ElectionOverview | None:
    """The election in work if *block0* stands in its row.

    It goes before ``overview.archived``, which also speaks of copies that were set aside while the chain runs on.
    """
    election = overview.election(work.election_id)
    return election if election and election.block0 and election.block0.hash == block0.hash else None


def is_cancelled(block0: Block0Ref, work: Work, overview: Overview) -> bool:
    """Whether the election in work was cancelled before results of its chain stood, so that there are to be none."""
    posted = _posted(block0, work, overview)
    return block0.hash in overview.withdrawn or (posted is not None and posted.cancelled and not posted.results_posted)


def _tallying(work: Work, block0: Block0Ref, view: View, now: datetime, policy: Policy) -> Decision | None:
    """Past the grace what a person would have to mend is not waited for, and what does not answer only a little.

    By a clock that is wrong nothing is given up.
    """
    if view.overview is not UNKNOWN and is_cancelled(block0, work, view.overview):
        return Decision(Event.ELECTION_CHANGED, f"{work.election_name} was cancelled before its results stood")
    if view.clock_wrong:
        return None
    closing = closing_time(block0.dates.committee_end_time, policy)
    is_over = now >= closing and isinstance(view.failure, PermanentError)
    # Results cannot be recorded while the database is away, nor that there are none.
    is_over |= now >= closing + LAST_ATTEMPTS and view.failure is not None and view.overview is not UNKNOWN
    if is_over and view.failure and view.failures >= LEAST_FAILURES:
        why = f"the time to tally and its grace have passed without a result: {view.failure.message}"
        return Decision(Event.TALLY_WINDOW_CLOSED, why)
    return None
