"""Opening a private plan: shares of every member, merged in the order of the plan, decrypt what nobody could alone."""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from node_fsm_sandbox.formats import ballots, ristretto
from node_fsm_sandbox.formats.chain import block0_certificate, fragment
from node_fsm_sandbox.formats.crypto import SIGNATURE_SIZE

from node_fsm.chain import bech32
from node_fsm.chain.certificates import VoteCast, decode_vote_cast, decode_vote_tally
from node_fsm.chain.fragments import Fragment, FragmentKind
from tests.contract.binaries import Binaries
from tests.contract.chains import TOKEN
from tests.contract.commands import PANIC_CODE, Jcli

SECRETS = [12345, 67890]
MEMBER_KEYS = [ballots.public_key(secret) for secret in SECRETS]
ELECTION_KEY = ballots.election_key(MEMBER_KEYS)
PLAN_ID = bytes([0xAB]) * 32
PUBLIC_ID = bytes([0xCD]) * 32
OPTIONS = 3
VOTES = [(0, 5), (2, 1_000_000), (2, 3)]
"""Choices and powers of those who vote on the first proposal; nobody votes on the second."""
SUMS = [5, 0, 1_000_003]

TALLY = ("votes", "tally")
PRIVATE_TALLY = ("certificate", "new", "vote-tally", "private")

Document = dict[str, Any]


def vote(jcli: Jcli, choice: int) -> VoteCast:
    """A private vote that jcli makes."""
    jcli.write("election.pk", bech32.encode("ristretto255_votepk", ELECTION_KEY))
    text = jcli.out(
        *("certificate", "new", "vote-cast", "private", "--vote-plan-id", PLAN_ID.hex(), "--proposal-index", "0"),
        *("--choice", str(choice), "--options-size", str(OPTIONS), "--key-path", "election.pk"),
    )
    data = bech32.decode(text, (bech32.BECH32M,))[1][1:]
    return decode_vote_cast(Fragment.from_bytes(fragment(FragmentKind.VOTE_CAST, block0_certificate(data))))


def proposal(index: int, tally: Document, votes_cast: int) -> Document:
    return {
        "index": index,
        "proposal_id": f"{index:064x}",
        "options": {"start": 0, "end": OPTIONS},
        "tally": tally,
        "votes_cast": votes_cast,
    }


def plan(plan_id: bytes, tallies: Sequence[Document], member_keys: Sequence[bytes] = ()) -> Document:
    """A plan as a node shows it."""
    return {
        "id": plan_id.hex(),
        "payload": "private" if member_keys else "public",
        "vote_start": "0.0",
        "vote_end": "1.0",
        "committee_end": "2.0",
        "committee_member_keys": [bech32.encode("ristretto255_memberpk", key) for key in member_keys],
        "proposals": [proposal(index, tally, len(VOTES) * (not index)) for index, tally in enumerate(tallies)],
        "voting_token": TOKEN,
    }


def encrypted(tally: ballots.EncryptedTally) -> Document:
    return {"Private": {"state": {"Encrypted": {"encrypted_tally": b64encode(tally.to_bytes()).decode()}}}}


def opened(sums: Sequence[int]) -> Document:
    result = {"results": list(sums), "options": {"start": 0, "end": OPTIONS}}
    return {"Private": {"state": {"Decrypted": {"result": result}}}}


def public(sums: Sequence[int]) -> Document:
    return {"Public": {"result": {"results": list(sums), "options": {"start": 0, "end": OPTIONS}}}}


@pytest.fixture(scope="module")
def ended(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what a node says when voting has ended, the members' keys and their shares."""
    jcli = Jcli(binaries.jcli, tmp_path_factory.mktemp("ended"))
    tallies = [ballots.EncryptedTally.empty(PLAN_ID, ELECTION_KEY, OPTIONS) for _ in range(2)]
    for choice, power in VOTES:
        ballot = vote(jcli, choice).ballot
        assert ballot is not None
        tallies[0].add(ballot, power)
    plans = [plan(PUBLIC_ID, [public([1, 2, 3])]), plan(PLAN_ID, [*map(encrypted, tallies)], MEMBER_KEYS)]
    jcli.write("plans.json", json.dumps(plans))
    for index, secret in enumerate(SECRETS):
        text = bech32.encode("ristretto255_membersk", ristretto.write_scalar(secret))
        jcli.write(f"member{index}.sk", text)
        words = ("--vote-plan", "plans.json", "--vote-plan-id", PLAN_ID.hex(), "--key", f"member{index}.sk")
        jcli.write(f"share{index}.json", jcli.out(*TALLY, "decryption-shares", *words))
    jcli.write("shares.json", jcli.out(*TALLY, "merge-shares", "share0.json", "share1.json"))
    return jcli.directory


@pytest.fixture
def jcli(binaries: Binaries, ended: Path) -> Jcli:
    return Jcli(binaries.jcli, ended)


def decrypt(*words: str, shares: str = "shares.json", threshold: str | None = "2") -> tuple[str, ...]:
    options = () if threshold is None else ("--threshold", threshold)
    return (*TALLY, "decrypt-results", "--vote-plan", "plans.json", "--shares", shares, *options, *words)


def this_plan(plan_id: bytes = PLAN_ID) -> tuple[str, str]:
    return ("--vote-plan-id", plan_id.hex())


def test_shares(jcli: Jcli) -> None:
    shares = [json.loads(jcli.read(f"share{index}.json")) for index in range(2)]
    assert [len(share) for share in shares] == [2, 2]
    sizes = {len(b64decode(text)) for share in shares for text in share}
    assert sizes == {ballots.SHARE_SIZE * OPTIONS}
    assert json.loads(jcli.read("shares.json")) == [list(members) for members in zip(*shares, strict=True)]


def test_all_shares_open_the_plan(jcli: Jcli) -> None:
    text = jcli.out(*decrypt(*this_plan(), "--output-format", "json"))
    _, before = json.loads(jcli.read("plans.json"))
    results = [opened(SUMS), opened([0] * OPTIONS)]
    proposals = [item | {"tally": result} for item, result in zip(before["proposals"], results, strict=True)]
    assert text == json.dumps(before | {"proposals": proposals}, indent=2, sort_keys=True)
    assert jcli.out(*decrypt(*this_plan())).startswith('---\ncommittee_end: "2.0"\ncommittee_member_keys:\n')


def test_one_plan_needs_no_id(jcli: Jcli) -> None:
    _, only = json.loads(jcli.read("plans.json"))
    for name, content in (("one.json", only), ("list.json", [only])):
        jcli.write(name, json.dumps(content))
        words = decrypt("--output-format", "json")
        assert jcli.out(*[name if word == "plans.json" else word for word in words])


def test_the_certificate_of_what_was_opened(jcli: Jcli) -> None:
    jcli.write("result.json", jcli.out(*decrypt(*this_plan(), "--output-format", "json")))
    words = (*PRIVATE_TALLY, "--vote-plan", "result.json", *this_plan(), "--shares", "shares.json")
    assert jcli.out(*words, "--output", "tally.cert") == ""
    text = jcli.read("tally.cert")
    assert text == jcli.out(*words)
    data = bech32.decode(text, (bech32.BECH32M,))[1]
    assert data[0] == 8
    proof = b"\x01" + bytes(32 + SIGNATURE_SIZE)
    raw = fragment(FragmentKind.VOTE_TALLY, block0_certificate(data[1:]) + proof)
    tally = decode_vote_tally(Fragment.from_bytes(raw))
    assert (tally.plan_id, tally.payload_type, tally.results) == (PLAN_ID.hex(), "private", (tuple(SUMS), (0, 0, 0)))
    for share in [b64decode(text) for members in json.loads(jcli.read("shares.json")) for text in members]:
        assert share in data


def test_shares_that_do_not_open_it(jcli: Jcli) -> None:
    first, second = (json.loads(jcli.read(f"share{index}.json")) for index in range(2))
    incorrect = (1, "decryption share is not valid")
    insufficient = (1, "insufficient amount of shares for vote plan decryption")
    for name, members, threshold, message in (
        ("swapped.json", [second, first], "2", incorrect),
        ("doubled.json", [first, first], "2", incorrect),
        ("single.json", [first], "2", insufficient),
        ("single.json", [first], "1", (1, "invalid data for private tally")),
        ("half.json", [first[:1], second[:1]], "2", insufficient),
        ("shares.json", [first, second], None, insufficient),  # the threshold is 3 unless it is given
    ):
        jcli.write(name, json.dumps([list(shares) for shares in zip(*members, strict=True)]))
        assert jcli.refused(*decrypt(*this_plan(), shares=name, threshold=threshold)) == message
    ended = jcli.run(*decrypt(*this_plan(), shares="swapped.json"))
    assert ended.cause == "Incorrect decryption shares"


def test_shares_of_another_state(jcli: Jcli) -> None:
    """One vote more, and the shares are worth nothing."""
    plans = json.loads(jcli.read("plans.json"))
    state = plans[1]["proposals"][0]["tally"]["Private"]["state"]["Encrypted"]
    tally = ballots.EncryptedTally.from_bytes(b64decode(state["encrypted_tally"]))
    ballot = vote(jcli, 1).ballot
    assert ballot is not None
    tally.add(ballot, 1)
    plans[1]["proposals"][0]["tally"] = encrypted(tally)
    jcli.write("later.json", json.dumps(plans))
    words = decrypt(*this_plan())
    message = "decryption share is not valid"
    assert jcli.refused(*["later.json" if word == "plans.json" else word for word in words]) == (1, message)


def test_plans_that_are_not_there(jcli: Jcli) -> None:
    key = ("--key", "member0.sk")
    shares = (*TALLY, "decryption-shares", "--vote-plan", "plans.json")
    for words in ((*shares, *key), decrypt()):
        assert jcli.refused(*words) == (1, "please specify a correct id for the vote plan")
    for words in ((*shares, *key, *this_plan(bytes(32))), decrypt(*this_plan(bytes(32)))):
        assert jcli.refused(*words) == (1, "could not find vote plan with specified id")
    assert jcli.out(*shares, *key, *this_plan(PUBLIC_ID)) == "[]"
    for path, message in (("missing", "I/O error"), ("member0.sk", "expected value at line 1 column 1")):
        assert jcli.refused(*TALLY, "decryption-shares", "--vote-plan", path, *key) == (1, message)
    jcli.write("empty", "")
    words = (*TALLY, "decryption-shares", "--vote-plan", "empty", *key)
    assert jcli.refused(*words) == (1, "EOF while parsing a value at line 1 column 0")


def test_what_is_open_already(jcli: Jcli) -> None:
    done = plan(PLAN_ID, [opened(SUMS), opened([0] * OPTIONS)], MEMBER_KEYS)
    jcli.write("done.json", json.dumps([done]))
    assert jcli.out(*TALLY, "decryption-shares", "--vote-plan", "done.json", "--key", "member0.sk") == "[]"
    words = ["done.json" if word == "plans.json" else word for word in decrypt()]
    message = "internal error: entered unreachable code: expected encrypted private tally"
    assert jcli.refused(*words) == (PANIC_CODE, message)


def test_keys_that_are_no_member_s(jcli: Jcli) -> None:
    jcli.write("shared.sk", bech32.encode("ristretto255_vcommsk", bytes(32)))
    words = (*TALLY, "decryption-shares", "--vote-plan", "plans.json", *this_plan())
    ended = jcli.run(*words, "--key", "shared.sk")
    assert ended.refusal == (1, "bech32 error")
    assert ended.cause == (
        "Parsed bech32 has invalid HRP prefix 'ristretto255_vcommsk', expected 'ristretto255_membersk'"
    )
    assert jcli.refused(*words, "--key", "missing") == (1, "I/O error")
    assert jcli.refused(*words) == (1, "error: The following required arguments were not provided:")


def test_certificates_of_what_is_not_open(jcli: Jcli) -> None:
    words = (*PRIVATE_TALLY, "--vote-plan", "plans.json", "--shares", "shares.json")
    message = "expected decrypted private tally, found private encrypted tally"
    assert jcli.refused(*words, *this_plan()) == (1, message)
    assert jcli.refused(*words) == (1, "please specify a correct id for the vote plan")
    with_shares = (*PRIVATE_TALLY, "--vote-plan", "plans.json", "--shares", "some.json", *this_plan(PUBLIC_ID))
    for share, message in (
        (bytes(ballots.SHARE_SIZE), "expected decrypted private tally, found public tally"),
        (b"nonsense", "invalid binary share data"),
    ):
        jcli.write("some.json", json.dumps([[b64encode(share).decode()]]))
        assert jcli.refused(*with_shares) == (1, message)


def test_merging_shares_that_do_not_fit(jcli: Jcli) -> None:
    merge = (*TALLY, "merge-shares")
    assert jcli.refused(*merge) == (1, "shares cannot be empty")
    assert jcli.refused(*merge, "missing") == (1, "I/O error")
    jcli.write("short.json", json.dumps(json.loads(jcli.read("share0.json"))[:1]))
    message = "proposals have different number of shares"
    assert jcli.refused(*merge, "share1.json", "short.json") == (1, message)


def test_merging_results(jcli: Jcli) -> None:
    """Plans on the same proposals are one question to several groups."""
    other = PLAN_ID[::-1][:31] + b"\x01"
    plans = [
        plan(PLAN_ID, [opened(SUMS), opened([0, 0, 1])], MEMBER_KEYS),
        plan(other, [opened([1, 1, 1]), opened([0, 2, 0])], MEMBER_KEYS),
        plan(PUBLIC_ID, [public([1, 2, 3])]),
    ]
    jcli.write("results.json", json.dumps(plans))
    words = (*TALLY, "merge-results", "--vote-plans", "results.json", "--output-format", "json")
    merged = {tuple(group["ids"]): group["proposals"] for group in json.loads(jcli.out(*words))}
    assert merged.keys() == {tuple(sorted([PLAN_ID.hex(), other.hex()])), (PUBLIC_ID.hex(),)}
    both = merged[tuple(sorted([PLAN_ID.hex(), other.hex()]))]
    assert [item["tally"] for item in both] == [opened([6, 1, 1_000_004]), opened([0, 2, 1])]
    assert [item["votes_cast"] for item in both] == [2 * len(VOTES), 0]
    jcli.write("results.json", json.dumps(plans[0]))
    assert jcli.run(*words).code == 1
    assert jcli.refused(*TALLY, "merge-results", "--vote-plans", "missing") == (1, "I/O error")
