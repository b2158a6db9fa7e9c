"""Conditions that can be told from a view alone: pure, like the decisions beside which they stand."""

from datetime import datetime

from node_fsm.core.conditions import ConditionType
from node_fsm.core.current import due_time, is_to_come
from node_fsm.core.phases import Phase, Role
from node_fsm.core.view import UNKNOWN, Policy, View, Work


def observations(
    phase: Phase, work: Work | None, view: View, now: datetime, policy: Policy
) -> dict[ConditionType, tuple[str, str] | None]:
    """For each condition type this module knows: its (reason, message), or None when it does not hold.

    Empty while the database is unknown: what held before is neither confirmed nor denied.
    """
    if view.overview is UNKNOWN:
        return {}
    found: dict[ConditionType, tuple[str, str] | None] = {ConditionType.ROW_UNREADABLE: _unreadable(view)}
    if policy.role is Role.LEADER0:
        found[ConditionType.ELECTION_MISSED] = _missed(view)
        found[ConditionType.TALLY_DISPUTED] = _disputed(view)
        found[ConditionType.VOTES_NOT_COUNTED] = _lost(view)
        found[ConditionType.ELECTION_LATE] = _late(view, now, policy)
        found[ConditionType.BLOCK0_CONFLICT] = _conflict(work, view)
        found[ConditionType.OVERLAP] = _overlap(phase, work, view, now, policy)
    return found


def _unreadable(view: View) -> tuple[str, str] | None:
    assert view.overview is not UNKNOWN
    if not view.overview.unreadable:
        return None
    faults = "; ".join(row.why for row in view.overview.unreadable)
    return "RowUnreadable", f"left out, and all other elections go on: {faults}"


def _disputed(view: View) -> tuple[str, str] | None:
    assert view.overview is not UNKNOWN
    if not view.overview.disputed:
        return None
    counts = "; ".join(f"{tally.election_name}: {tally.why}" for tally in view.overview.disputed)
    return (
        "MajorityMissing",
        (
            f"votes were counted without a majority of the leaders: {counts}; they are counted anew if the leaders come"
            " back before tallying_end. Else compare with the other nodes' chains and archives, then have the count"
            " stand with `node-fsm election confirm NAME`"
        ),
    )


def _lost(view: View) -> tuple[str, str] | None:
    assert view.overview is not UNKNOWN
    if not view.overview.lost:
        return None
    votes = "; ".join(f"{lost.election_name}: {lost.count} of weight {lost.weight}" for lost in view.overview.lost)
    return (
        "InNoBlock",
        (
            f"votes were accepted and are not counted: {votes}; the table uncounted_vote says whose and why. While"
            " voting is open, tell these voters to vote again; this stays until `node-fsm election acknowledge NAME`"
        ),
    )


def _missed(view: View) -> tuple[str, str] | None:
    assert view.overview is not UNKNOWN
    if not view.overview.missed:
        return None
    names = ", ".join(election.name for election in view.overview.missed)
    return (
        "VotingEndPassed",
        (
            f"voting ended without a block 0 for: {names}; move the times with `node-fsm election import --replace`,"
            " or end them with `node-fsm election cancel`"
        ),
    )


def _late(view: View, now: datetime, policy: Policy) -> tuple[str, str] | None:
    assert view.overview is not UNKNOWN
    listed = (election for election in view.overview.elections if not election.forgotten)
    to_come = [election for election in listed if is_to_come(election, now)]
    if late := [election for election in to_come if election.voting_start <= now]:
        names = ", ".join(f"{election.name} (at {election.voting_start.isoformat()})" for election in late)
        return (
            "VotingNotOpen",
            (
                f"voting should have begun and there is no block 0 yet: {names}; it begins late when the service can"
                " make one, or give it other times with `node-fsm election import --replace`"
            ),
        )
    waited = [
        f"{election.name} (since {due.isoformat()}, voting begins at {election.voting_start.isoformat()})"
        for election in to_come
        if (due := due_time(election, view, policy)) and now >= due + (election.voting_start - due) / 2
    ]
    if waited:
        return (
            "ChainNotBegun",
            (
                f"half of the time for block 0 and nodes is over and there is no block 0 yet: {', '.join(waited)}; see"
                " what else the service says, or give it other times with `node-fsm election import --replace`"
            ),
        )
    return None


def _conflict(work: Work | None, view: View) -> tuple[str, str] | None:
    assert view.overview is not UNKNOWN
    runs = work.block0.hash if work and work.block0 and work.block0.hash not in view.overview.withdrawn else None
    for election in view.overview.elections:
        if election.block0 is None:
            continue
        stands = f"election.extras.block0 of {election.name} holds {election.block0.hash}"
        if work and work.election_id == election.id:
            if runs and runs != election.block0.hash:
                return (
                    "OtherBlock0Posted",
                    (
                        f"{stands}, but the chain {runs} runs; put that block 0 back, or end the election with"
                        " `node-fsm election cancel`"
                    ),
                )
        elif election.rival:
            return (
                "OtherChainHere",
                (
                    f"{stands}, but the chain {election.rival}, which was published too and never withdrawn, is here:"
                    " neither is begun. If the chain is to be counted, restore what was specified for it and empty"
                    f" election.extras.block0, and it is put back; else move elections/{election.id}/{election.rival}"
                    " out of NODE_FSM_STORAGE_DIR, or end the election with `node-fsm election cancel`"
                ),
            )
    return None


def _overlap(phase: Phase, work: Work | None, view: View, now: datetime, policy: Policy) -> tuple[str, str] | None:
    assert view.overview is not UNKNOWN
    if work is None or work.block0 is None:
        return None
    for election in view.overview.elections:
        if election.id == work.election_id or not is_to_come(election, now):
            continue
        if election.forgotten:
            return (
                "EarlierElectionRuns",
                (
                    f"the database has forgotten the block 0 of {election.name}, whose chain is here; it is looked at"
                    f" again once {work.election_name}, which is {phase}, is archived"
                ),
            )
        due = due_time(election, view, policy)
        if due and now >= due:
            return (
                "EarlierElectionRuns",
                (
                    f"{election.name} was due at {due.isoformat()}, but {work.election_name} is still {phase};"
                    " it begins once that is archived, late"
                ),
            )
    return None
