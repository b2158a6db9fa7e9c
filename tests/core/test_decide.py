"""The decisions that matter most, one by one, with the reason each gives."""

from dataclasses import replace
from datetime import datetime

import pytest

from node_fsm.core.chain_time import BlockDate
from node_fsm.core.current import with_what_is_here
from node_fsm.core.decide import LAST_ATTEMPTS, LEAST_FAILURES, decide
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.model import ElectionOverview, UnreadableElection
from node_fsm.core.phases import BEFORE_PUBLICATION, Phase, Role
from node_fsm.core.view import UNKNOWN, Decision, LocalChain, View, Work
from tests.core import worlds

CHAIN = LocalChain(worlds.ID, worlds.HASH, has_blocks=True, is_recorded=True)
POLICY = worlds.policy(Role.LEADER0)
FOREIGN = LocalChain(99, "f0" * 32, has_blocks=True)


def leader0(phase: Phase, view: View, now: datetime, work: Work | None = None) -> Decision | None:
    return decide(phase, work, view, now, worlds.policy(Role.LEADER0))


def node(phase: Phase, view: View, now: datetime, work: Work | None = None) -> Decision | None:
    return decide(phase, work, view, now, worlds.policy(Role.NODE))


def of(*elections: ElectionOverview) -> View:
    return worlds.view(worlds.overview(*elections))


def test_a_chain_is_not_started_before_it_is_due() -> None:
    assert leader0(Phase.WAITING, of(worlds.election()), worlds.DUE - worlds.INSTANT) is None


def test_a_due_election_is_taken_up_as_it_stands() -> None:
    decision = leader0(Phase.WAITING, of(worlds.election()), worlds.DUE)
    why = "the chain of spring starts at 2030-01-07T11:00:00+00:00"
    assert decision == Decision(Event.ELECTION_DUE, why, worlds.work())


def test_no_chain_is_begun_by_a_clock_that_is_wrong() -> None:
    """What is published is worked on all the same: then the chain's dates count."""
    due, published = worlds.election(), worlds.election(worlds.block0())
    assert leader0(Phase.WAITING, replace(of(due), clock_wrong=True), worlds.DUE) is None
    decision = leader0(Phase.WAITING, replace(of(published), clock_wrong=True), worlds.DUE)
    assert decision
    assert decision.event is Event.ELECTION_DUE


def test_an_election_whose_voting_has_begun_is_started_late() -> None:
    decision = leader0(Phase.WAITING, of(worlds.election()), worlds.VOTING_END - worlds.INSTANT)
    assert decision
    assert decision.event is Event.ELECTION_DUE


def test_an_election_whose_voting_has_ended_is_missed_and_the_next_one_taken() -> None:
    missed, following = worlds.election(), worlds.election(id_=8, name="summer", later=worlds.DAY)
    assert leader0(Phase.WAITING, of(missed), worlds.VOTING_END) is None
    decision = leader0(Phase.WAITING, of(missed, following), worlds.VOTING_END)
    assert decision
    assert decision.work
    assert decision.work.election_id == 8


def test_a_cancelled_election_is_not_begun() -> None:
    assert leader0(Phase.WAITING, of(worlds.election(cancelled=True)), worlds.DUE) is None


def test_a_published_election_is_taken_up_at_any_time() -> None:
    published = worlds.election(worlds.block0())
    for now in (worlds.DUE - worlds.DAY, worlds.CLOSE + 30 * worlds.DAY):
        decision = leader0(Phase.WAITING, of(published), now)
        assert decision == Decision(Event.ELECTION_DUE, "block 0 of spring is published", worlds.work(worlds.block0()))


def test_an_election_cancelled_while_its_chain_runs_is_taken_up_to_be_wound_up() -> None:
    """Only the chain's leader 0 withdraws block 0 and archives what was voted."""
    decision = leader0(Phase.WAITING, of(worlds.election(worlds.block0(), cancelled=True)), worlds.VOTING_START)
    assert decision
    assert decision.event is Event.ELECTION_DUE


def test_waiting_archives_first_then_clears_and_then_begins() -> None:
    finished = worlds.election(worlds.block0(), results_posted=True)
    now = worlds.TALLYING_END
    events = []
    for view in (
        worlds.view(worlds.overview(finished), FOREIGN, CHAIN),
        worlds.view(worlds.overview(finished), FOREIGN),
        worlds.view(worlds.overview(finished)),
    ):
        decision = leader0(Phase.WAITING, view, now)
        assert decision
        events.append(decision.event)
    assert events == [Event.RESULTS_POSTED, Event.LEFTOVERS_FOUND, Event.ELECTION_DUE]


def test_results_without_the_chain_here_make_the_node_sync_first() -> None:
    finished = worlds.election(worlds.block0(), results_posted=True)
    half_synced = LocalChain(worlds.ID, worlds.HASH, has_blocks=True, is_recorded=False)
    decision = leader0(Phase.WAITING, worlds.view(worlds.overview(finished), half_synced), worlds.TALLYING_END)
    assert decision
    assert decision.event is Event.ELECTION_DUE


def test_a_draft_of_the_current_election_is_no_leftover() -> None:
    draft = LocalChain(worlds.ID, None, has_blocks=False)
    assert (
        leader0(Phase.WAITING, worlds.view(worlds.overview(worlds.election()), draft), worlds.DUE - worlds.DAY) is None
    )


@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_chain_whose_block0_vanished_from_its_row_is_no_leftover(is_recorded: bool) -> None:
    """It was not withdrawn, and may be put back: on all nodes together this may be all that there is of the chain."""
    chain = LocalChain(worlds.ID, worlds.HASH, has_blocks=True, is_recorded=is_recorded)
    emptied = worlds.view(worlds.overview(worlds.election()), chain)
    before = worlds.VOTING_START
    assert node(Phase.WAITING, emptied, before) is None
    assert leader0(Phase.WAITING, emptied, worlds.DUE - worlds.INSTANT) is None
    decision = leader0(Phase.WAITING, emptied, before)
    assert decision
    assert decision.event is Event.ELECTION_DUE, "it comes to be told that this election already has a chain"
    mended = worlds.view(worlds.overview(worlds.election(worlds.block0())), chain)
    for decide_as, event in ((leader0, Event.ELECTION_DUE), (node, Event.BLOCK0_POSTED)):
        assert decide_as(Phase.WAITING, mended, before) == Decision(
            event, "block 0 of spring is published", worlds.work(worlds.block0())
        )
        assert decide_as(Phase.WAITING, emptied, worlds.CLOSE - worlds.INSTANT) is None
        missed = decide_as(Phase.WAITING, emptied, worlds.CLOSE)
        assert missed
        assert missed.event is Event.LEFTOVERS_FOUND


def test_leader0_takes_up_a_chain_that_the_database_has_forgotten_whatever_time_it_is() -> None:
    """What was published with it is here too; by the database voting ended without a block 0, or never began."""
    kept = LocalChain(worlds.ID, worlds.HASH, has_blocks=True, has_publication=True)
    forgotten = replace(worlds.election(), fingerprint=None)
    missed = replace(worlds.overview(), missed=(forgotten,))
    other = worlds.election(id_=8, name="summer", later=worlds.HOUR)
    for overview, now in [
        (worlds.overview(forgotten, other), worlds.DUE - worlds.DAY),
        (worlds.overview(forgotten, other), worlds.VOTING_START),
        (replace(missed, elections=(other,)), worlds.CLOSE + worlds.DAY),
    ]:
        marked = with_what_is_here(overview, [kept], POLICY)
        assert marked.missed == ()
        decision = leader0(Phase.WAITING, worlds.view(marked, kept), now)
        assert decision
        assert decision.event is Event.ELECTION_DUE
        assert decision.work == Work.on(forgotten)


def test_no_block0_is_built_of_an_election_that_was_forgotten() -> None:
    kept = LocalChain(worlds.ID, worlds.HASH, has_blocks=True, has_publication=True)
    view = worlds.view(with_what_is_here(worlds.overview(worlds.election()), [kept], POLICY), kept)
    for phase in (Phase.BUILDING_VOTE_PLAN, Phase.GENERATING_BLOCK0):
        decision = leader0(phase, view, worlds.DUE, worlds.work())
        assert decision
        assert decision.event is Event.ELECTION_CHANGED
    assert leader0(Phase.FETCHING_KEY, view, worlds.DUE, worlds.work()) is None


@pytest.mark.parametrize(
    ("election", "withdrawn", "has_blocks"),
    [
        (worlds.election(), [worlds.HASH], True),
        (worlds.election(cancelled=True), [], True),
        (worlds.election(worlds.block0("0c" * 32)), [], True),
        (worlds.election(id_=8), [], True),
        (worlds.election(), [], False),
    ],
    ids=["withdrawn", "cancelled", "replaced", "of another election", "never run"],
)
def test_a_chain_that_does_not_come_back_is_a_leftover(
    election: ElectionOverview, withdrawn: list[str], has_blocks: bool
) -> None:
    chain = LocalChain(worlds.ID, worlds.HASH, has_blocks)
    view = worlds.view(worlds.overview(election, withdrawn=withdrawn), chain)
    for decide_as in (leader0, node):
        decision = decide_as(Phase.WAITING, view, worlds.VOTING_START)
        assert decision
        assert decision.event is Event.LEFTOVERS_FOUND


def test_a_chain_that_is_still_to_be_ended_is_no_leftover_of_an_earlier_one() -> None:
    """A database that was restored to an older copy has an election worked on again that was over already."""
    earlier = replace(worlds.election(worlds.block0("0c" * 32), id_=8), voting_start=worlds.VOTING_START - worlds.HOUR)
    view = worlds.view(
        worlds.overview(worlds.election(worlds.block0()), earlier),
        LocalChain(worlds.ID, worlds.HASH, has_blocks=True),
    )
    for decide_as, event in ((leader0, Event.ELECTION_DUE), (node, Event.BLOCK0_POSTED)):
        decision = decide_as(Phase.WAITING, view, worlds.VOTING_START)
        assert decision
        assert (decision.event, decision.work and decision.work.election_id) == (event, 8)
    over = node(Phase.WAITING, view, worlds.CLOSE)
    assert over
    assert over.event is Event.LEFTOVERS_FOUND, "other nodes let go after the grace"


def test_other_nodes_wait_for_block0_and_not_for_the_time() -> None:
    assert node(Phase.WAITING, of(worlds.election()), worlds.VOTING_START) is None
    decision = node(Phase.WAITING, of(worlds.election(worlds.block0())), worlds.DUE - worlds.DAY)
    assert decision == Decision(Event.BLOCK0_POSTED, "block 0 of spring is published", worlds.work(worlds.block0()))


@pytest.mark.parametrize("phase", sorted(BEFORE_PUBLICATION))
def test_an_edit_before_publication_starts_over(phase: Phase) -> None:
    decision = leader0(phase, of(worlds.election(fingerprint="edited")), worlds.DUE, worlds.work())
    assert decision == Decision(Event.ELECTION_CHANGED, "spring was edited before its block 0 was published")


@pytest.mark.parametrize("phase", sorted(BEFORE_PUBLICATION))
def test_a_fingerprint_that_is_not_known_yet_is_no_edit(phase: Phase) -> None:
    unknown = replace(worlds.election(), fingerprint=None)
    assert leader0(phase, of(unknown), worlds.DUE, worlds.work()) is None


def test_an_election_is_begun_when_its_fingerprint_is_known() -> None:
    assert leader0(Phase.WAITING, of(replace(worlds.election(), fingerprint=None)), worlds.DUE) is None
    assert leader0(Phase.WAITING, of(worlds.election()), worlds.DUE) is not None


@pytest.mark.parametrize("phase", sorted(BEFORE_PUBLICATION))
def test_an_edit_after_publication_does_not(phase: Phase) -> None:
    published = of(worlds.election(worlds.block0(), fingerprint="edited"))
    assert leader0(phase, published, worlds.DUE, worlds.work()) is None


@pytest.mark.parametrize("phase", sorted(BEFORE_PUBLICATION))
def test_an_earlier_election_goes_before_one_that_is_not_published(phase: Phase) -> None:
    earlier = worlds.election(id_=3, name="winter", later=-worlds.HOUR)
    decision = leader0(phase, of(earlier, worlds.election()), worlds.DUE, worlds.work())
    assert decision == Decision(Event.ELECTION_CHANGED, "spring is no longer the current election")


def test_the_own_publication_is_no_find() -> None:
    """The work that published it ends with block0_published; what another life published is adopted."""
    published = worlds.overview(worlds.election(worlds.block0(generation=4)))
    own, later = worlds.view(published, generation=4), worlds.view(published, generation=5)
    assert leader0(Phase.GENERATING_BLOCK0, own, worlds.DUE, worlds.work()) is None
    for view in (later, worlds.view(published, generation=None)):
        decision = leader0(Phase.GENERATING_BLOCK0, view, worlds.DUE, worlds.work())
        assert decision
        assert decision.event is Event.BLOCK0_FOUND
        assert decision.work == worlds.work(worlds.block0(generation=4))


def running(work: Work, view: View, now: datetime = worlds.VOTING_START) -> Decision | None:
    return leader0(Phase.RUNNING, view, now, work)


def test_the_chain_says_when_voting_has_ended() -> None:
    work = worlds.work(worlds.block0())
    before = BlockDate(worlds.DATES.vote_end.epoch - 1, 899)
    assert running(work, worlds.view(UNKNOWN, tip=before), worlds.CLOSE) is None
    decision = running(work, worlds.view(UNKNOWN, tip=worlds.DATES.vote_end))
    assert decision == Decision(Event.VOTING_ENDED, "the tip is dated 169.0, and voting ended at 169.0")


def test_a_running_chain_outlives_its_row() -> None:
    """Edited, emptied or gone: only a withdrawal ends a running chain."""
    work = worlds.work(worlds.block0())
    rows = [worlds.election(worlds.block0(), fingerprint="edited"), worlds.election(), worlds.election(cancelled=True)]
    assert [running(work, of(row)) for row in rows] == [None] * 3
    assert running(work, of()) is None


def test_a_withdrawn_chain_is_given_up() -> None:
    withdrawn = worlds.view(worlds.overview(worlds.election(), withdrawn=[worlds.HASH]))
    decision = running(worlds.work(worlds.block0()), withdrawn)
    assert decision == Decision(Event.ELECTION_CHANGED, f"block 0 {worlds.HASH} of spring was withdrawn")


def test_a_chain_that_another_leader0_archived_is_left() -> None:
    """One that stood by meanwhile would otherwise wait in Running for ever, and take up no other election."""
    archived = worlds.view(worlds.overview(archived=[worlds.HASH]))
    decision = running(worlds.work(worlds.block0()), archived)
    why = "the final archive of spring is verified already: another leader 0 has ended it"
    assert decision == Decision(Event.ELECTION_CHANGED, why)


def test_the_archive_of_a_copy_closes_nothing() -> None:
    """Leader 0 may have set a damaged copy aside and archived that, while the chain runs on."""
    salvaged = worlds.view(worlds.overview(worlds.election(worlds.block0()), archived=[worlds.HASH]))
    assert running(worlds.work(worlds.block0()), salvaged) is None
    assert node(Phase.RUNNING, salvaged, worlds.VOTING_START, worlds.work(worlds.block0())) is None


@pytest.mark.parametrize(
    ("view", "now", "expected"),
    [
        (
            worlds.view(worlds.overview(archived=[worlds.HASH])),
            worlds.VOTING_END,
            Decision(Event.ELECTION_CLOSED, "the archive of spring is verified"),
        ),
        (
            worlds.view(UNKNOWN),
            worlds.CLOSE,
            Decision(Event.ELECTION_CLOSED, "the time to tally spring and its grace have passed"),
        ),
        (
            of(worlds.election()),
            worlds.VOTING_START,
            Decision(Event.ELECTION_CHANGED, f"the posted block 0 of spring is no longer {worlds.HASH}"),
        ),
        (worlds.view(UNKNOWN), worlds.CLOSE - worlds.INSTANT, None),
        (of(worlds.election(worlds.block0(), fingerprint="edited")), worlds.VOTING_START, None),
    ],
    ids=["archived", "past the grace", "withdrawn", "database away", "row edited"],
)
def test_other_nodes_leave_with_the_posted_block0(view: View, now: datetime, expected: Decision | None) -> None:
    assert node(Phase.RUNNING, view, now, worlds.work(worlds.block0())) == expected


UNREADABLE = (UnreadableElection(worlds.ID, worlds.NAME, "its end is infinity"),)


def test_a_running_chain_whose_row_cannot_be_read_goes_on() -> None:
    work = worlds.work(worlds.block0())
    for withdrawn in ((), (worlds.HASH,)):
        view = worlds.view(replace(worlds.overview(withdrawn=withdrawn), unreadable=UNREADABLE))
        for decide_as in (leader0, node):
            decision = decide_as(Phase.RUNNING, view, worlds.VOTING_START, work)
            assert bool(decision) == bool(withdrawn), "that block 0 was withdrawn stands elsewhere"


@pytest.mark.parametrize("hash_", [None, worlds.HASH])
def test_data_of_a_row_that_cannot_be_read_is_no_leftover(hash_: str | None) -> None:
    chain = LocalChain(worlds.ID, hash_, has_blocks=hash_ is not None)
    view = worlds.view(replace(worlds.overview(), unreadable=UNREADABLE), chain)
    assert leader0(Phase.WAITING, view, worlds.VOTING_START) is None
    assert node(Phase.WAITING, view, worlds.VOTING_START) is None


def test_a_row_that_cannot_be_read_holds_up_no_other_election() -> None:
    other = worlds.election(id_=3, name="winter")
    view = worlds.view(replace(worlds.overview(other), unreadable=UNREADABLE))
    decision = leader0(Phase.WAITING, view, worlds.DUE)
    assert decision
    assert decision.work == Work.on(other)


def test_a_tally_is_given_up_only_past_the_grace_and_for_good_reason() -> None:
    work = worlds.work(worlds.block0())
    missing = worlds.view(UNKNOWN, failure=PermanentError("SharesMissing", "member 2 has posted no share"))
    assert leader0(Phase.TALLYING, missing, worlds.CLOSE - worlds.INSTANT, work) is None
    assert leader0(Phase.TALLYING, worlds.view(UNKNOWN), worlds.CLOSE + worlds.DAY, work) is None
    why = "the time to tally and its grace have passed without a result: member 2 has posted no share"
    assert leader0(Phase.TALLYING, missing, worlds.CLOSE, work) == Decision(Event.TALLY_WINDOW_CLOSED, why)


@pytest.mark.parametrize("failure", [PermanentError("Denied", "refused"), TemporaryError("NodeNotReady", "not ready")])
def test_a_tally_is_not_given_up_for_what_failed_once(failure: ServiceError) -> None:
    """Leader 0 came back days later, and the first thing that it asked for was refused."""
    work, late = worlds.work(worlds.block0()), worlds.CLOSE + worlds.DAY
    failed = worlds.view(worlds.overview(), failure=failure)
    assert leader0(Phase.TALLYING, failed, late, work)
    for failures in range(1, LEAST_FAILURES):
        assert leader0(Phase.TALLYING, replace(failed, failures=failures), late, work) is None


def test_by_a_wrong_clock_nothing_is_given_up() -> None:
    work, late = worlds.work(worlds.block0()), worlds.CLOSE + worlds.DAY
    for failure in (PermanentError("SharesMissing", "none"), TemporaryError("NodeNotReady", "the node is not ready")):
        failed = worlds.view(worlds.overview(worlds.election(worlds.block0())), failure=failure)
        assert leader0(Phase.TALLYING, failed, late, work)
        assert leader0(Phase.TALLYING, replace(failed, clock_wrong=True), late, work) is None
    assert node(Phase.RUNNING, worlds.view(UNKNOWN), late, work)
    assert node(Phase.RUNNING, replace(worlds.view(UNKNOWN), clock_wrong=True), late, work) is None


def test_what_does_not_answer_has_a_little_longer_and_the_database_must() -> None:
    work, silent = worlds.work(worlds.block0()), TemporaryError("NodeNotReady", "the node is not ready")
    last = worlds.CLOSE + LAST_ATTEMPTS
    view = worlds.view(worlds.overview(), failure=silent)
    assert leader0(Phase.TALLYING, view, last - worlds.INSTANT, work) is None
    why = "the time to tally and its grace have passed without a result: the node is not ready"
    assert leader0(Phase.TALLYING, view, last, work) == Decision(Event.TALLY_WINDOW_CLOSED, why)
    assert leader0(Phase.TALLYING, worlds.view(UNKNOWN, failure=silent), last + worlds.DAY, work) is None


def test_nothing_due_is_begun_while_the_template_cannot_be_read() -> None:
    view = worlds.view(worlds.overview(worlds.election()), slot_duration=UNKNOWN)
    assert leader0(Phase.WAITING, view, worlds.VOTING_START) is None
