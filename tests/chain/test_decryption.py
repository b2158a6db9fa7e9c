"""Shares of a decryption that the real jcli made, right and wrong in every way that was thought of.

``data/decryption.json`` has the two encrypted proposals of a plan on a real node after 24 votes, its three members'
shares, what they open, the same before any vote (``earlier``), and the share of a key that is no member's.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from node_fsm_sandbox.formats import ballots

from node_fsm.chain import bech32, ristretto
from node_fsm.chain.decryption import SHARE_SIZE, read_encrypted_tally, result_problem, share_problem
from tests.chain.helpers import DATA

REAL: dict[str, Any] = json.loads((DATA / "decryption.json").read_text())
TALLIES: list[str] = REAL["encrypted_tallies"]
KEYS: list[str] = REAL["member_keys"]
SHARES: list[list[str]] = REAL["shares"]
RESULTS: list[list[int]] = REAL["results"]


def changed(text: str, position: int, byte: int) -> str:
    data = bytearray(base64.b64decode(text))
    data[position] ^= byte
    return base64.b64encode(data).decode()


def replaced(text: str, position: int, new: bytes) -> str:
    data = base64.b64decode(text)
    return base64.b64encode(data[:position] + new + data[position + len(new) :]).decode()


@pytest.mark.parametrize("member", range(3))
def test_the_shares_of_all_members_hold(member: int) -> None:
    assert share_problem(TALLIES, KEYS[member], SHARES[member]) is None
    assert share_problem(REAL["earlier"]["encrypted_tallies"], KEYS[member], REAL["earlier"]["shares"][member]) is None


def test_a_share_of_another_key_does_not_hold() -> None:
    for share in (SHARES[1], REAL["foreign"]["share"]):
        problem = share_problem(TALLIES, KEYS[0], share)
        assert problem
        assert "made with another key" in problem
    assert share_problem(TALLIES, REAL["foreign"]["member_key"], REAL["foreign"]["share"]) is None


def test_another_member_s_share_is_named() -> None:
    problem = share_problem(TALLIES, KEYS[0], SHARES[1], KEYS)
    assert problem == f"is foreign: it is the share of the member {KEYS[1]}"


def test_a_share_of_another_state_does_not_hold() -> None:
    problem = share_problem(TALLIES, KEYS[0], REAL["earlier"]["shares"][0], KEYS)
    assert problem
    assert "of another state of the votes" in problem
    assert share_problem(REAL["earlier"]["encrypted_tallies"], KEYS[0], SHARES[0])


def test_shares_out_of_order_are_named() -> None:
    swapped = SHARES[0][::-1]
    assert share_problem(TALLIES, KEYS[0], swapped) == (
        "is out of order: where proposal 0 belongs it has the share of proposal 1"
    )
    doubled = [SHARES[0][0]] * 2
    assert share_problem(TALLIES, KEYS[0], doubled) == (
        "is out of order: where proposal 1 belongs it has the share of proposal 0"
    )


def test_a_share_has_as_many_proposals_as_the_plan() -> None:
    for share in ([], SHARES[0][:1], [*SHARES[0], SHARES[0][0]]):
        problem = share_problem(TALLIES, KEYS[0], share)
        assert problem == f"has shares of {len(share)} proposals, the plan has 2"


@pytest.mark.parametrize("byte", [1, 0x80])
@pytest.mark.parametrize("position", [*range(0, SHARE_SIZE, 5), 31, 63, 95, 2 * SHARE_SIZE + 40])
def test_a_flipped_bit_is_found(position: int, byte: int) -> None:
    problem = share_problem(TALLIES, KEYS[2], [SHARES[2][0], changed(SHARES[2][1], position, byte)])
    assert problem
    assert "proposal 1" in problem


def _malformed() -> Iterator[object]:
    good = SHARES[0][1]
    yield from ("", "AAAA", good[:-4], good[:-1], good + "AAAA", good + "\n", "é" * len(good), "=" * len(good), None, 7)
    yield from (["list"], good.encode(), "A" * 10_000_000)
    for bad_point in ("ff" * 32, "01" + "00" * 31, "ed" + "ff" * 30 + "7f"):
        yield replaced(good, 0, bytes.fromhex(bad_point))
    for position in (32, 64, SHARE_SIZE + 32):
        number = int.from_bytes(base64.b64decode(good)[position : position + 32], "little")
        yield replaced(good, position, (number + ristretto.ORDER).to_bytes(32, "little"))


@pytest.mark.parametrize("malformed", list(_malformed()), ids=lambda value: repr(value)[:20])
def test_what_is_malformed_is_said_in_words(malformed: Any) -> None:
    problem = share_problem(TALLIES, KEYS[0], [SHARES[0][0], malformed])
    assert problem
    assert problem.startswith("is malformed: the share of proposal 1")
    assert len(problem) < 200


@pytest.mark.parametrize("tallies", [TALLIES, REAL["earlier"]["encrypted_tallies"]], ids=["votes", "no votes"])
def test_nothing_is_proven_by_identity_points_and_zeros(tallies: list[str]) -> None:
    """They are points and scalars; where nobody voted the identity is even the right point."""
    zeros = [base64.b64encode(bytes(len(base64.b64decode(part)))).decode() for part in SHARES[0]]
    problem = share_problem(tallies, KEYS[0], zeros)
    assert problem
    assert problem.startswith("does not hold for proposal 0")


@pytest.mark.parametrize("key", ["", "memberpk1qqq", "ristretto255_memberpk1qqqqqq", "ed25519_pk1" + "q" * 58])
def test_a_member_key_that_is_none_is_said_in_words(key: str) -> None:
    problem = share_problem(TALLIES, key, SHARES[0])
    assert problem
    assert problem.startswith("cannot be checked: the member's public key is n")


@pytest.mark.parametrize(
    "tally",
    ["", "!", "AAAA", TALLIES[0][:-4], "A" * 10_000_000, None, replaced(TALLIES[0], 40, b"\xff" * 32)],
    ids=lambda value: repr(value)[:20],
)
def test_an_encrypted_tally_that_is_none_is_said_in_words(tally: Any) -> None:
    for problem in (
        share_problem([tally], KEYS[0], SHARES[0][:1]),
        result_problem([tally], [SHARES[0][:1]], RESULTS[:1]),
    ):
        assert problem
        assert problem.startswith("cannot be checked: an encrypted tally")


def test_all_members_shares_open_the_result() -> None:
    assert result_problem(TALLIES, SHARES, RESULTS) is None
    zero = [[0, 0, 0], [0, 0, 0]]
    assert result_problem(REAL["earlier"]["encrypted_tallies"], REAL["earlier"]["shares"], zero) is None


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([[7000, 5000, 9000], RESULTS[1]], "proposal 0, option 0: the shares do not open 7000 votes"),
        ([RESULTS[0], [9000, 5000, 7001]], "have a power of 21000, the result says 21001"),
        ([RESULTS[0], [9000, 5001, 6999]], "proposal 1, option 1: the shares do not open 5001 votes"),
        ([RESULTS[0], [21001, -1, 0]], "have a power of 21000"),
        ([RESULTS[0], [ristretto.ORDER + 9000, 5000, 7000]], "have a power of 21000"),
        ([RESULTS[0], [9000, 12000]], "proposal 1 has 3 options, the result says 2"),
        (RESULTS[:1], "a result is of 1 proposals, the plan has 2"),
    ],
)
def test_another_result_is_refused(results: list[list[int]], said: str) -> None:
    problem = result_problem(TALLIES, SHARES, results)
    assert problem
    assert said in problem


def test_without_a_member_nothing_is_opened() -> None:
    assert result_problem(TALLIES, SHARES[:2], RESULTS)
    assert result_problem(TALLIES, [], RESULTS)
    assert result_problem(TALLIES, [*SHARES[:2], SHARES[2][:1]], RESULTS)


def test_the_stand_ins_shares_hold_too() -> None:
    secrets = [11, 12]
    keys = [ballots.public_key(secret) for secret in secrets]
    election_key = ballots.election_key(keys)
    tally = ballots.EncryptedTally.empty(bytes(32), election_key, 2)
    ballot = ballots.encrypt_vote(bytes(32), election_key, 2, 1)
    tally.add(ballots.open_ballot(bytes(32), election_key, ballot), 5)
    text = base64.b64encode(tally.to_bytes()).decode()
    shares = [[base64.b64encode(tally.share(secret)).decode()] for secret in secrets]
    for key, share in zip(keys, shares, strict=True):
        assert share_problem([text], bech32.encode("ristretto255_memberpk", key), share) is None
    assert result_problem([text], shares, [[0, 5]]) is None
    first = base64.b64decode(shares[0][0])
    exchanged = base64.b64encode(first[SHARE_SIZE:] + first[:SHARE_SIZE]).decode()
    assert share_problem([text], bech32.encode("ristretto255_memberpk", keys[0]), [exchanged])
    assert read_encrypted_tally(text).power == 5
