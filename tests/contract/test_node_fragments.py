"""What becomes of fragments: which the mempool refuses, which the ledger rejects and why, and which count."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from node_fsm_sandbox.formats import certificates as certificates_write
from node_fsm_sandbox.formats.crypto import blake2b_256

from node_fsm.chain.certificates import OFF_CHAIN, PlanProposal
from node_fsm.chain.fragments import FragmentKind
from node_fsm.core.chain_time import BlockDate
from node_fsm.core.payload_type import PayloadType
from node_fsm.ports.answers import FragmentState
from tests.contract.binaries import Binaries
from tests.contract.chains import (
    FAR,
    FARTHER,
    FUND,
    GENESIS,
    TOKEN,
    Transaction,
    Wallet,
    make_chain,
    tally,
    vote,
)
from tests.contract.nodes import Node
from tests.contract.voters import (
    CLOSED,
    NOT_BEGUN,
    OPEN,
    PLANS,
    TALLYING,
    UNKNOWN_PLAN,
    Case,
    Station,
    always,
    money,
    plan_content,
    plan_fragment,
    plan_of,
    private_vote,
    refused,
    spoilt,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def station(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Station]:
    voters, powerless, committee = [Wallet() for _ in range(60)], Wallet(), Wallet()
    chain = await make_chain(
        binaries.jcli,
        tmp_path_factory.mktemp("chain"),
        voters=voters,
        powerless=[powerless],
        committee=[committee],
        plans=PLANS,
        age=3,
        parameters={"block_content_max_size": 4000},
    )
    node = Node(binaries, chain, tmp_path_factory.mktemp("node"))
    await node.start()
    await node.height(2)
    yield Station(node, chain, committee, powerless, iter(voters))
    await node.kill()


LEDGER: dict[str, Case] = {
    "a vote": (lambda s: vote(s.chain, next(s.voters)), always(None)),
    "a vote on another lane": (lambda s: vote(s.chain, next(s.voters), lane=7), always(None)),
    "a transfer": (lambda s: money(s, 10, 10), always(None)),
    "too early": (
        lambda s: vote(s.chain, next(s.voters), plan=NOT_BEGUN),
        plan_of(
            NOT_BEGUN,
            "It is not possible to vote at the moment for the proposals, time to vote is between 500.0 to 1000.0.",
        ),
    ),
    "too late": (
        lambda s: vote(s.chain, next(s.voters), plan=TALLYING),
        plan_of(
            TALLYING, "It is not possible to vote at the moment for the proposals, time to vote is between 0.0 to 0.1."
        ),
    ),
    "no power": (lambda s: vote(s.chain, s.powerless), plan_of(OPEN, "Account has no voting power")),
    "no account": (
        lambda s: vote(s.chain, Wallet()),
        always("Error or Invalid account: Account does not exist"),
    ),
    "a vote that pays": (
        lambda s: vote(s.chain, next(s.voters), value=5, outputs=((s.stranger, 5),)),
        always("Transaction for VoteCast is invalid. expecting 1 input, 1 witness and 0 output"),
    ),
    "unknown plan": (
        lambda s: vote(s.chain, next(s.voters), plan_id=UNKNOWN_PLAN),
        always(f"Voting error: cannot update the vote plan {UNKNOWN_PLAN}: could not find the requested key"),
    ),
    "unknown proposal": (
        lambda s: vote(s.chain, next(s.voters), proposal=2),
        plan_of(OPEN, "Invalid vote proposal, only 2 available in the vote plan"),
    ),
    "unknown choice": (lambda s: vote(s.chain, next(s.voters), choice=3), plan_of(OPEN, "Invalid option choice")),
    "counter ahead": (
        lambda s: vote(s.chain, next(s.voters), counter=5, lane=3),
        always("Error or Invalid account: Spending credential invalid, expected 0 got 5 in lane 3"),
    ),
    "another wallet's signature": (
        lambda s: vote(s.chain, next(s.voters), signer=s.stranger),
        always("Account with invalid signature"),
    ),
    "another chain's signature": (
        lambda s: vote(s.chain, next(s.voters), block0_hash=UNKNOWN_PLAN),
        always("Account with invalid signature"),
    ),
    "more than the fee": (
        lambda s: vote(s.chain, next(s.voters), value=1),
        always(
            "Failed to validate transaction balance: transaction value not balanced, has inputs sum 1 and outputs sum 0"
        ),
    ),
    "more than there is": (
        lambda s: money(s, FUND + 1, FUND + 1),
        always("Error or Invalid account: Value calculation failed: Value cannot be negative"),
    ),
    "an empty output": (lambda s: money(s, 0, 0), always("Empty output")),
    "tally too early": (
        lambda s: tally(s.chain, s.committee, plan=OPEN, lane=1),
        plan_of(
            OPEN,
            "It is not possible to tally the votes for the proposals, time to tally the votes is between 1000.0 to "
            "2000.0.",
        ),
    ),
    "tally too late": (
        lambda s: tally(s.chain, s.committee, plan=CLOSED, lane=2),
        plan_of(
            CLOSED,
            "It is not possible to tally the votes for the proposals, time to tally the votes is between 0.1 to 0.2.",
        ),
    ),
    "tally by a voter": (
        lambda s: tally(s.chain, next(s.voters), plan=TALLYING),
        plan_of(TALLYING, "Unexpected TallyProof's public ID, expected one of the committee"),
    ),
    "tally with a wrong signature": (
        lambda s: spoilt(tally(s.chain, s.committee, plan=TALLYING, lane=3)),
        always("Vote Tally Proof failed"),
    ),
    "tally of an unknown plan": (
        lambda s: tally(s.chain, s.committee, plan_id=UNKNOWN_PLAN, lane=4),
        always(f"Voting error: cannot update the vote plan {UNKNOWN_PLAN}: could not find the requested key"),
    ),
    "tally by the committee": (lambda s: tally(s.chain, s.committee, plan=TALLYING), always(None)),
    "tally by a leader": (
        lambda s: tally(s.chain, next(s.voters), plan=TALLYING, authority=s.chain.leaders[0]),
        always(None),
    ),
    "a plan": (lambda s: plan_fragment(s, BlockDate(600, 0), FAR), always(None)),
    "the plan again": (
        lambda s: plan_fragment(s, BlockDate(600, 0), FAR),
        always(
            f"Voting error: cannot insert the vote plan {blake2b_256(plan_content(BlockDate(600, 0), FAR)).hex()}: "
            "entry with the provided key already exists"
        ),
    ),
    "a plan by another wallet": (
        lambda s: plan_fragment(s, BlockDate(601, 0), FAR, authority=s.stranger),
        always("Vote Plan Proof ID is not present in the committee"),
    ),
    "a plan with a wrong signature": (
        lambda s: spoilt(plan_fragment(s, BlockDate(602, 0), FAR)),
        always("Vote Plan Proof has an invalid signature"),
    ),
    "a private plan without members": (
        lambda s: Transaction(
            s.chain,
            next(s.voters),
            certificates_write.vote_plan(PayloadType.PRIVATE, (BlockDate(603, 0), FAR, FARTHER), [], [], TOKEN),
            kind=FragmentKind.VOTE_PLAN,
        ).sign(),
        always("Voting error: Private vote plan must contain at least one committee member key"),
    ),
    "a plan that has begun": (lambda s: plan_fragment(s, GENESIS, FAR), always("checked apart")),
    "a plan that is over": (lambda s: plan_fragment(s, GENESIS, BlockDate(0, 1)), always("checked apart")),
    "a private vote": (private_vote, plan_of(OPEN, "Private is not the expected payload type, expected Public")),
}


async def test_ledger(station: Station) -> None:
    """One batch of everything: what one fragment does is no matter to another."""
    made = {name: (make(station), reason(station)) for name, (make, reason) in LEDGER.items()}
    reasons = await station.outcome(*[fragment for fragment, _ in made.values()])
    found = dict(zip(made, reasons, strict=True))
    begun, over = (found.pop(name) or "" for name in ("a plan that has begun", "a plan that is over"))
    assert begun.startswith("Voting error: Vote plan already started (0.0), current date ")
    assert over.startswith("Voting error: Vote plan is set to finish in the passed (0.1), current date ")
    assert found == {name: reason for name, (_, reason) in made.items() if name in found}
    plan = next(plan for plan in (await plans(station)) if plan["id"] == station.chain.plan_ids[OPEN])
    votes = [proposal["votes_cast"] for proposal in plan["proposals"]]
    assert votes[0] == 2
    stranger = (await station.node.get(f"v0/account/{station.stranger.id}")).json()
    assert (stranger["value"], stranger["tokens"]) == (10, {})


async def plans(station: Station) -> list[dict[str, Any]]:
    return list((await station.node.get("v0/vote/active/plans")).json())


async def test_second_vote_and_counters(station: Station) -> None:
    """A gap is rejected at once, a second vote too; neither moves the counter, and lanes do not know of each other."""
    voter, chain = next(station.voters), station.chain
    on_lanes = [vote(chain, voter, proposal=lane % 2, lane=lane) for lane in range(2)]
    assert await station.outcome(*on_lanes) == [None, None]
    again = vote(chain, voter, choice=2, counter=1)
    gap = vote(chain, voter, choice=2, counter=2, lane=1)
    assert await station.outcome(again, gap) == [
        refused(chain.plan_ids[OPEN], "This account already voted for this proposal"),
        "Error or Invalid account: Spending credential invalid, expected 1 got 2 in lane 1",
    ]
    repeated = vote(chain, voter, proposal=1, expiry=chain.expiry()._replace(slot=8))
    (reason,) = await station.outcome(repeated)
    assert reason == "Error or Invalid account: Spending credential invalid, expected 1 got 0 in lane 0"
    account = (await station.node.get(f"v0/account/{voter.id}")).json()
    assert [counter % 2**29 for counter in account["counters"]] == [1, 1, 0, 0, 0, 0, 0, 0]
    (votes,) = [
        entry["votes"]
        for entry in (await station.node.get(f"v1/votes/plan/account-votes/{voter.id}")).json()
        if entry["vote_plan_id"] == chain.plan_ids[OPEN]
    ]
    assert votes == [0, 1]
    path = f"v1/votes/plan/{chain.plan_ids[OPEN]}/account-votes/{voter.id}"
    assert (await station.node.get(path)).json() == [0, 1]


async def test_a_chain_of_votes_in_one_block(station: Station) -> None:
    """Votes of one lane that follow each other are taken in the order in which they came."""
    voter = next(station.voters)
    in_order = [vote(station.chain, voter, proposal=number, counter=number) for number in range(2)]
    assert await station.outcome(*in_order) == [None, None]


async def test_expiry(station: Station) -> None:
    chain, node = station.chain, station.node
    now = chain.date()
    past = vote(chain, next(station.voters), expiry=BlockDate(0, 1))
    too_long = vote(chain, next(station.voters), expiry=BlockDate(now.epoch + 3, 0))
    fine = vote(chain, next(station.voters))
    assert await node.post(past, too_long, fine) == {
        past.id: "FragmentExpired",
        too_long.id: "FragmentValidForTooLong",
        fine.id: None,
    }
    await node.outcomes(fine)
    statuses = (await node.get("v1/fragments/statuses", params={"fragment_ids": f"{past.id},{too_long.id}"})).json()
    assert statuses == {}


async def test_the_same_again(station: Station) -> None:
    cast = vote(station.chain, next(station.voters))
    assert await station.outcome(cast) == [None]
    assert await station.node.post(cast) == {cast.id: "FragmentAlreadyInLog"}


async def test_invalid_fragments_and_fail_fast(station: Station) -> None:
    """Who would pay out more than it takes in is refused as an error, and with fail_fast what comes after too."""
    node = station.node
    first, spoilt, last = vote(station.chain, next(station.voters)), money(station, 1, 2), money(station, 3, 3)
    batch = [fragment.raw.hex() for fragment in (first, spoilt, last)]
    answer = await node.request("POST", "v1/fragments", json={"fail_fast": True, "fragments": batch})
    assert answer.status_code == 400
    assert answer.json() == {
        "accepted": [first.id],
        "rejected": [
            {"id": spoilt.id, "reason": "FragmentInvalid"},
            {"id": last.id, "reason": "PreviousFragmentInvalid"},
        ],
    }
    answer = await node.request("POST", "v1/fragments", content=b"[" * 10_000)
    assert answer.status_code == 400
    answer = await node.request("POST", "v0/message", content=spoilt.raw)
    assert (answer.status_code, answer.json()["rejected"][0]["reason"]) == (400, "FragmentInvalid")
    answer = await node.request("POST", "v0/message", content=last.raw + b"and what follows it")
    assert (answer.status_code, answer.json()) == (200, {"accepted": [last.id], "rejected": []})


async def test_blocks_have_a_largest_size(station: Station) -> None:
    """What does not fit waits for the next block, in order; what never fits is rejected."""
    votes = [vote(station.chain, next(station.voters)) for _ in range(25)]
    certificate = certificates_write.vote_plan(
        PayloadType.PUBLIC,
        (BlockDate(700, 0), FAR, FARTHER),
        [PlanProposal(f"{number:064x}", 2, OFF_CHAIN) for number in range(150)],
        [],
        TOKEN,
    )
    huge = Transaction(station.chain, next(station.voters), certificate, kind=FragmentKind.VOTE_PLAN).sign()
    assert await station.node.post(*votes, huge) == dict.fromkeys([*[cast.id for cast in votes], huge.id])
    *statuses, rejected = await station.node.outcomes(*votes, huge)
    assert {status.state for status in statuses} == {FragmentState.IN_A_BLOCK}
    dates = [status.date or GENESIS for status in statuses]
    assert dates == sorted(dates)
    assert len(set(dates)) == 2
    assert rejected.reason == f"fragment size {len(huge.raw)} exceeds maximum block content size 4000"
