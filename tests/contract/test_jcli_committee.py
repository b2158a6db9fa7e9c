"""The keys of those who open private votes."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from node_fsm_sandbox.formats import ballots

from node_fsm.chain import bech32
from tests.contract.binaries import Binaries
from tests.contract.commands import Jcli

COMMUNICATION = ("votes", "committee", "communication-key")
MEMBER = ("votes", "committee", "member-key")

NOT_BECH32 = "Failed to parse bech32, invalid data format"


def seed(name: str) -> str:
    return sha256(name.encode()).hexdigest()


@pytest.fixture(scope="module")
def shared(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The public communication keys of two members."""
    jcli = Jcli(binaries.jcli, tmp_path_factory.mktemp("shared"))
    return [jcli.out(*COMMUNICATION, "to-public", stdin=jcli.out(*COMMUNICATION, "generate")) for _ in range(2)]


def generate(
    jcli: Jcli, keys: Sequence[str], *, threshold: str = "2", crs: str = "crs", index: str = "0", name: str = "member"
) -> str:
    """A member's secret key."""
    return jcli.out(
        *(*MEMBER, "generate", "--threshold", threshold, "--crs", crs, "--index", index),
        *("--seed", seed(name), "--keys", *keys),
    )


def test_communication_keys(jcli: Jcli) -> None:
    assert jcli.out(*COMMUNICATION, "generate", "a.sk") == ""
    prefix, data = bech32.decode(jcli.read("a.sk"))
    assert (prefix, len(data)) == ("ristretto255_vcommsk", 32)
    assert jcli.out(*COMMUNICATION, "to-public", "--input", "a.sk", "a.pk") == ""
    public = bech32.encode("ristretto255_vcommpk", ballots.public_key(int.from_bytes(data, "little")))
    assert jcli.read("a.pk") == public == jcli.out(*COMMUNICATION, "to-public", stdin=jcli.read("a.sk"))
    seeded = [jcli.out(*COMMUNICATION, "generate", "--seed", seed(name)) for name in "aab"]
    assert seeded[0] == seeded[1] != seeded[2]


def test_member_keys(jcli: Jcli, shared: list[str]) -> None:
    words = (*MEMBER, "generate", "-t", "2", "--crs", "crs", "-i", "1", "-k", *shared)
    assert jcli.out(*words, "--", "m.sk") == ""
    prefix, data = bech32.decode(jcli.read("m.sk"))
    assert (prefix, len(data)) == ("ristretto255_membersk", 32)
    assert jcli.out(*words) != jcli.read("m.sk")
    public = bech32.encode("ristretto255_memberpk", ballots.public_key(int.from_bytes(data, "little")))
    assert jcli.out(*MEMBER, "to-public", "--input", "m.sk", "m.pk") == ""
    assert jcli.read("m.pk") == public


def test_a_seeded_member_key_depends_on_the_seed_and_the_threshold_alone(jcli: Jcli, shared: list[str]) -> None:
    key = generate(jcli, shared)
    assert generate(jcli, shared[::-1], crs="other", index="1") == key
    assert generate(jcli, shared, threshold="1") != key
    assert generate(jcli, shared, name="other") != key


def test_the_election_key_is_the_sum_of_the_members_keys(jcli: Jcli, shared: list[str]) -> None:
    secrets = [generate(jcli, shared, name=name) for name in "abc"]
    keys = [jcli.out(*MEMBER, "to-public", stdin=secret) for secret in secrets]
    election_key = bech32.encode("ristretto255_votepk", ballots.election_key(bech32.decode(key)[1] for key in keys))
    assert jcli.out("votes", "election-key", "--keys", *keys) == election_key
    assert jcli.out("votes", "election-key", "--keys", *keys[::-1], "--", "e.pk") == ""
    assert jcli.read("e.pk") == election_key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--threshold": "0"}, "threshold should be in range (0..2] and is 0"),
        ({"--threshold": "3"}, "threshold should be in range (0..2] and is 3"),
        (
            {"--threshold": "few"},
            "error: Invalid value for '--threshold <THRESHOLD>': invalid digit found in string",
        ),
        ({"--index": "2"}, "invalid committee member index"),
        ({"--crs": None}, "error: The following required arguments were not provided:"),
    ],
)
def test_member_key_refusals(jcli: Jcli, shared: list[str], change: dict[str, str | None], message: str) -> None:
    options: dict[str, str | None] = {"--threshold": "2", "--crs": "crs", "--index": "0"}
    words = [word for name, value in (options | change).items() if value is not None for word in (name, value)]
    assert jcli.refused(*MEMBER, "generate", *words, "--keys", *shared) == (1, message)


def test_keys_take_all_words_up_to_two_dashes(jcli: Jcli, shared: list[str]) -> None:
    words = (*MEMBER, "generate", "--threshold", "1", "--crs", "crs", "--index", "0", "--keys", *shared)
    message = f"error: Invalid value for '--keys <COMMUNICATION_KEYS>...': {NOT_BECH32}"
    assert jcli.refused(*words, "m.sk") == (1, message)
    assert not Path(jcli.directory, "m.sk").exists()


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ((*COMMUNICATION, "to-public"), "nonsense", "bech32 error"),
        ((*COMMUNICATION, "to-public", "--input", "missing"), "", "I/O error"),
        ((*MEMBER, "to-public"), bech32.encode("ristretto255_vcommsk", bytes(32)), "bech32 error"),
        ((*MEMBER, "to-public"), bech32.encode("ristretto255_membersk", b"\xff" * 32), "bech32 error"),
        (
            ("votes", "election-key", "--keys", "nonsense"),
            "",
            f"error: Invalid value for '--keys <member-keys>...': {NOT_BECH32}",
        ),
        (
            ("votes", "election-key", "--keys", bech32.encode("ristretto255_votepk", bytes(32))),
            "",
            (
                "error: Invalid value for '--keys <member-keys>...':"
                " Parsed bech32 has invalid HRP prefix 'ristretto255_votepk', expected 'ristretto255_memberpk'"
            ),
        ),
        (("votes", "election-key"), "", "error: The following required arguments were not provided:"),
    ],
)
def test_refusals(jcli: Jcli, arguments: Sequence[str], stdin: str, message: str) -> None:
    assert jcli.refused(*arguments, stdin=stdin) == (1, message)
