"""Encrypted sums are opened by all members together, and by nobody else."""

import pytest
from node_fsm_sandbox.formats import ballots

SECRETS = [3, 5, 7]
KEYS = [ballots.public_key(secret) for secret in SECRETS]
ELECTION_KEY = ballots.election_key(KEYS)
PLAN_ID = bytes(32)
OPTIONS = 3


def tally(*votes: tuple[int, int]) -> ballots.EncryptedTally:
    """The sums of votes, each a choice and its power."""
    result = ballots.EncryptedTally.empty(PLAN_ID, ELECTION_KEY, OPTIONS)
    for choice, power in votes:
        ballot = ballots.encrypt_vote(PLAN_ID, ELECTION_KEY, OPTIONS, choice)
        result.add(ballots.open_ballot(PLAN_ID, ELECTION_KEY, ballot), power)
    return ballots.EncryptedTally.from_bytes(result.to_bytes())


def test_all_open_what_one_alone_cannot() -> None:
    sums = tally((0, 7), (2, 100_000), (2, 1))
    shares = [sums.share(secret) for secret in SECRETS]
    assert sums.decrypt(KEYS, shares) == [7, 0, 100_001]
    assert sums.decrypt(KEYS[:2], shares[:2]) is None
    assert sums.is_result(KEYS, shares, [7, 0, 100_001])
    assert not sums.is_result(KEYS, shares, [7, 1, 100_000])
    assert not sums.is_result(KEYS, shares[::-1], [7, 0, 100_001])


def test_nobody_voted() -> None:
    sums = tally()
    assert sums.decrypt(KEYS, [sums.share(SECRETS[0])]) == [0] * OPTIONS


def test_shares_are_checked() -> None:
    sums = tally((1, 1))
    shares = [sums.share(secret) for secret in SECRETS]
    altered = bytes([shares[0][0] ^ 2]) + shares[0][1:]
    for wrong in (shares[::-1], [altered, *shares[1:]], [shares[0][:-1], *shares[1:]], [tally().share(3), *shares[1:]]):
        with pytest.raises(ballots.SharesError, match="Incorrect decryption shares"):
            sums.decrypt(KEYS, wrong)


def test_a_ballot_is_for_one_plan_and_one_key() -> None:
    ballot = ballots.encrypt_vote(PLAN_ID, ELECTION_KEY, OPTIONS, 1)
    for plan_id, key, data in (
        (b"\1" * 32, ELECTION_KEY, ballot),
        (PLAN_ID, KEYS[0], ballot),
        (PLAN_ID, ELECTION_KEY, ballot[:-1] + bytes([ballot[-1] ^ 1])),
    ):
        with pytest.raises(ballots.BallotError, match="Invalid vote proof"):
            ballots.open_ballot(plan_id, key, data)


@pytest.mark.parametrize("size", [0, 39, 41])
def test_what_is_no_tally(size: int) -> None:
    with pytest.raises(ValueError, match="not the bytes of an encrypted tally"):
        ballots.EncryptedTally.from_bytes(bytes(size))
