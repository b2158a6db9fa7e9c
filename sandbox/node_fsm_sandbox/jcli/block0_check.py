"""What a ledger checks of a block 0 before it begins a chain with it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

from node_fsm.chain.address import ACCOUNT_KIND, TEST_BIT, ed25519_public_key
from node_fsm.chain.transactions import Output
from node_fsm_sandbox.formats.chain import block0_certificate
from node_fsm_sandbox.formats.crypto import PUBLIC_KEY_SIZE, blake2b_256, verify
from node_fsm_sandbox.jcli.certificate_texts import Certificate, Kind
from node_fsm_sandbox.jcli.errors import CommandError

_GROUP_KIND = 0x04
_SCRIPT_KIND = 0x07
_MOST_VALUE = (1 << 64) - 1

Key = TypeVar("Key")


class Block0Check:
    """The accounts and plans of a block 0 so far. Every method raises CommandError with what the ledger refuses."""

    def __init__(self, test: bool, committee: set[bytes], value: int) -> None:
        self._test = test
        self._committee = committee
        self._value = value
        self._accounts: Counter[bytes] = Counter()
        self._tokens: Counter[str] = Counter()
        self._plans: set[bytes] = set()

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> Self:
        """The check of a block 0 with that configuration."""
        leaders = set(map(ed25519_public_key, configuration["consensus_leader_ids"]))
        if not leaders:
            raise _invalid("Invalid Block0", "Missing consensus leader id list in the initial fragment")
        committee = leaders.union(map(bytes.fromhex, configuration.get("committees", ())))
        pots = configuration.get("treasury", 0) + configuration.get("total_reward_supply", 0)
        return cls(configuration["discrimination"] == "test", committee, pots)

    def fund(self, outputs: Sequence[Output]) -> None:
        """Take a fund."""
        for address, value in outputs:
            if not value:
                raise _invalid("Empty output")
            if bool(address[0] & TEST_BIT) is not self._test:
                raise _invalid("Invalid discrimination")
            self._value += value
            kind = address[0] & ~TEST_BIT
            if kind == ACCOUNT_KIND:
                self._add(self._accounts, address[1:], value)
            elif kind == _GROUP_KIND:
                self._add(self._accounts, address[1 + PUBLIC_KEY_SIZE :], value)
            elif kind == _SCRIPT_KIND:
                raise _invalid("Scripts addresses are not yet supported by the system")

    def token(self, token_id: str, account: bytes, value: int) -> None:
        """Take tokens minted for an account."""
        if account not in self._accounts:
            raise _invalid("Error or Invalid account", "Account does not exist")
        self._add(self._tokens, token_id, value)

    def certificate(self, certificate: Certificate) -> None:
        """Take a signed certificate."""
        if certificate.kind is not Kind.VOTE_PLAN:
            raise _invalid("Invalid Block0", "Vote tallying are not valid in the block0")
        signer, signature = certificate.proof[:PUBLIC_KEY_SIZE], certificate.proof[PUBLIC_KEY_SIZE:]
        if not verify(signer, block0_certificate(certificate.content), signature):
            raise _invalid("Vote Plan Proof has an invalid signature")
        if signer not in self._committee:
            raise _invalid("Vote Plan Proof ID is not present in the committee")
        plan_id = blake2b_256(certificate.content)
        if plan_id in self._plans:
            reason = f"cannot insert the vote plan {plan_id.hex()}"
            raise _invalid("Voting error", reason, "entry with the provided key already exists")
        self._plans.add(plan_id)

    @staticmethod
    def _add(sums: Counter[Key], key: Key, value: int) -> None:
        sums[key] += value
        if sums[key] > _MOST_VALUE:
            overflow = ("Value calculation failed", "Value overflowed its maximum value")
            raise _invalid("Error or Invalid account", *overflow)

    def end(self) -> None:
        """Check what only the whole shows."""
        if self._value > _MOST_VALUE:
            raise _invalid("Invalid Block0", "Total initial value is too big")


def _invalid(*causes: str) -> CommandError:
    return CommandError("generated block is not a valid genesis block", *causes)
