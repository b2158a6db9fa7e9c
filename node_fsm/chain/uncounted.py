"""The votes that a node had accepted, in blocks or not, and that another chain, the one that is counted, does not have.

Nodes settle by their own chain while it runs, and the votes of a part that was given up are in that. So once the
counted chain is known each node looks through its own blocks and its log once more.
"""

from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

from node_fsm.chain.blocks import read_blocks, verify_chain
from node_fsm.chain.cast import cast_key, votes_in
from node_fsm.chain.certificates import VoteCast, decode_vote_cast
from node_fsm.chain.errors import MalformedError
from node_fsm.chain.fragment_log import FragmentLog, LoggedFragment
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.chain.voting_power import VotingPower
from node_fsm.core.chain_time import ChainDates


class Uncounted(NamedTuple):
    """A vote that is not counted; *in_block* says whether a block of the node's own chain has it."""

    vote: Fragment
    account: bytes
    weight: int
    in_block: bool


def uncounted_votes(blocks: Path, fragments: Path, counted: Container[bytes]) -> list[Uncounted]:
    """What of the chain in *blocks* and of the node's log in the directory *fragments* is not *counted*.

    *counted* has the keys of all votes of the counted chain. One vote for each say of a voter on a proposal: that in a
    block, else the latest. MalformedError, TruncatedError, BrokenChainError when *blocks* holds something else.
    """
    with blocks.open("rb") as stream:
        chain = verify_chain(read_blocks(stream))
        first = next(chain, None)
        if first is None:
            raise MalformedError("expected a chain, the stream is empty", 0)
        power = VotingPower.read(first)
        lost = _Lost(power, counted)
        if dates := power.block0.dates:
            for entry in FragmentLog(fragments).read():
                lost.logged(entry, dates)
        for vote in votes_in(chain):
            lost.add(vote, in_block=True)
    return list(lost.by_key.values())


class _Lost:
    def __init__(self, power: VotingPower, counted: Container[bytes]) -> None:
        self._power = power
        self._counted = counted
        self.by_key: dict[bytes, Uncounted] = {}
        self._spending: dict[tuple[bytes, int, int], bytes] = {}

    def logged(self, entry: LoggedFragment, dates: ChainDates) -> None:
        """Take what the node logged: a voter uses a counter again only because the earlier vote was refused."""
        if entry.fragment.kind is not FragmentKind.VOTE_CAST or not was_in_time(entry, dates):
            return
        key = cast_key(decode_vote_cast(entry.fragment))
        if entry.spent and (earlier := self._spending.pop(entry.spent, key)) != key and earlier:
            self.by_key.pop(earlier, None)
        if key and self.add(entry.fragment, in_block=False) and entry.spent:
            self._spending[entry.spent] = key

    def add(self, vote: Fragment, *, in_block: bool) -> bool:
        """Keep *vote* if it is not counted and would weigh something; whether it is kept."""
        cast = decode_vote_cast(vote)
        key, weight = cast_key(cast), self._power.weight(cast)
        if key is None or not weight or key in self._counted:
            return False
        self.by_key[key] = Uncounted(vote, _account(cast), weight, in_block)
        return True


def was_in_time(entry: LoggedFragment, dates: ChainDates) -> bool:
    """Whether a logged vote came while people vote, by the clock of its node."""
    return dates.vote_start_time.timestamp() <= entry.time < dates.vote_end_time.timestamp()


def _account(cast: VoteCast) -> bytes:
    assert cast.account is not None, "a vote with a key has one account"
    return cast.account
