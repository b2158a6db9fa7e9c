"""The parameters of a chain that its rules need."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple

from node_fsm.chain.address import ed25519_public_key
from node_fsm.chain.fragments import FragmentKind
from node_fsm.chain.transactions import Transaction
from node_fsm.core.chain_time import BlockDate, ChainClock

_DEFAULT_EXPIRY_EPOCHS = 1
_FEES_OF_KINDS = {FragmentKind.VOTE_PLAN: "certificate_vote_plan", FragmentKind.VOTE_CAST: "certificate_vote_cast"}


class ExpiryFault(Enum):
    """What can be wrong with the expiry date of a transaction, in the ledger's words."""

    EXPIRED = "Transaction validity expired"
    TOO_LONG = "Transaction validity is too far in the future"


class Parameters(NamedTuple):
    """``leaders`` are public keys in the order of their turns, ``committees`` hex ids, the leaders' first."""

    clock: ChainClock
    production: bool
    leaders: tuple[bytes, ...]
    committees: tuple[str, ...]
    content_max_size: int
    expiry_epochs: int
    fees: Mapping[str, Any]

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> "Parameters":
        """Those in what block 0 says of itself."""
        leaders = tuple(map(ed25519_public_key, configuration["consensus_leader_ids"]))
        return cls(
            clock=ChainClock(
                datetime.fromtimestamp(configuration["block0_date"], UTC),
                configuration["slot_duration"],
                configuration["slots_per_epoch"],
            ),
            production=configuration["discrimination"] == "production",
            leaders=leaders,
            committees=(*(leader.hex() for leader in leaders), *configuration.get("committees", ())),
            content_max_size=configuration["block_content_max_size"],
            expiry_epochs=configuration.get("tx_max_expiry_epochs", _DEFAULT_EXPIRY_EPOCHS),
            fees=configuration["linear_fees"],
        )

    def leader_of(self, date: BlockDate) -> bytes:
        """Whose turn it is."""
        return self.leaders[date.slot % len(self.leaders)]

    def fault_of_expiry(self, valid_until: BlockDate, date: BlockDate) -> ExpiryFault | None:
        """What is wrong at *date* with a transaction that expires so."""
        if date.epoch < valid_until.epoch - self.expiry_epochs:
            return ExpiryFault.TOO_LONG
        return ExpiryFault.EXPIRED if date > valid_until else None

    def fee(self, kind: FragmentKind, transaction: Transaction) -> int:
        """What a fragment must pay, exactly."""
        fee: int = self.fees["constant"]
        fee += self.fees["coefficient"] * (len(transaction.inputs) + len(transaction.outputs))
        if kind is not FragmentKind.TRANSACTION:
            special: Mapping[str | None, int] = self.fees.get("per_vote_certificate_fees", {})
            fee += special.get(_FEES_OF_KINDS.get(kind), self.fees["certificate"])
        return fee
