"""Accounts: money, tokens and spending counters."""

from collections.abc import Mapping
from typing import NamedTuple

from node_fsm.chain.limits import LANES
from node_fsm.chain.transactions import Witness
from node_fsm_sandbox.node.errors import RejectedError

_LANE_BITS = 29


class Account(NamedTuple):
    """What an account has; ``counters`` are what its next transaction in each lane must carry."""

    value: int
    tokens: Mapping[str, int]
    counters: tuple[int, ...] = (0,) * LANES

    def spend(self, value: int, witness: Witness) -> "Account":
        """The account after it paid *value* with that witness; RejectedError when it cannot."""
        if value > self.value:
            raise _rejected("Value calculation failed: Value cannot be negative")
        lane, counter = witness.lane, witness.counter
        assert lane is not None
        assert counter is not None
        if counter != self.counters[lane]:
            raise _rejected(f"Spending credential invalid, expected {self.counters[lane]} got {counter} in lane {lane}")
        following = (counter + 1) % (1 << _LANE_BITS)
        return self._replace(
            value=self.value - value, counters=(*self.counters[:lane], following, *self.counters[lane + 1 :])
        )

    def spending_counters(self) -> list[int]:
        """The counters as fragments carry them, the lane in the highest bits."""
        return [lane << _LANE_BITS | counter for lane, counter in enumerate(self.counters)]


def absent_account() -> RejectedError:
    """The error of an account that is not in the ledger."""
    return _rejected("Account does not exist")


def _rejected(cause: str) -> RejectedError:
    return RejectedError(f"Error or Invalid account: {cause}")
