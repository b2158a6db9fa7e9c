"""Block 0 that no ledger begins with, and files that describe none."""

import json
from typing import Any

import pytest

from node_fsm.chain import bech32
from tests.contract.chains import TOKEN, Plan
from tests.contract.commands import PANIC_CODE, Jcli
from tests.contract.genesis_documents import (
    ACCOUNT_OVERFLOW,
    CORRUPTED,
    INVALID,
    LEADER,
    STRANGER,
    VOTERS,
    Change,
    Document,
    block0,
    document,
    encode,
    plan_certificates,
    signed_plan,
)


@pytest.fixture
def certificates(jcli: Jcli) -> list[str]:
    return plan_certificates(jcli)


def configured(**values: Any) -> Change:
    return lambda content: content["blockchain_configuration"].update(values)


def added(*entries: Document) -> Change:
    return lambda content: content["initial"].extend(entries)


def fund(address: str = LEADER.address, value: object = 1) -> Document:
    return {"fund": [{"address": address, "value": value}]}


def token(address: str = VOTERS[0].address, value: object = 1, token_id: str = TOKEN) -> Document:
    return {"token": {"token_id": token_id, "to": [{"address": address, "value": value}]}}


@pytest.mark.parametrize("token_id", ["11" * 28 + ".ab", "11" * 28])
def test_a_minting_policy_is_a_panic(jcli: Jcli, token_id: str) -> None:
    content = document()
    content["initial"].append(token(token_id=token_id))
    message = "called `Result::unwrap()` on an `Err` value: TokenIdentifierMintingPolicyHashMismatch"
    assert encode(jcli, content).refusal == (PANIC_CODE, message)


@pytest.mark.parametrize(
    ("change", "causes"),
    [
        (configured(discrimination="production"), ["Invalid discrimination"]),
        (
            configured(consensus_leader_ids=[]),
            ["Invalid Block0", "Missing consensus leader id list in the initial fragment"],
        ),
        (added(fund(value=0)), ["Empty output"]),
        (added(fund(value=2**64 - 1)), ACCOUNT_OVERFLOW),
        (added(fund(STRANGER.address, value=2**64 - 1)), ["Invalid Block0", "Total initial value is too big"]),
        (added(token(STRANGER.address)), ["Error or Invalid account", "Account does not exist"]),
        (
            lambda content: content["initial"].insert(0, token()),
            ["Error or Invalid account", "Account does not exist"],
        ),
        (added(token(value=2**64 - 1), token()), ACCOUNT_OVERFLOW),
    ],
)
def test_what_no_ledger_begins_with(jcli: Jcli, change: Change, causes: list[str]) -> None:
    content = document()
    change(content)
    ended = encode(jcli, content)
    assert (ended.code, ended.stderr) == (1, "\n  |-> ".join([INVALID, *causes]) + "\n")
    assert not block0(jcli).exists()


def test_plans_that_no_ledger_begins_with(jcli: Jcli, certificates: list[str]) -> None:
    public = certificates[0]
    plan_id = jcli.out("certificate", "show", "vote-plan-id", stdin=public)
    tally = jcli.out("certificate", "new", "vote-tally", "public", "--vote-plan-id", plan_id)
    for added_certificates, causes in (
        ([signed_plan(jcli, Plan(), VOTERS[0])], ["Vote Plan Proof ID is not present in the committee"]),
        (
            [public, public],
            ["Voting error", f"cannot insert the vote plan {plan_id}", "entry with the provided key already exists"],
        ),
        (
            [jcli.out("certificate", "sign", "--key", "signer.sk", stdin=tally)],
            ["Invalid Block0", "Vote tallying are not valid in the block0"],
        ),
        ([altered(public)], ["Vote Plan Proof has an invalid signature"]),
    ):
        ended = encode(jcli, document(added_certificates))
        assert (ended.code, ended.stderr) == (1, "\n  |-> ".join([INVALID, *causes]) + "\n")


def altered(certificate: str) -> str:
    """The same signed certificate with another first date."""
    prefix, data = bech32.decode(certificate, (bech32.BECH32M,))
    return bech32.encode(prefix, data[:1] + bytes([0, 0, 0, 9]) + data[5:], bech32.BECH32M)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (
            configured(treasuri=0),
            (
                "blockchain_configuration: unknown field `treasuri`, expected one of `block0_date`, `discrimination`,"
                " `block0_consensus`, `consensus_leader_ids`, `linear_fees`, `proposal_expiration`,"
                " `slots_per_epoch`, `slot_duration`, `kes_update_speed`,"
                " `consensus_genesis_praos_active_slot_coeff`, `block_content_max_size`, `epoch_stability_depth`,"
                " `tx_max_expiry_epochs`, `fees_go_to`, `treasury`, `treasury_parameters`, `total_reward_supply`,"
                " `reward_parameters`, `reward_constraints`, `committees`"
            ),
        ),
        (
            configured(block0_consensus="genesis"),
            ("blockchain_configuration.block0_consensus: unknown variant `genesis`, expected `bft` or `genesis_praos`"),
        ),
        (
            configured(discrimination="testing"),
            "blockchain_configuration.discrimination: unknown variant `testing`, expected `test` or `production`",
        ),
        (
            configured(slots_per_epoch=0),
            "blockchain_configuration.slots_per_epoch: cannot have less than 1 slots in an epoch",
        ),
        (
            lambda content: content["blockchain_configuration"].pop("linear_fees"),
            "blockchain_configuration: missing field `linear_fees`",
        ),
        (
            lambda content: content.update(final=[]),
            "unknown field `final`, expected `blockchain_configuration` or `initial`",
        ),
    ],
)
def test_refused_configurations(jcli: Jcli, change: Change, cause: str) -> None:
    content = document()
    change(content)
    ended = encode(jcli, content)
    assert (ended.refusal, ended.cause) == ((1, CORRUPTED), cause)


@pytest.mark.parametrize(
    "change",
    [
        *[configured(slot_duration=value) for value in (0, 256, 0.5, "a while")],
        *[configured(block0_date=value) for value in (-1, 2**36, "2026-11-23T20:00:00Z")],
        *[configured(committees=[value]) for value in ("zz", "abcd")],
        configured(consensus_leader_ids=["nonsense"]),
        configured(linear_fees={"constant": 1}),
        configured(treasury=2**64),
        configured(tx_max_expiry_epochs=256),
        added(fund("nonsense")),
        added(fund(value=-1)),
        added(fund(value="1")),
        added({"fund": [{"address": LEADER.address}]}),
        added({"fund": [{"address": LEADER.address, "value": 1, "currency": "ada"}]}),
        added({"gift": []}),
        added({"fund": [], "cert": ""}),
        added(token(token_id="power")),
        added(token(token_id=f"{'0' * 56}.{'ab' * 33}")),
        added({"cert": "nonsense"}),
    ],
)
def test_other_refusals(jcli: Jcli, change: Change) -> None:
    content = document()
    change(content)
    assert encode(jcli, content).refusal == (1, CORRUPTED)


def test_an_unsigned_certificate(jcli: Jcli) -> None:
    unsigned = jcli.out("certificate", "new", "vote-plan", stdin=json.dumps(Plan().document()))
    ended = encode(jcli, document([unsigned]))
    assert ended.refusal == (1, CORRUPTED)
    assert ended.cause.endswith(": Invalid prefix, expected signedcert but read cert")
