"""Block 0: from the file that describes it to its bytes, and back; what no ledger begins with is refused."""

import io
import json
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
import yaml
from node_fsm_sandbox.formats import ballots

from node_fsm.chain import bech32
from node_fsm.chain.address import account_address
from node_fsm.chain.block0 import Block0Summary, Total, summarise
from node_fsm.chain.certificates import MintedToken
from node_fsm.chain.transactions import Output
from tests.contract.chains import TOKEN, Plan, Wallet
from tests.contract.commands import PANIC_CODE, Ended, Jcli

LEADER, COMMITTEE, STRANGER, *VOTERS = (Wallet(bytes([number]) * 32) for number in range(6))
MEMBER_KEY = ballots.public_key(5)
HEADER = slice(1, 82)

INVALID = "generated block is not a valid genesis block"
CORRUPTED = "genesis file corrupted"
ACCOUNT_OVERFLOW = ["Error or Invalid account", "Value calculation failed", "Value overflowed its maximum value"]

Document = dict[str, Any]
Change = Callable[[Document], object]


def document(certificates: Sequence[str] = ()) -> Document:
    """What a block 0 says, with everything that an election needs."""
    return {
        "blockchain_configuration": {
            "block0_date": 1_700_000_000,
            "discrimination": "test",
            "block0_consensus": "bft",
            "slots_per_epoch": 10,
            "slot_duration": 1,
            "epoch_stability_depth": 102400,
            "consensus_genesis_praos_active_slot_coeff": 0.1,
            "linear_fees": {"constant": 1, "coefficient": 2, "certificate": 3},
            "proposal_expiration": 100,
            "kes_update_speed": 43200,
            "block_content_max_size": 102400,
            "treasury": 4,
            "total_reward_supply": 5,
            "tx_max_expiry_epochs": 6,
            "fees_go_to": "rewards",
            "consensus_leader_ids": [LEADER.leader_id, STRANGER.leader_id],
            "committees": [COMMITTEE.id],
        },
        "initial": [
            {"fund": [{"address": wallet.address, "value": 1000} for wallet in (LEADER, COMMITTEE, *VOTERS)]},
            {"fund": [{"address": VOTERS[0].address, "value": 7}]},
            {"token": {"token_id": TOKEN, "to": [{"address": wallet.address, "value": 9} for wallet in VOTERS]}},
            *[{"cert": certificate} for certificate in certificates],
        ],
    }


def signed_plan(jcli: Jcli, plan: Plan, signer: Wallet = COMMITTEE) -> str:
    """The certificate of a plan as it stands in block 0."""
    jcli.write("signer.sk", signer.secret.reveal())
    certificate = jcli.out("certificate", "new", "vote-plan", stdin=json.dumps(plan.document()))
    return jcli.out("certificate", "sign", "--key", "signer.sk", stdin=certificate)


@pytest.fixture
def certificates(jcli: Jcli) -> list[str]:
    """A public and a private plan, one of the committee's and one of a leader's."""
    members = (bech32.encode("ristretto255_memberpk", MEMBER_KEY),)
    return [signed_plan(jcli, Plan()), signed_plan(jcli, Plan(member_keys=members), LEADER)]


def encode(jcli: Jcli, content: Document) -> Ended:
    return jcli.run("genesis", "encode", "--output", "block0.bin", stdin=json.dumps(content))


def block0(jcli: Jcli) -> Path:
    return jcli.directory / "block0.bin"


def test_everything_that_an_election_needs(jcli: Jcli, certificates: list[str]) -> None:
    content = document(certificates)
    jcli.write("genesis.json", json.dumps(content))
    assert jcli.out("genesis", "encode", "--input", "genesis.json", "--output", "block0.bin") == ""
    data = block0(jcli).read_bytes()
    found, funds, tokens = summary(data)
    configuration = content["blockchain_configuration"]
    assert found.configuration == configuration | {"consensus_genesis_praos_active_slot_coeff": "0.100"}
    everyone = (LEADER, COMMITTEE, *VOTERS)
    assert funds == [*[Output(raw(wallet), 1000) for wallet in everyone], Output(raw(VOTERS[0]), 7)]
    assert tokens == [MintedToken(TOKEN, wallet.public_key, 9) for wallet in VOTERS]
    assert found.tokens == {TOKEN: Total(len(VOTERS), 9 * len(VOTERS))}
    assert [plan.payload_type for plan in found.vote_plans] == ["public", "private"]
    assert [plan.committee_id for plan in found.vote_plans] == [COMMITTEE.id, LEADER.id]

    block_id = blake2b(data[HEADER], digest_size=32).hexdigest()
    assert jcli.out("genesis", "hash", "--input", "block0.bin") == block_id == found.hash
    assert jcli.out("genesis", "hash", stdin=data) == block_id


def summary(data: bytes) -> tuple[Block0Summary, list[Output], list[MintedToken]]:
    funds: list[Output] = []
    tokens: list[MintedToken] = []
    return summarise(io.BytesIO(data), on_fund=funds.append, on_token=tokens.append), funds, tokens


def raw(wallet: Wallet) -> bytes:
    return b"\x85" + wallet.public_key


def test_the_same_file_gives_the_same_bytes_as_json_and_as_yaml(jcli: Jcli, certificates: list[str]) -> None:
    content = document(certificates)
    assert encode(jcli, content).code == 0
    data = block0(jcli).read_bytes()
    text = yaml.safe_dump(content, sort_keys=False)
    for stdin in (json.dumps(content, indent=1), text, f"# a comment\n{text}"):
        assert jcli.out("genesis", "encode", "--output", "again.bin", stdin=stdin) == ""
        assert (jcli.directory / "again.bin").read_bytes() == data


def test_decoding_and_encoding_again(jcli: Jcli, certificates: list[str]) -> None:
    content = document(certificates)
    assert encode(jcli, content).code == 0
    data = block0(jcli).read_bytes()
    decoded = jcli.out("genesis", "decode", stdin=data)
    assert jcli.out("genesis", "decode", "--input", "block0.bin", "--output", "decoded.yaml") == ""
    assert jcli.read("decoded.yaml") == decoded
    assert jcli.out("genesis", "encode", "--input", "decoded.yaml", "--output", "again.bin") == ""
    assert (jcli.directory / "again.bin").read_bytes() == data

    found = yaml.safe_load(decoded)
    assert list(found) == ["blockchain_configuration", "initial"]
    assert found["blockchain_configuration"] == content["blockchain_configuration"] | {
        "consensus_genesis_praos_active_slot_coeff": "0.100"
    }
    # Test addresses are printed with the prefix of production ones, and each token is an entry of its own.
    kinds = [next(iter(entry)) for entry in found["initial"]]
    assert kinds == ["fund", "fund", *["token"] * len(VOTERS), "cert", "cert"]
    assert found["initial"][1]["fund"][0]["address"].startswith("ca1s")
    assert [entry["cert"] for entry in found["initial"][-2:]] == certificates


def test_defaults(jcli: Jcli) -> None:
    names = ("discrimination", "block0_consensus", "consensus_leader_ids", "linear_fees", "block0_date")
    configuration = {name: document()["blockchain_configuration"][name] for name in names}
    assert encode(jcli, {"blockchain_configuration": configuration, "initial": []}).code == 0
    found = yaml.safe_load(jcli.out("genesis", "decode", "--input", "block0.bin"))
    assert found["blockchain_configuration"] == configuration | {
        "proposal_expiration": 100,
        "slots_per_epoch": 720,
        "slot_duration": 5,
        "kes_update_speed": 43200,
        "consensus_genesis_praos_active_slot_coeff": "0.100",
        "block_content_max_size": 102400,
        "epoch_stability_depth": 102400,
    }


def test_an_example_that_can_be_encoded(jcli: Jcli) -> None:
    jcli.write("genesis.yaml", jcli.out("genesis", "init"))
    assert jcli.out("genesis", "encode", "--input", "genesis.yaml", "--output", "block0.bin") == ""


def test_production_addresses(jcli: Jcli) -> None:
    content = document()
    content["blockchain_configuration"]["discrimination"] = "production"
    for outputs in (content["initial"][0]["fund"], content["initial"][1]["fund"], content["initial"][2]["token"]["to"]):
        for output, wallet in zip(outputs, (LEADER, COMMITTEE, *VOTERS), strict=False):
            output["address"] = account_address(wallet.public_key, production=True)
    content["initial"].pop()
    assert encode(jcli, content).code == 0
    assert summary(block0(jcli).read_bytes())[0].production


@pytest.mark.parametrize("outputs", [1, 254])
def test_as_many_outputs_as_there_can_be(jcli: Jcli, outputs: int) -> None:
    content = document()
    content["initial"].append({"fund": [{"address": LEADER.address, "value": 1}] * outputs})
    assert encode(jcli, content).code == 0


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (0, "cannot create a singular transaction fragment with 0 output"),
        (
            255,
            (
                "cannot create a singular transaction fragment with more than 254 outputs (255 requested)."
                " spread outputs to another fragment"
            ),
        ),
    ],
)
def test_other_numbers_of_outputs_are_a_panic(jcli: Jcli, outputs: int, message: str) -> None:
    content = document()
    content["initial"].append({"fund": [{"address": LEADER.address, "value": 1}] * outputs})
    assert encode(jcli, content).refusal == (PANIC_CODE, message)


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


def test_no_file(jcli: Jcli) -> None:
    for command in ("encode", "decode", "hash"):
        assert jcli.refused("genesis", command, "--input", "missing") == (1, "invalid input file path 'missing'")
    for text in ("", "nonsense", "[]", "a: b: c"):
        assert jcli.refused("genesis", "encode", stdin=text) == (1, CORRUPTED)
    ended = jcli.run("genesis", "encode", "--output", "missing/block0.bin", stdin=json.dumps(document()))
    assert ended.refusal == (1, "invalid output file path 'missing/block0.bin'")


@pytest.mark.parametrize("command", ["decode", "hash"])
def test_what_is_no_block(jcli: Jcli, command: str) -> None:
    assert encode(jcli, document()).code == 0
    data = block0(jcli).read_bytes()
    for cut in (0, 40, len(data) - 1):
        ended = jcli.run("genesis", command, stdin=data[:cut])
        assert (ended.refusal, ended.cause) == ((1, "block file corrupted"), "failed to fill whole buffer")
    for damaged in (data[:200] + b"\xff" + data[201:], b"nonsense" * 30):
        assert jcli.refused("genesis", command, stdin=damaged) == (1, "block file corrupted")
