"""The encrypted sums, made from ballots, against those of the stand-ins and what the real node's shares open."""

import io
from collections.abc import Iterable, Iterator

import pytest
from node_fsm_sandbox.formats import ballots

from node_fsm.chain.ballot_sums import BallotSums
from node_fsm.chain.blocks import read_blocks
from node_fsm.chain.cast import votes_in
from node_fsm.chain.certificates import decode_vote_cast
from node_fsm.chain.decryption import EncryptedTally
from tests.chain.helpers import stored


def encrypted_tally_of(cast: Iterable[tuple[bytes, int]], options: int) -> EncryptedTally:
    sums = BallotSums(options)
    for ballot, weight in cast:
        sums.add(ballot, weight)
    return sums.total()


def stand_in_ballots(options: int) -> Iterator[tuple[bytes, int]]:
    key = ballots.election_key([ballots.public_key(7)])
    for choice, weight in [(0, 5), (1, 2**40), (1, 1), (options - 1, 0)]:
        yield ballots.open_ballot(bytes(32), key, ballots.encrypt_vote(bytes(32), key, options, choice)), weight


@pytest.mark.parametrize("options", [2, 5])
def test_sums_are_the_stand_ins(options: int) -> None:
    cast = list(stand_in_ballots(options))
    expected = ballots.EncryptedTally.empty(bytes(32), bytes(32), options)
    for ballot, weight in cast:
        expected.add(ballot, weight)
    found = encrypted_tally_of(cast, options)
    assert found.power == 2**40 + 6
    assert b"".join(found.sums) == expected.to_bytes()[40:]


def test_no_ballots_come_to_nothing() -> None:
    assert encrypted_tally_of([], 3) == (0, (bytes(64),) * 3)


def test_ballots_of_a_real_chain_are_added() -> None:
    cast = [
        vote
        for fragment in votes_in(read_blocks(io.BytesIO(stored("blocks.b64"))))
        if (vote := decode_vote_cast(fragment)).ballot
    ]
    assert [vote.ballot_options for vote in cast] == [2, 2]
    assert encrypted_tally_of([(vote.ballot or b"", 1) for vote in cast], 2).power == 2


@pytest.mark.parametrize("ballot", [b"", bytes(64), bytes(192), b"\xff" * 128, bytes(127)])
def test_what_is_no_ballot_of_as_many_options_is_refused(ballot: bytes) -> None:
    sums = BallotSums(2)
    with pytest.raises(ValueError, match="bytes"):
        sums.add(ballot, 1)
    assert sums.total() == (0, (bytes(64),) * 2)
