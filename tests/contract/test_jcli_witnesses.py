"""Witnesses, and the signatures that authorise: which are made, added and refused."""

import pytest

from node_fsm.chain import bech32
from tests.contract.commands import PANIC_CODE, Jcli
from tests.contract.making import BLOCK0_HASH, DATA, PAYER, Making, make_witness


@pytest.fixture
def making(jcli: Jcli) -> Making:
    return Making(jcli)


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
