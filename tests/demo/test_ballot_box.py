"""Votes on their way: which are believed to count, and which not."""

from collections.abc import Collection, Sequence
from typing import cast

from node_fsm_sandbox.demo.ballot_box import BallotBox
from node_fsm_sandbox.demo.moment import VotesView
from node_fsm_sandbox.demo.observer import Observer
from node_fsm_sandbox.election.draw import Ballot
from node_fsm_sandbox.election.polling_station import PollingStation

from node_fsm.core.block_date import BlockDate
from node_fsm.ports.answers import FragmentState, FragmentStatus
from tests.support.drawn import drawn
from tests.support.polling import HANGING

REJECTED = FragmentStatus(FragmentState.REJECTED, reason="This account already voted")
IN_A_BLOCK = FragmentStatus(FragmentState.IN_A_BLOCK, block="cc" * 32, date=BlockDate(0, 9))


class Station:
    """Answers what it is given, one answer for each question; then nothing."""

    def __init__(self, *answers: dict[str, FragmentStatus]) -> None:
        self._answers = list(answers)

    async def cast(self, ballots: Sequence[Ballot]) -> list[str]:
        return [f"vote {number}" for number in range(len(ballots))]

    async def outcomes(self, fragment_ids: Collection[str]) -> dict[str, FragmentStatus]:
        answer = self._answers.pop(0) if self._answers else {}
        return {fragment_id: status for fragment_id, status in answer.items() if fragment_id in fragment_ids}


def box_of(*answers: dict[str, FragmentStatus]) -> tuple[BallotBox, Observer]:
    observer = Observer([], display=None)  # type: ignore[arg-type]
    return BallotBox(drawn(), cast("PollingStation", Station(*answers)), observer), observer


async def test_votes_in_blocks_are_counted_and_shown() -> None:
    box, observer = box_of({"vote 0": IN_A_BLOCK}, {"vote 1": IN_A_BLOCK})
    votes = await box.cast(drawn().ballots[:2])
    assert await box.count(votes, seconds=HANGING) == []
    assert observer.votes == VotesView("first", len(drawn().ballots) + 2, cast=2, in_blocks=2, rejected=0)


async def test_a_rejection_of_what_another_leader_took_is_not_believed() -> None:
    box, observer = box_of({"vote 0": REJECTED}, {"vote 0": IN_A_BLOCK})
    assert await box.count(await box.cast(drawn().ballots[:1]), seconds=HANGING) == []
    assert observer.votes
    assert observer.votes.rejected == 0


async def test_votes_that_do_not_come_into_blocks_have_their_reasons() -> None:
    box, _ = box_of({"vote 0": REJECTED})
    reasons = await box.count(await box.cast(drawn().ballots[:2]), seconds=0.1)
    assert reasons == ["This account already voted", "it is still pending"]


async def test_a_rejection_that_is_waited_for_is_told() -> None:
    box, observer = box_of({}, {"vote 0": REJECTED})
    (vote,) = await box.cast([drawn().again])
    assert await box.rejection(vote, seconds=HANGING) == "This account already voted"
    assert observer.votes
    assert observer.votes.rejected == 1


async def test_a_vote_that_should_have_been_rejected_is_found_in_its_block() -> None:
    box, _ = box_of({"vote 0": IN_A_BLOCK})
    (vote,) = await box.cast([drawn().again])
    assert await box.rejection(vote, seconds=HANGING) == "it is in a block"
