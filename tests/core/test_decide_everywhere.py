"""Decisions in every small world, against rules written down a second time from the facts.

Each phase has an ordered list of rules "this event, when that holds"; the first that holds is the decision.
"""

from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from typing import Literal

import pytest

from node_fsm.core.decide import LAST_ATTEMPTS, decide
from node_fsm.core.errors import PermanentError
from node_fsm.core.events import Event
from node_fsm.core.phases import Phase, Role
from node_fsm.core.table import TABLES
from node_fsm.core.view import UNKNOWN, Decision, LocalChain, Work
from tests.core import worlds
from tests.core.facts import (
    MINE,
    OTHER_HASH,
    OTHER_ID,
    STAGES,
    Facts,
    Posted,
    Row,
    Stage,
    all_facts,
    other_election,
)

Focus = Literal["own", "other"] | None
Rules = list[tuple[Event, Callable[[Facts], bool]]]

OTHER_LATER = {"earlier": -worlds.HOUR, "none": timedelta(0), "later": worlds.HOUR}


def posted(facts: Facts) -> Posted:
    return facts.row.posted if facts.row and facts.row.listed else "no"


def is_open(facts: Facts) -> bool:
    """Whether there is something to do, or left to do, for the election itself."""
    row = facts.row
    if row is None or not row.listed:
        return False
    if row.posted == "no":
        return not row.cancelled and (facts.now < worlds.VOTING_END or forgotten(facts))
    return not row.closed and (facts.stage.role is Role.LEADER0 or facts.now < worlds.CLOSE)


def vanished(facts: Facts) -> bool:
    """Whether a chain is here whose block 0 is gone from its row and not given up, and comes back."""
    row = facts.row
    if row is None or not row.listed or row.posted != "no" or row.cancelled:
        return False
    is_over = row.withdrawn or row.archived
    own = [chain for chain in facts.local if chain.election_id == worlds.ID and chain.has_blocks]
    here = [chain for chain in own if chain.block0_hash == OTHER_HASH or not is_over]
    if facts.stage.role is Role.NODE:
        return bool(here) and facts.now < worlds.CLOSE
    return any(chain.has_publication for chain in here)


def other_vanished(facts: Facts) -> bool:
    """The same of the other election, of which leader 0 never keeps what was published."""
    here = any(chain.election_id == OTHER_ID and chain.has_blocks for chain in facts.local)
    is_awaited = facts.other != "none" and facts.now < worlds.CLOSE + OTHER_LATER[facts.other]
    return facts.stage.role is Role.NODE and here and is_awaited


def begun(facts: Facts) -> bool:
    """Whether a node ran on the chain that is posted, here, and it is not archived."""
    row = facts.row
    if row is None or (row.posted == "same" and (row.withdrawn or row.archived)):
        return False
    hash_ = {"no": None, "same": worlds.HASH, "replaced": OTHER_HASH}[row.posted]
    own = [chain for chain in facts.local if chain.election_id == worlds.ID]
    return any(chain.block0_hash == hash_ and chain.has_blocks for chain in own)


def forgotten(facts: Facts) -> bool:
    return facts.stage.role is Role.LEADER0 and vanished(facts)


def rival(facts: Facts) -> bool:
    """Whether leader 0 has another published chain of the election, which goes on, than the posted one."""
    row = facts.row
    if facts.stage.role is Role.NODE or row is None or posted(facts) == "no" or row.cancelled or row.closed:
        return False
    own = [chain for chain in facts.local if chain.election_id == worlds.ID and chain.has_publication]
    others = [chain for chain in own if chain.block0_hash != {"same": worlds.HASH, "replaced": OTHER_HASH}[row.posted]]
    return any(is_going_on(chain, row) for chain in others)


def is_going_on(chain: LocalChain, row: Row) -> bool:
    return chain.has_blocks and not (chain.block0_hash == worlds.HASH and (row.withdrawn or row.archived))


def focus(facts: Facts) -> Focus:
    """The election that a node should turn to: a published one, else the next."""
    if facts.row is None:
        return None
    is_workable = is_open(facts) and not rival(facts)
    is_posted = posted(facts) != "no" and is_workable
    if is_posted and begun(facts):
        return "own"
    if is_posted and not (other_vanished(facts) and facts.other == "later"):
        return "own"
    other = other_vanished(facts)
    if vanished(facts) and not (other and facts.other == "earlier"):
        return "own"
    if other:
        return "other"
    other = is_to_come(facts)
    if is_workable and not (other and facts.other == "earlier"):
        return "own"
    return "other" if other else None


def due(facts: Facts) -> bool:
    later = OTHER_LATER[facts.other] if focus(facts) == "other" else timedelta(0)
    return facts.slot_known and facts.now >= worlds.DUE + later


def is_due(facts: Facts) -> bool:
    is_begun = focus(facts) == "own" and (posted(facts) != "no" or forgotten(facts))
    return is_begun or (focus(facts) is not None and due(facts))


def own_published(facts: Facts) -> bool:
    return focus(facts) == "own" and posted(facts) != "no"


def is_leftover(chain: LocalChain, facts: Facts) -> bool:
    if chain.block0_hash is None:
        return chain.election_id != {"own": worlds.ID, "other": OTHER_ID}.get(focus(facts) or "")
    if chain.election_id == OTHER_ID:
        is_kept = facts.other != "none" and facts.now < worlds.CLOSE + OTHER_LATER[facts.other]
        return not (is_kept and chain.has_blocks)
    row = facts.row
    if row is None or not row.listed:
        return True
    if posted(facts) == "no":
        is_given_up = row.cancelled or (chain.block0_hash == worlds.HASH and row.withdrawn)
        is_awaited = forgotten(facts) or facts.now < worlds.CLOSE
        return is_given_up or not chain.has_blocks or not is_awaited
    if rival(facts):
        return not is_going_on(chain, row)
    if not is_open(facts):
        return True
    return chain.block0_hash != {"same": worlds.HASH, "replaced": OTHER_HASH}[posted(facts)]


def is_to_come(facts: Facts) -> bool:
    """Whether there is another election, whose voting has not ended."""
    return facts.other != "none" and facts.now < worlds.VOTING_END + OTHER_LATER[facts.other]


def leftovers(facts: Facts) -> bool:
    return facts.row is not None and any(is_leftover(chain, facts) for chain in facts.local)


def only_archive_missing(facts: Facts) -> bool:
    in_use = worlds.HASH if posted(facts) == "same" else OTHER_HASH
    here = any(chain.block0_hash == in_use and chain.is_recorded for chain in facts.local)
    return own_published(facts) and facts.row is not None and facts.row.results and here


def lost_focus(facts: Facts) -> bool:
    return facts.row is not None and focus(facts) != "own"


def edited_unpublished(facts: Facts) -> bool:
    is_edited = facts.row is not None and facts.row.edited and not forgotten(facts)
    return facts.row is not None and posted(facts) == "no" and (lost_focus(facts) or is_edited)


def not_to_be_begun(facts: Facts) -> bool:
    return lost_focus(facts) or edited_unpublished(facts)


def published_by_another(facts: Facts) -> bool:
    return own_published(facts) and facts.row is not None and facts.row.generation != MINE


def withdrawn(facts: Facts) -> bool:
    return facts.row is not None and facts.row.withdrawn


def archived_elsewhere(facts: Facts) -> bool:
    row = facts.row
    return row is not None and (row.closed and row.posted == "same" if row.listed else row.archived)


def chain_ended(facts: Facts) -> bool:
    return facts.tip is not UNKNOWN and facts.tip >= worlds.DATES.vote_end


def closed(facts: Facts) -> bool:
    row = facts.row
    verified = row is not None and (row.closed if posted(facts) == "same" else row.archived)
    return facts.now >= worlds.CLOSE or verified


def no_longer_posted(facts: Facts) -> bool:
    return facts.row is not None and posted(facts) != "same"


def cancelled_uncounted(facts: Facts) -> bool:
    row = facts.row
    return withdrawn(facts) or (row is not None and posted(facts) == "same" and row.cancelled and not row.results)


def untalliable(facts: Facts) -> bool:
    if isinstance(facts.failure, PermanentError):
        return facts.now >= worlds.CLOSE
    return facts.now >= worlds.CLOSE + LAST_ATTEMPTS and facts.failure is not None and facts.row is not None


BEGUN: Rules = [(Event.ELECTION_CHANGED, not_to_be_begun), (Event.BLOCK0_FOUND, published_by_another)]
RULES: dict[tuple[Role, Phase], Rules] = {
    (Role.LEADER0, Phase.WAITING): [
        (Event.RESULTS_POSTED, only_archive_missing),
        (Event.LEFTOVERS_FOUND, leftovers),
        (Event.ELECTION_DUE, is_due),
    ],
    (Role.LEADER0, Phase.FETCHING_KEY): BEGUN[:1],
    (Role.LEADER0, Phase.BUILDING_VOTE_PLAN): BEGUN,
    (Role.LEADER0, Phase.GENERATING_BLOCK0): BEGUN,
    (Role.LEADER0, Phase.RUNNING): [
        (Event.ELECTION_CHANGED, lambda facts: withdrawn(facts) or archived_elsewhere(facts)),
        (Event.VOTING_ENDED, chain_ended),
    ],
    (Role.LEADER0, Phase.TALLYING): [
        (Event.ELECTION_CHANGED, cancelled_uncounted),
        (Event.TALLY_WINDOW_CLOSED, untalliable),
    ],
    (Role.LEADER0, Phase.ARCHIVING): [],
    (Role.LEADER0, Phase.RESET): [],
    (Role.NODE, Phase.WAITING): [(Event.LEFTOVERS_FOUND, leftovers), (Event.BLOCK0_POSTED, own_published)],
    (Role.NODE, Phase.FETCHING_KEY): [
        (Event.ELECTION_CHANGED, lambda facts: lost_focus(facts) or no_longer_posted(facts))
    ],
    (Role.NODE, Phase.RUNNING): [(Event.ELECTION_CLOSED, closed), (Event.ELECTION_CHANGED, no_longer_posted)],
    (Role.NODE, Phase.RESET): [],
}
FROM_CLOCK_AND_CHAIN = {Event.VOTING_ENDED, Event.ELECTION_CLOSED, Event.TALLY_WINDOW_CLOSED}
"""All that is decided while the database is not known."""


def expected_event(facts: Facts) -> Event | None:
    rules = RULES[facts.stage.role, facts.stage.phase]
    return next((event for event, holds in rules if holds(facts)), None)


def expected_work(facts: Facts, event: Event) -> Work | None:
    """Leaving Waiting for an election takes it up as it stands; a found block 0 is adopted."""
    leaving = facts.stage.phase is Phase.WAITING and event is not Event.LEFTOVERS_FOUND
    if not leaving and event is not Event.BLOCK0_FOUND:
        return None
    overview = facts.view().overview
    assert overview is not UNKNOWN
    election = overview.election(worlds.ID) if focus(facts) == "own" else other_election(facts.other)
    assert election is not None
    return Work(election.id, election.name, election.fingerprint, election.block0)


def decision_in(facts: Facts) -> Decision | None:
    stage = facts.stage
    return decide(stage.phase, stage.work, facts.view(), facts.now, facts.policy)


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_the_decision_is_the_designed_one_in_every_world(stage: Stage) -> None:
    events_of_phase = {row.event for row in TABLES[stage.role] if row.source is stage.phase}
    decided = set()
    for facts in all_facts(stage):
        decision, event = decision_in(facts), expected_event(facts)
        assert (decision.event if decision else None) == event, facts
        if decision is None:
            continue
        decided.add(decision.event)
        assert decision.event in events_of_phase, facts
        assert decision.why, facts
        assert decision.work == expected_work(facts, decision.event), facts
        assert facts.row or decision.event in FROM_CLOCK_AND_CHAIN, facts
    assert decided == {event for event, _ in RULES[stage.role, stage.phase]}


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_a_decision_depends_on_its_arguments_alone(stage: Stage) -> None:
    """Asked again in between other questions, the answer is the same, and the view is left as it was."""
    sample = list(islice(all_facts(stage), 0, None, 97))
    views = [facts.view() for facts in sample]
    first = [decision_in(facts) for facts in sample]
    again = [decision_in(facts) for facts in reversed(sample)]
    assert first == again[::-1]
    assert views == [facts.view() for facts in sample]


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage.published], ids=str)
def test_another_election_never_touches_a_published_one(stage: Stage) -> None:
    """While the block 0 in work is posted and open, decisions are the same with another election and without.

    Unless the other is a later one whose chain is here, and this one's is not.
    """
    without: dict[tuple[object, ...], Decision | None] = {}
    compared = 0
    for facts in all_facts(stage):
        if (
            posted(facts) != "same"
            or not is_open(facts)
            or (other_vanished(facts) and facts.other == "later" and not begun(facts))
        ):
            continue
        key = (facts.row, facts.local, facts.now, facts.slot_known, facts.tip, facts.failure)
        if facts.other == "none":
            without[key] = decision_in(facts)
        else:
            compared += 1
            assert decision_in(facts) == without[key], facts
    assert compared
