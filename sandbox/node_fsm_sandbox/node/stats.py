"""What the node counts, as ``/node/stats`` shows it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from node_fsm.chain.blocks import BlockHeader
from node_fsm.chain.certificates import VoteCast
from node_fsm.core.chain_time import utc_now
from node_fsm_sandbox.node.chain import Chain, Turn
from node_fsm_sandbox.node.log import timestamp
from node_fsm_sandbox.node.messages import Message

_NEVER = datetime.fromtimestamp(0, UTC)
_HALF = 0.5


class BlockStats:
    """Figures about the tip and about how it was reached since the process started."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._started = utc_now()
        self._average_fill = self._fill(chain.tip)
        self.received_blocks = 0
        self.votes_cast = 0
        self._inputs = self._fees = 0
        self._transactions = chain.ledger.genesis_transactions
        if chain.tip.height:
            self._count(chain.messages(chain.tip))

    def follow(self, turn: Turn) -> None:
        """The tip is another one."""
        header, messages = turn.blocks[-1]
        self._count(messages)
        self._average_fill = self._average_fill * _HALF + self._fill(header) * _HALF

    def last_block_time(self) -> str:
        """When the slot of the tip began."""
        return timestamp(self._chain.ledger.parameters.clock.time_at(self._chain.tip.date))

    def shown(self) -> dict[str, Any]:
        """The part of the node's statistics that is about blocks."""
        tip = self._chain.tip
        return {
            "blockRecvCnt": self.received_blocks,
            "lastBlockContentSize": tip.content_size,
            "lastBlockDate": str(tip.date),
            "lastBlockFees": self._fees,
            "lastBlockHash": tip.id,
            "lastBlockHeight": str(tip.height),
            "lastBlockSum": self._inputs,
            "lastBlockTime": self.last_block_time(),
            "lastBlockTx": self._transactions,
            "lastReceivedBlockTime": timestamp(_NEVER),
            "blockContentSizeAvg": self._average_fill,
            "votesCast": self.votes_cast,
            "uptime": int((utc_now() - self._started).total_seconds()),
        }

    def _count(self, messages: Sequence[Message]) -> None:
        """Count what is in the block at the tip."""
        self._transactions = len(messages)
        self._inputs = sum(map(_inputs, messages))
        self._fees = self._inputs - sum(map(_outputs, messages))
        self.votes_cast += sum(isinstance(message.certificate, VoteCast) for message in messages)

    def _fill(self, header: BlockHeader) -> float:
        return header.content_size / self._chain.ledger.parameters.content_max_size


def _inputs(message: Message) -> int:
    return sum(spent.value for spent in message.transaction.inputs)


def _outputs(message: Message) -> int:
    return sum(output.value for output in message.transaction.outputs)
