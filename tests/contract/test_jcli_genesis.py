"""Block 0: from the file that describes it to its bytes, and back."""

import io
import json
from hashlib import blake2b

import pytest
import yaml

from node_fsm.chain.address import account_address
from node_fsm.chain.block0 import Block0Summary, Total, summarise
from node_fsm.chain.certificates import MintedToken
from node_fsm.chain.transactions import Output
from tests.contract.chains import TOKEN, Wallet
from tests.contract.commands import PANIC_CODE, Jcli
from tests.contract.genesis_documents import (
    COMMITTEE,
    CORRUPTED,
    HEADER,
    LEADER,
    VOTERS,
    block0,
    document,
    encode,
    plan_certificates,
)


@pytest.fixture
def certificates(jcli: Jcli) -> list[str]:
    return plan_certificates(jcli)


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
