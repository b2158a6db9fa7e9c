"""Keys, addresses, and what jcli says to those who call it wrongly."""

import pytest
from node_fsm_sandbox.formats.crypto import SigningKey

from node_fsm.chain import bech32
from node_fsm.chain.address import account_address, ed25519_public_key, ed25519_public_key_text
from tests.contract.binaries import Binaries
from tests.contract.commands import PANIC_CODE, Jcli

SEED = "5eed" * 16
PREFIXES = {"ed25519": "ed25519_sk", "ed25519extended": "ed25519e_sk"}
SIZES = {"ed25519": 32, "ed25519extended": 64}

TYPES = "Ed25519, Ed25519Bip32, Ed25519Extended, SumEd25519_12, RistrettoGroup2HashDh"


def test_version(binaries: Binaries, jcli: Jcli) -> None:
    assert jcli.out("--version") == "jcli 0.13.0"
    full = jcli.out("--full-version")
    assert full.startswith("jcli 0.13.0 (")
    assert ("sandbox" in full) is binaries.sandbox
    assert ("sandbox" in jcli.out("--source-version")) is binaries.sandbox


@pytest.mark.parametrize("key_type", PREFIXES)
def test_keys(jcli: Jcli, key_type: str) -> None:
    assert jcli.out("key", "generate", f"--type={key_type}", "a.sk") == ""
    secret = jcli.read("a.sk")
    prefix, data = bech32.decode(secret)
    assert (prefix, len(data)) == (PREFIXES[key_type], SIZES[key_type])
    assert secret != jcli.out("key", "generate", "--type", key_type)

    public = jcli.out("key", "to-public", stdin=secret)
    assert ed25519_public_key(public) == SigningKey(data).public_key
    assert jcli.out("key", "to-public", "--input", "a.sk", "a.pk") == ""
    assert jcli.read("a.pk") == public

    assert jcli.out("key", "to-bytes", "a.hex", "a.pk") == ""  # the output comes first here
    assert jcli.read("a.hex") == ed25519_public_key(public).hex()
    assert jcli.out("key", "to-bytes", stdin=secret) == data.hex()
    assert jcli.out("key", "from-bytes", "--type", key_type, stdin=data.hex()) == secret
    assert jcli.out("key", "from-bytes", "--type", "ed25519", "--public", "a.hex") == public


@pytest.mark.parametrize("key_type", PREFIXES)
def test_seeds(jcli: Jcli, key_type: str) -> None:
    keys = {jcli.out("key", "generate", "--type", key_type, *seed) for seed in (("--seed", SEED), ("-s", SEED))}
    assert len(keys) == 1
    assert keys != {jcli.out("key", "generate", "--type", key_type, "--seed", SEED[::-1])}


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (
            ["generate", "--type", "rsa"],
            "",
            f"error: Invalid value for '--type <key-type>': valid values: {TYPES}",
        ),
        (["generate"], "", "error: The following required arguments were not provided:"),
        (
            ["generate", "--type"],
            "",
            "error: The argument '--type <key-type>' requires a value but none was supplied",
        ),
        (
            ["generate", "--type", "ed25519", "--seed", "5eed"],
            "",
            "error: Invalid value for '--seed <SEED>': invalid seed length, expected 32 bytes but received 2",
        ),
        (
            ["generate", "--type", "ed25519", "--seed", "seed"],
            "",
            "error: Invalid value for '--seed <SEED>': invalid Hexadecimal",
        ),
        (
            ["generate", "--type", "ed25519", "--sed", SEED],
            "",
            "error: Found argument '--sed' which wasn't expected, or isn't valid in this context",
        ),
        (["generate", "--type", "ed25519", "missing/a.sk"], "", "invalid output file path 'missing/a.sk'"),
        (["to-public", "--input", "missing"], "", "I/O error"),
        (["to-public"], "", "invalid Bech32"),
        (["to-public"], "nonsense", "invalid Bech32"),
        (
            ["to-public"],
            ed25519_public_key_text(bytes(32)),
            "unrecognized private key bech32 HRP: 'ed25519_pk'",
        ),
        (["to-public"], bech32.encode("ed25519_sk", bytes(31)), "invalid secret key"),
        (["to-bytes"], bech32.encode("ca", bytes(32)), "unrecognized private key bech32 HRP: 'ca'"),
        (["to-bytes", "a.hex", "missing"], "", "I/O error"),
        (["from-bytes", "--type", "ed25519"], "zz", "invalid Hexadecimal"),
        (["from-bytes", "--type", "ed25519"], "abcd", "invalid secret key"),
        (["from-bytes", "--type", "ed25519", "--public"], "abcd", "invalid public key"),
        (["forge"], "", "error: Found argument 'forge' which wasn't expected, or isn't valid in this context"),
        ([], "", "jcli-key 0.13.0"),
    ],
)
def test_refusals(jcli: Jcli, arguments: list[str], stdin: str, message: str) -> None:
    assert jcli.refused("key", *arguments, stdin=stdin) == (1, message)


def test_calls_for_help(jcli: Jcli) -> None:
    assert jcli.refused() == (1, "No command, try `--help'")
    for words in (["--help"], ["key", "--help"], ["key", "help"], ["key", "generate", "--help"]):
        title = "-".join(["jcli", *[word for word in words if "help" not in word]])
        assert jcli.out(*words).startswith(f"{title} 0.13.0")


@pytest.mark.parametrize("production", [False, True])
def test_account_addresses(jcli: Jcli, production: bool) -> None:
    key = SigningKey(bytes(32)).public_key
    words = ["address", "account", ed25519_public_key_text(key)]
    address = account_address(key, production=production)
    kind = [] if production else ["--testing", "--prefix", "ta"]
    assert jcli.out(*words, *kind) == address
    discrimination = "production" if production else "testing"
    assert jcli.out("address", "info", address) == (
        f"discrimination: {discrimination}\naccount: {ed25519_public_key_text(key)}"
    )


def test_other_prefixes(jcli: Jcli) -> None:
    address = account_address(bytes(32), production=False)
    other = jcli.out("utils", "bech32-convert", address, "voter")
    assert bech32.decode(other) == ("voter", bech32.decode(address)[1])
    assert jcli.out("address", "info", other) == jcli.out("address", "info", address)
    certificate = bech32.encode("cert", b"\x07", bech32.BECH32M)
    converted = jcli.out("utils", "bech32-convert", certificate, "other")
    assert bech32.decode(converted, (bech32.BECH32M,)) == ("other", b"\x07")
    assert jcli.refused("utils", "bech32-convert", "nonsense", "ca") == (1, "failed to convert bech32")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["account", "nonsense"],
            1,
            "error: Invalid value for '<PUBLIC_KEY>': Failed to parse bech32, invalid data format",
        ),
        (
            ["account", bech32.encode("ed25519_sk", bytes(32))],
            1,
            (
                "error: Invalid value for '<PUBLIC_KEY>':"
                " Parsed bech32 has invalid HRP prefix 'ed25519_sk', expected 'ed25519_pk'"
            ),
        ),
        (["account"], 1, "error: The following required arguments were not provided:"),
        (["info", "nonsense"], 1, "error: Invalid value for '<ADDRESS>': invalid internal encoding"),
        (["info", bech32.encode("ca", b"\x09")], 1, "error: Invalid value for '<ADDRESS>': invalid kind"),
    ],
)
def test_address_refusals(jcli: Jcli, arguments: list[str], code: int, message: str) -> None:
    assert jcli.refused("address", *arguments) == (code, message)


def test_an_impossible_prefix_is_a_panic(jcli: Jcli) -> None:
    words = ("address", "account", ed25519_public_key_text(bytes(32)), "--prefix", "")
    assert jcli.run(*words).code == PANIC_CODE
