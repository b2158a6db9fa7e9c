"""What the votes of accounts weigh: the plan's voting tokens that block 0 gave them, which cannot move."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from node_fsm.chain.block0 import Block0Summary, summarise_block
from node_fsm.chain.blocks import Block
from node_fsm.chain.certificates import MintedToken, VoteCast


class VotingPower(NamedTuple):
    """A block 0, and by plan id the weights of accounts."""

    block0: Block0Summary
    weights: Mapping[str, Mapping[bytes, int]]

    @classmethod
    def read(cls, block0: Block) -> "VotingPower":
        """Read *block0*, the first block of a chain: seconds for a million voters. MalformedError, TruncatedError."""
        tokens: defaultdict[str, defaultdict[bytes, int]] = defaultdict(lambda: defaultdict(int))

        def add(token: MintedToken) -> None:
            tokens[token.token_id][token.account] += token.value

        summary = summarise_block(block0, on_token=add)
        return cls(summary, {plan.id: tokens[plan.voting_token] for plan in summary.vote_plans})

    def weight(self, vote: VoteCast) -> int:
        """What *vote* weighs: 0 when no chain would count it."""
        return self.weights.get(vote.plan_id, {}).get(vote.account, 0) if vote.account else 0
