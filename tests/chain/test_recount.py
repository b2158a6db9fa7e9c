"""The recount: against what the node counted, and on chains that no honest node would make."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_fsm.chain.certificates import VoteCast, decode_vote_cast
from node_fsm.chain.errors import BrokenChainError, MalformedError, TruncatedError
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.chain.recount import Ignored, PlanCount, Recount, UnknownPlanError, recount
from node_fsm.core.chain_time import BlockDate
from tests.chain import build
from tests.chain.build import ANN, BOB, EVE
from tests.chain.helpers import DATA, refusal, stored
from tests.chain.recording import Jcli, record

CHAIN = stored("blocks.b64")
PLANS: list[dict[str, Any]] = json.loads((DATA / "plans.json").read_text())

# Plans of two proposals with 3 and 2 options, open while the parent's date is in [0.2, 0.5).
PUBLIC = build.plan_content(start=(0, 2), end=(0, 5))
PRIVATE = build.plan_content(start=(0, 2), end=(0, 5), private=True, name=b"sec")
PUBLIC_ID, PRIVATE_ID = build.plan_id(PUBLIC), build.plan_id(PRIVATE)
BLOCK0 = build.block(
    [
        build.initial(),
        build.token(ANN, 1),
        build.token(BOB, 10),
        build.plan(PUBLIC),
        build.token(ANN, 4),
        build.token(EVE, 7, name=b"sec"),
        build.plan(PRIVATE),
    ]
)


def count(data: bytes, *plan_ids: str) -> Recount:
    return recount(io.BytesIO(data), plan_ids or None)


def count_votes(*votes: bytes) -> Recount:
    """The recount of a chain with *votes* in a block within the window."""
    return count(build.chain(BLOCK0, ((0, 2), []), ((0, 3), votes)))


def weights(plan: PlanCount) -> list[tuple[int, ...] | None]:
    return [proposal.weights for proposal in plan.proposals]


def assert_agrees(data: bytes, plans: list[dict[str, Any]]) -> Recount:
    """The recount agrees with the node's answer about its plans after both tallies."""
    counted = count(data)
    assert counted.plans.keys() == {plan["id"] for plan in plans}
    for plan in plans:
        found = counted.plans[plan["id"]]
        assert found.plan.payload_type == plan["payload"]
        assert list(found.plan.committee_member_public_keys) == plan["committee_member_keys"]
        assert str(found.plan.vote_end) == plan["vote_end"]
        assert [proposal.votes_cast for proposal in found.proposals] == [
            proposal["votes_cast"] for proposal in plan["proposals"]
        ]
        if plan["payload"] == "public":
            results = [proposal["tally"]["Public"]["result"]["results"] for proposal in plan["proposals"]]
            assert weights(found) == [tuple(result) for result in results]
        else:
            decrypted = [
                proposal["tally"]["Private"]["state"]["Decrypted"]["result"]["results"]
                for proposal in plan["proposals"]
            ]
            (tally,) = (tally for tally in counted.tallies if tally.plan_id == plan["id"])
            assert weights(found) == [None] * len(decrypted)
            assert tally.results == tuple(tuple(result) for result in decrypted)
    assert not counted.ignored
    assert not counted.anomalies
    return counted


def test_a_recorded_election_is_counted_as_by_the_node() -> None:
    counted = assert_agrees(CHAIN, PLANS)
    statuses = json.loads((DATA / "statuses.json").read_text())
    assert [tally.payload_type for tally in counted.tallies] == ["public", "private"]
    for tally in counted.tallies:
        place = {"date": str(tally.block_date), "block": tally.block_id}
        assert statuses[tally.fragment_id] == {"InABlock": place}
        assert tally.committee_id == counted.block0.vote_plans[0].committee_id
        assert tally.height <= counted.tip.height


def test_only_the_plans_asked_for_are_counted() -> None:
    public, private = (plan["id"] for plan in PLANS)
    counted = count(CHAIN, private)
    assert counted.plans.keys() == {private}
    assert counted.ignored == {Ignored.OTHER_PLAN: 4}
    assert counted.anomalies == ()
    assert count(CHAIN, public).plans[public] == count(CHAIN).plans[public]


def test_a_plan_that_block_0_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownPlanError, match="abab") as caught:
        count(CHAIN, "ab" * 32, PLANS[0]["id"])
    assert caught.value.plan_ids == ("ab" * 32,)


def test_weights_are_the_tokens_of_block_0_summed_by_account() -> None:
    counted = count_votes(
        build.vote(PUBLIC_ID, ANN, proposal=0, choice=2),
        build.vote(PUBLIC_ID, BOB, proposal=0, choice=2),
        build.vote(PUBLIC_ID, ANN, proposal=1, choice=0),
        build.private_vote(PRIVATE_ID, EVE),
    )
    assert weights(counted.plans[PUBLIC_ID]) == [(0, 0, 15), (5, 0)]
    assert [proposal.votes_cast for proposal in counted.plans[PUBLIC_ID].proposals] == [2, 1]
    assert [proposal.votes_cast for proposal in counted.plans[PRIVATE_ID].proposals] == [1, 0]
    assert not counted.ignored


@pytest.mark.parametrize(
    ("parent", "block", "counts"),
    [
        ((0, 1), (0, 2), False),
        ((0, 1), (0, 3), False),
        ((0, 2), (0, 3), True),
        ((0, 4), (0, 5), True),
        ((0, 4), (3, 0), True),
        ((0, 5), (0, 6), False),
    ],
)
def test_the_date_of_the_parent_decides(parent: tuple[int, int], block: tuple[int, int], counts: bool) -> None:
    counted = count(build.chain(BLOCK0, (parent, []), (block, [build.vote(PUBLIC_ID)])))
    assert counted.plans[PUBLIC_ID].proposals[0].votes_cast == counts
    assert counted.ignored == ({} if counts else {Ignored.OUTSIDE_WINDOW: 1})


def test_the_first_vote_of_an_account_counts_and_the_second_is_an_anomaly() -> None:
    second = build.vote(PUBLIC_ID, ANN, choice=1)
    data = build.chain(BLOCK0, ((0, 2), []), ((0, 3), [build.vote(PUBLIC_ID, ANN, choice=0)]), ((0, 4), [second]))
    counted = count(data)
    assert weights(counted.plans[PUBLIC_ID])[0] == (5, 0, 0)
    (anomaly,) = counted.anomalies
    assert anomaly == (
        Ignored.SECOND_VOTE,
        Fragment.from_bytes(second).id,
        counted.tip.id,
        3,
        PUBLIC_ID,
        0,
    )


@pytest.mark.parametrize(
    ("vote", "reason"),
    [
        (build.vote(PUBLIC_ID, proposal=2), Ignored.UNKNOWN_PROPOSAL),
        (build.vote(PUBLIC_ID, choice=3), Ignored.UNKNOWN_CHOICE),
        (build.vote(PUBLIC_ID, proposal=1, choice=2), Ignored.UNKNOWN_CHOICE),
        (build.private_vote(PUBLIC_ID), Ignored.WRONG_PAYLOAD),
        (build.vote(PRIVATE_ID, EVE), Ignored.WRONG_PAYLOAD),
        (build.private_vote(PRIVATE_ID, EVE, options=2), Ignored.WRONG_PAYLOAD),
        (build.vote(PUBLIC_ID, EVE), Ignored.NO_VOTING_POWER),
        (build.private_vote(PRIVATE_ID, ANN), Ignored.NO_VOTING_POWER),
        (build.vote(PUBLIC_ID, spine=build.SPINE_OF_BLOCK0), Ignored.NO_ACCOUNT),
        (build.vote("ab" * 32), Ignored.OTHER_PLAN),
    ],
)
def test_votes_that_do_not_count_are_told(vote: bytes, reason: Ignored) -> None:
    counted = count_votes(vote)
    assert counted.ignored == {reason: 1}
    assert [anomaly.reason for anomaly in counted.anomalies] == [reason] * (reason is not Ignored.OTHER_PLAN)
    assert all(not proposal.votes_cast for plan in counted.plans.values() for proposal in plan.proposals)


def test_the_tip_is_the_last_block() -> None:
    counted = count(build.chain(BLOCK0, ((0, 2), []), ((7, 3), [])))
    assert (counted.tip.date, counted.tip.height) == (BlockDate(7, 3), 2)
    assert counted.block0.hash == build.block_id(BLOCK0)
    assert count(BLOCK0).tip.id == counted.block0.hash


def test_a_chain_that_is_cut_or_broken_or_missing_is_not_counted() -> None:
    data = build.chain(BLOCK0, ((0, 2), []), ((0, 3), [build.vote(PUBLIC_ID)]))
    with pytest.raises(TruncatedError):
        count(data[:-1])
    with pytest.raises(BrokenChainError):
        count(BLOCK0 + BLOCK0)
    with pytest.raises(MalformedError, match="stream is empty"):
        count(b"")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (bytes(32) + b"\0\3", "expected payload type 1"),
        (bytes(32) + b"\0\1\0" + b"\0" * 9, r"numbers of inputs and outputs \(10 bytes\), 9 bytes are left"),
        (bytes(32) + b"\0\1\0" + build.account_spine(ANN) + b"\0", "end of the vote, 1 bytes are left"),
        (bytes(32) + b"\0\2\3" + bytes(100), r"expected ballot \(192 bytes\), 100 bytes are left"),
    ],
)
def test_malformed_votes_are_refused(content: bytes, fault: str) -> None:
    with pytest.raises(MalformedError, match=fault):
        decode_vote_cast(Fragment.from_bytes(build.fragment(FragmentKind.VOTE_CAST, content)))


def test_spending_counters_are_read_with_their_lane() -> None:
    raw = build.vote(PUBLIC_ID, spine=build.account_spine(ANN, counter=3 << 29 | 17))
    vote: VoteCast = decode_vote_cast(Fragment.from_bytes(raw))
    (witness,) = vote.transaction.witnesses
    assert (witness.lane, witness.counter) == (3, 17)
    assert vote.account == ANN


def test_other_witnesses_and_inputs_are_read() -> None:
    output_of_fragment = b"\2" + bytes(8) + b"\xaa" * 32
    for witness in (b"\0" + bytes(128), b"\1" + bytes(64), b"\3" + bytes(4) + b"\2" + bytes(2 * 98)):
        spine = bytes(8) + b"\1\0" + output_of_fragment + witness
        vote = decode_vote_cast(Fragment.from_bytes(build.vote(PUBLIC_ID, spine=spine)))
        assert vote.transaction.inputs[0].output == ("aa" * 32, 2)
        assert vote.account is None


@given(st.integers(0, 160), st.integers(1, 255))
def test_any_vote_is_decoded_or_refused(position: int, flip: int) -> None:
    vote = bytearray(build.vote(PUBLIC_ID))
    vote[position % len(vote)] ^= flip
    refusal(count, build.chain(BLOCK0, ((0, 2), []), ((0, 3), [bytes(vote)])))


@pytest.mark.real
def test_an_election_run_now_is_counted_as_by_the_node(real_jcli: str, real_jormungandr: str, tmp_path: Path) -> None:
    recording = asyncio.run(record(Jcli(real_jcli, tmp_path), real_jormungandr))
    assert_agrees(recording.blocks, recording.plans)
