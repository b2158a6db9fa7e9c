"""Transactions, from an empty one in a staging file to a fragment that can be posted."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from node_fsm_sandbox.formats.signatures import signed_parts

from node_fsm.chain import bech32
from node_fsm.chain.certificates import (
    PlanCertificate,
    VoteCast,
    VoteTally,
    decode_vote_cast,
    decode_vote_plan,
    decode_vote_tally,
)
from node_fsm.chain.fragments import FragmentKind
from node_fsm.chain.transactions import Input, Transaction, Witness, WitnessKind, decode_transaction
from node_fsm.core.block_date import BlockDate
from node_fsm.core.payload_type import PayloadType
from tests.contract.commands import Jcli
from tests.contract.making import BLOCK0_HASH, FEES, OTHER, PAYER, PLAN_ID, Making


@pytest.fixture
def making(jcli: Jcli) -> Making:
    return Making(jcli)


def test_a_vote(making: Making) -> None:
    making.final("vote")
    data = making.do("data-for-witness")
    making.witness(counter=5, lane=3)
    making.do("seal")
    fragment = making.fragment()
    transaction = Transaction(
        BlockDate(1, 9), (Input(PAYER.public_key, None, 0),), (), (Witness(WitnessKind.ACCOUNT, 3, 5),)
    )
    assert decode_vote_cast(fragment) == VoteCast(PLAN_ID, 1, 2, None, transaction)
    parts = signed_parts(fragment, inputs=1)
    assert data == parts.hash.hex()
    assert parts.witness_holds(0, PAYER.public_key, bytes.fromhex(BLOCK0_HASH))


def test_a_tally(making: Making) -> None:
    making.final("tally")
    making.witness()
    making.do("seal")
    assert making.refused("to-message") == "transaction type need payload authentification"
    assert making.refused("fragment-id") == "transaction type need payload authentification"
    making.do("auth", "--key", "other.sk")
    fragment = making.fragment()
    tally = decode_vote_tally(fragment)
    assert tally == VoteTally(PLAN_ID, PayloadType.PUBLIC, None, None, tally.transaction, OTHER.id)
    assert signed_parts(fragment, inputs=1).authority_holds()
    assert making.refused("auth", "--key", "other.sk") == "sealing authed transaction is not valid"


def test_a_plan_after_block0(making: Making) -> None:
    making.final("plan")
    making.witness()
    making.do("seal")
    making.do("auth", "-k", "payer.sk")
    fragment = making.fragment()
    plan = decode_vote_plan(fragment)
    assert isinstance(plan, PlanCertificate)
    assert (len(plan.proposals), plan.committee_id) == (2, PAYER.id)
    assert signed_parts(fragment, inputs=1).authority_holds()


def test_without_a_certificate(making: Making) -> None:
    making.final(None, [0, 0])
    making.witness(PAYER)
    making.witness(OTHER, counter=1)
    making.do("seal")
    fragment = making.fragment()
    assert fragment.kind is FragmentKind.TRANSACTION
    assert [item.account for item in decode_transaction(fragment).inputs] == [PAYER.public_key, OTHER.public_key]
    parts = signed_parts(fragment, inputs=2)
    for index, wallet in enumerate((PAYER, OTHER)):
        assert parts.witness_holds(index, wallet.public_key, bytes.fromhex(BLOCK0_HASH))


def test_the_last_certificate_counts(making: Making) -> None:
    making.do("add-certificate", making.certificates["plan"])
    making.final("vote")
    making.witness()
    making.do("seal")
    assert making.fragment().kind is FragmentKind.VOTE_CAST


@pytest.mark.parametrize(
    ("certificate", "fees", "fee"),
    [
        ("vote", (), 0),
        ("vote", FEES, 20),
        (None, FEES, 13),
        ("vote", (*FEES, "--fee-vote-cast", "30"), 43),
        ("vote", (*FEES, "--fee-vote-plan", "30"), 20),
        ("plan", (*FEES, "--fee-vote-plan", "30"), 43),
        ("tally", (*FEES, "--fee-vote-plan", "30", "--fee-vote-cast", "30"), 20),
    ],
)
def test_fees(jcli: Jcli, certificate: str | None, fees: Sequence[str], fee: int) -> None:
    if fee:
        with pytest.raises(AssertionError, match="not enough input for making transaction"):
            Making(jcli).final(certificate, [fee - 1], fees)
    making = Making(jcli)
    making.final(certificate, [fee], fees)
    info = json.loads(making.do("info", "--output-format", "json", *fees))
    assert (info["fee"], info["balance"], info["input"], info["output"]) == (fee, 0, fee, 0)


def test_info(making: Making) -> None:
    making.final("vote", [30, 5], FEES)
    data = making.do("data-for-witness")
    info: dict[str, Any] = {
        "status": "finalizing",
        "sign_data_hash": data,
        "num_inputs": 2,
        "num_outputs": 0,
        "num_witnesses": 0,
        "input": 35,
        "output": 0,
        "fee": 23,
        "balance": 12,
        "inputs": [
            {"kind": "account", "value": 30, "account": PAYER.id},
            {"kind": "account", "value": 5, "account": OTHER.id},
        ],
        "outputs": [],
    }
    text = making.do("info", *FEES, "--output-format", "json")
    assert text == json.dumps(info, indent=2, sort_keys=True)
    making.witness()
    found = making.do("info", *FEES)
    assert found.startswith("---\nbalance: 12\nfee: 23\n")
    assert "num_witnesses: 1\n" in found


def test_everything_in_its_order(making: Making) -> None:
    vote = making.certificates["vote"]
    assert making.refused("data-for-witness") == "cannot get witness data in balancing state"
    assert making.refused("info") == "cannot get witness data in balancing state"
    assert making.refused("seal") == "sealing balancing transaction is not valid"
    assert making.refused("auth", "--key", "payer.sk") == "sealing balancing transaction is not valid"
    assert making.refused("to-message") == "cannot get message from transaction in balancing state"
    assert making.refused("finalize") == "cannot finalize the payload without a validity end date set"
    making.final("vote")
    assert making.refused("add-account", OTHER.address, "0") == "adding input to finalizing transaction is not valid"
    assert making.refused("add-certificate", vote) == "adding certificate to finalizing transaction is not valid"
    assert making.refused("set-expiry-date", "1.2") == "cannot set expiration date in finalizing state"
    assert making.refused("finalize") == "finalizing finalizing transaction is not valid"
    assert making.refused("to-message") == "cannot get message from transaction in finalizing state"
    message = "invalid number of witnesses in transaction to seal: 0, should be 1"
    assert making.refused("seal") == message
    making.witness()
    message = "too many witnesses in transaction to add another: 1, maximum is 1"
    assert making.refused("add-witness", "a.witness") == message
    making.do("seal")
    assert making.refused("seal") == "sealing sealed transaction is not valid"
    assert making.refused("data-for-witness") == "cannot get witness data in sealed state"
    assert making.refused("add-witness", "a.witness") == "adding witness to sealed transaction is not valid"
    assert making.refused("auth", "--key", "payer.sk") == "transaction type doesn't need payload authentification"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["add-account", "nonsense", "0"],
            "error: Invalid value for '<ACCOUNT>': invalid internal encoding",
        ),
        (["add-account", PAYER.address, "much"], "error: Invalid value for '<VALUE>': invalid digit found in string"),
        (["add-account", PAYER.address], "error: The following required arguments were not provided:"),
        (
            ["set-expiry-date", "soon"],
            "error: Invalid value for '<BLOCKDATE>': expected block date format EPOCH.SLOT",
        ),
        (
            ["set-expiry-date", "1.x"],
            "error: Invalid value for '<BLOCKDATE>': invalid slot ID, expected block date format EPOCH.SLOT",
        ),
        (
            ["finalize", "--fee-constant", "much"],
            "error: Invalid value for '--fee-constant <constant>': invalid digit found in string",
        ),
        (["add-witness", "missing"], "could not read witness file 'missing'"),
        (["auth"], "No signing keys specified (use -k or --key to specify)"),
        (["auth", "--key", "missing"], "certificate error invalid input file path 'missing'"),
    ],
)
def test_refusals(making: Making, words: list[str], message: str) -> None:
    assert making.refused(*words) == message


def test_certificates_that_are_none(making: Making) -> None:
    for text in ("nonsense", PAYER.leader_id, bech32.encode("cert", b"\x07\x00", bech32.BECH32M)):
        message = making.refused("add-certificate", text)
        assert message.startswith("error: Invalid value for '<certificate>': ")


def test_staging_on_standard_input_and_output(jcli: Jcli) -> None:
    jcli.out("transaction", "new", "--staging", "tx")
    jcli.out("transaction", "set-expiry-date", "1.2", "--staging", "tx")
    new = jcli.run("transaction", "new").stdout
    dated = jcli.run("transaction", "set-expiry-date", "1.2", stdin=new).stdout
    assert dated.encode() == (jcli.directory / "tx").read_bytes()


def test_staging_files_that_are_none(jcli: Jcli) -> None:
    assert jcli.refused("transaction", "seal", "--staging", "missing") == (
        1,
        "could not open staging transaction file 'missing'",
    )
    assert jcli.refused("transaction", "new", "--staging", "missing/tx") == (
        1,
        "could not open staging transaction file 'missing/tx'",
    )
    jcli.write("tx", b"")
    assert jcli.refused("transaction", "seal", "--staging", "tx") == (
        1,
        "could not read staging transaction file 'tx'",
    )
