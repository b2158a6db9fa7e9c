"""Throw-away keys, made without jcli: whoever votes has another program anyway."""

from dataclasses import dataclass, field
from secrets import token_bytes

from node_fsm.chain import bech32
from node_fsm.chain.address import ed25519_public_key_text
from node_fsm.core.secret import Secret
from node_fsm_sandbox.formats.crypto import PLAIN_SIZE, SigningKey


@dataclass(frozen=True, slots=True)
class Wallet:
    """An ed25519 key, of a voter or of a leader."""

    seed: bytes = field(default_factory=lambda: token_bytes(PLAIN_SIZE), repr=False)

    @property
    def key(self) -> SigningKey:
        """What signs."""
        return SigningKey(self.seed)

    @property
    def public_key(self) -> bytes:
        """The public half, 32 bytes."""
        return self.key.public_key

    @property
    def leader_id(self) -> str:
        """The public half as it stands in jorm_nodes, ``ed25519_pk1…``."""
        return ed25519_public_key_text(self.public_key)

    @property
    def secret(self) -> Secret:
        """The secret half as it lies in S3, ``ed25519_sk1…``."""
        return Secret(bech32.encode("ed25519_sk", self.seed))
