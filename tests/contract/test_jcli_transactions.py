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
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.chain.transactions import Input, Transaction, Witness, WitnessKind, decode_transaction
from node_fsm.core.block_date import BlockDate
from node_fsm.core.payload_type import PayloadType
from tests.contract.chains import Plan, Wallet
from tests.contract.commands import PANIC_CODE, Jcli

PAYER, OTHER = Wallet(bytes(32)), Wallet(bytes([1]) * 32)
BLOCK0_HASH = "b0" * 32
PLAN_ID = "ab" * 32
FEES = ("--fee-constant", "10", "--fee-coefficient", "3", "--fee-certificate", "7")
DATA = "da" * 32


class Making:
    """A transaction in the making, by commands that have to succeed unless they are `refused`."""

    def __init__(self, jcli: Jcli) -> None:
        self._jcli = jcli
        jcli.write("payer.sk", PAYER.secret.reveal())
        jcli.write("other.sk", OTHER.secret.reveal())
        self.certificates = {
            "vote": jcli.out(
                *("certificate", "new", "vote-cast", "public", "--vote-plan-id", PLAN_ID),
                *("--proposal-index", "1", "--choice", "2"),
            ),
            "tally": jcli.out("certificate", "new", "vote-tally", "public", "--vote-plan-id", PLAN_ID),
            "plan": jcli.out("certificate", "new", "vote-plan", stdin=json.dumps(Plan().document())),
        }
        self.do("new")

    def do(self, *words: str) -> str:
        return self._jcli.out("transaction", *words, "--staging", "tx")

    def refused(self, *words: str) -> str:
        """Why a command is refused, which must not change the transaction."""
        before = (self._jcli.directory / "tx").read_bytes()
        code, message = self._jcli.refused("transaction", *words, "--staging", "tx")
        assert (code, (self._jcli.directory / "tx").read_bytes()) == (1, before)
        return message

    def final(self, certificate: str | None, values: Sequence[int] = (0,), fees: Sequence[str] = ()) -> None:
        """Up to where witnesses are added."""
        for wallet, value in zip((PAYER, OTHER), values, strict=False):
            self.do("add-account", wallet.address, str(value))
        if certificate:
            self.do("add-certificate", self.certificates[certificate])
        self.do("set-expiry-date", "1.9")
        self.do("finalize", *fees)

    def witness(self, wallet: Wallet = PAYER, counter: int = 0, lane: int = 0) -> None:
        words = ("--account-spending-counter", str(counter), "--account-spending-counter-lane", str(lane))
        secret = "payer.sk" if wallet is PAYER else "other.sk"
        make_witness(self._jcli, "--type", "account", *words, "a.witness", secret, data=self.do("data-for-witness"))
        self.do("add-witness", "a.witness")

    def fragment(self) -> Fragment:
        """What can be posted."""
        fragment = Fragment.from_bytes(bytes.fromhex(self.do("to-message")))
        assert self.do("fragment-id") == fragment.id
        return fragment


def make_witness(jcli: Jcli, *words: str, data: str = DATA) -> None:
    command = ("transaction", "make-witness", data, "--genesis-block-hash", BLOCK0_HASH, *words)
    assert jcli.out(*command) == ""


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
    assert tally == VoteTally(PLAN_ID, PayloadType.PUBLIC, None, tally.transaction, OTHER.id)
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


def test_witnesses_that_are_none(jcli: Jcli, making: Making) -> None:
    making.final("vote")
    for text, message in (
        ("nonsense", "could not parse Bech32 in witness file 'w'"),
        (PAYER.leader_id, "invalid Bech32 prefix in witness file, expected 'witness', found 'ed25519_pk' in 'w'"),
        (bech32.encode("witness", b"\x02"), "could not parse data in witness file 'w'"),
    ):
        jcli.write("w", text)
        assert making.refused("add-witness", "w") == message


def test_the_same_witness_again(jcli: Jcli, making: Making) -> None:
    counter = ("--account-spending-counter", "7")
    make_witness(jcli, "--type", "account", *counter, "a.witness", "payer.sk")
    make_witness(jcli, "--type", "account", *counter, "--account-spending-counter-lane", "0", "b.witness", "payer.sk")
    assert jcli.read("a.witness") == jcli.read("b.witness")
    command = ("transaction", "make-witness", DATA, "--genesis-block-hash", BLOCK0_HASH, "--type", "account", *counter)
    assert jcli.out(*command, "c.witness", stdin=PAYER.secret.reveal()) == ""
    assert jcli.out(*command, stdin=PAYER.secret.reveal()) == jcli.read("c.witness") == jcli.read("a.witness")
    prefix, data = bech32.decode(jcli.read("a.witness"))
    assert (prefix, data[:5], len(data)) == ("witness", b"\x02" + (7).to_bytes(4), 1 + 4 + 64)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"counter": None}, 1, "making account witness requires passing spending counter"),
        (
            {"counter": "many"},
            1,
            (
                "error: Invalid value for '--account-spending-counter <account-spending-counter>':"
                " invalid digit found in string"
            ),
        ),
        ({"counter": str(1 << 29)}, PANIC_CODE, "assertion failed: counter < (1 << UNLANES_BITS)"),
        ({"lane": "8"}, PANIC_CODE, "assertion failed: lane < (1 << LANES_BITS)"),
        ({"lane": "9"}, 1, "invalid account spending counter lane: max 8, actual 9"),
        (
            {"data": "zz"},
            1,
            "error: Invalid value for '<TRANSACTION_ID>': invalid hex encoding for digest value",
        ),
        (
            {"block0_hash": "abcd"},
            1,
            (
                "error: Invalid value for '--genesis-block-hash <genesis-block-hash>':"
                " invalid hash size, expected 32 but received 2 bytes."
            ),
        ),
        (
            {"kind": "multisig"},
            1,
            (
                "error: Invalid value for '--type <witness-type>':"
                " Invalid witness type, expected `utxo', `legacy-utxo' or `account'"
            ),
        ),
        (
            {"secret": "missing"},
            1,
            (
                "could not process secret file 'could not open secret key file 'missing':"
                " No such file or directory (os error 2)'"
            ),
        ),
        (
            {"secret": "payer.pk"},
            1,
            (
                "could not process secret file 'could not decode secret file 'payer.pk':"
                " Parsed bech32 has invalid HRP prefix 'ed25519_pk', expected 'ed25519_sk''"
            ),
        ),
        ({"output": "missing/w"}, 1, "could not write witness file 'missing/w'"),
    ],
)
def test_witness_refusals(jcli: Jcli, change: dict[str, str | None], code: int, message: str) -> None:
    jcli.write("payer.sk", PAYER.secret.reveal())
    jcli.write("payer.pk", PAYER.leader_id)
    usual: dict[str, str | None] = {"data": DATA, "block0_hash": BLOCK0_HASH, "kind": "account", "counter": "0"}
    usual |= {"lane": "0", "output": "w", "secret": "payer.sk"}
    given = usual | change
    options = (
        ("--genesis-block-hash", given["block0_hash"]),
        ("--type", given["kind"]),
        ("--account-spending-counter", given["counter"]),
        ("--account-spending-counter-lane", given["lane"]),
    )
    words = [word for name, value in options if value is not None for word in (name, value)]
    files = [str(given[name]) for name in ("output", "secret")]
    assert jcli.refused("transaction", "make-witness", str(given["data"]), *words, *files) == (code, message)


def test_keys_that_cannot_authorise(jcli: Jcli, making: Making) -> None:
    jcli.write("payer.pk", PAYER.leader_id)
    making.final("tally")
    making.witness()
    making.do("seal")
    assert making.refused("auth", "--key", "payer.pk") == "certificate error invalid private key"
    both = ("--key", "payer.sk", "--key", "other.sk")
    assert making.refused("auth", *both) == "certificate error expecting only one signing keys but got 2"


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
