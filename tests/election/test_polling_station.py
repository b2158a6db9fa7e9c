"""Votes as they are signed, and what is made of the nodes' answers."""

from collections.abc import Collection
from typing import cast

import pytest
from node_fsm_sandbox.election.polling_station import BallotPaper, PollingStation, sign
from node_fsm_sandbox.formats.chain import spending_counter
from node_fsm_sandbox.formats.signatures import signed_parts

from node_fsm.chain.certificates import decode_vote_cast
from node_fsm.core.block_date import BlockDate
from node_fsm.core.errors import TemporaryError
from node_fsm.node.rest import NodeRest
from node_fsm.ports.answers import FragmentState, FragmentStatus
from tests.support.drawn import drawn

BLOCK0_HASH = "0b" * 32
PLAN = "aa" * 32

PENDING = FragmentStatus(FragmentState.PENDING)
REJECTED = FragmentStatus(FragmentState.REJECTED, reason="voted already")
IN_A_BLOCK = FragmentStatus(FragmentState.IN_A_BLOCK, block="cc" * 32, date=BlockDate(0, 9))


class Node:
    """A node that knows of one fragment, ``vote``, what it was told; or does not answer."""

    def __init__(self, status: FragmentStatus | None) -> None:
        self._status = status

    async def fragment_statuses(self, fragment_ids: Collection[str]) -> dict[str, FragmentStatus]:
        if self._status is None:
            raise TemporaryError("NodeUnavailable", "it was killed")
        return dict.fromkeys(fragment_ids, self._status)


def test_a_vote_says_what_was_drawn_and_is_signed_by_its_voter() -> None:
    election = drawn()
    ballot = election.ballots[0]
    places = {question.external_id: (PLAN, index) for index, question in enumerate(election.questions)}
    fragment = sign(ballot, BallotPaper(BLOCK0_HASH, places, BlockDate(1, 899)))
    vote = decode_vote_cast(fragment)
    assert (vote.plan_id, vote.proposal_index) == places[ballot.question.external_id]
    assert vote.choice == ballot.choice
    parts = signed_parts(fragment, inputs=1)
    assert parts.witnesses[0][0] == spending_counter(ballot.lane, 0)
    assert parts.witness_holds(0, ballot.voter.wallet.public_key, bytes.fromhex(BLOCK0_HASH))


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([PENDING, PENDING, PENDING], PENDING),
        ([PENDING, REJECTED, PENDING], REJECTED),
        ([PENDING, REJECTED, IN_A_BLOCK], IN_A_BLOCK),
        ([IN_A_BLOCK, None, REJECTED], IN_A_BLOCK),
        ([PENDING, None, None], PENDING),
    ],
)
async def test_a_block_goes_before_a_rejection_and_that_before_waiting(
    answers: list[FragmentStatus | None], outcome: FragmentStatus
) -> None:
    follower, *leaders = (cast("NodeRest", Node(answer)) for answer in answers)
    assert await PollingStation(follower, leaders).outcomes(["vote"]) == {"vote": outcome}


async def test_nodes_that_do_not_answer_know_nothing() -> None:
    station = PollingStation(cast("NodeRest", Node(None)), [])
    assert await station.outcomes(["vote"]) == {}
