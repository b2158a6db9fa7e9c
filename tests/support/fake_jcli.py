"""A jcli that makes the same kinds of files and texts as the real one, without a process and without signatures."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from node_fsm.chain import bech32
from node_fsm.chain.address import ed25519_public_key_text, parse_account_address
from node_fsm.core.chain_time import BlockDate
from node_fsm.core.committee import Share
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import Payer, SignedFragment
from node_fsm.core.secret import Secret
from tests.chain import build
from tests.support import private_jcli
from tests.support.genesis_encoder import (
    SIGNED,
    encode_block0,
    encode_plan,
    fragment_id,
    private_tally_content,
    public_tally_content,
    tally,
)

SECRET_PREFIX = "ed25519_sk"


def new_secret(name: str) -> Secret:
    """A key made of *name*."""
    return Secret(bech32.encode(SECRET_PREFIX, blake2b(name.encode(), digest_size=32).digest()))


def public_bytes(secret: Secret) -> bytes:
    """The public half of a key, by a rule that only this fake knows."""
    _, data = bech32.decode(secret.reveal())
    return blake2b(b"public" + data, digest_size=32).digest()


def public_key(secret: Secret) -> str:
    """The public half of a key in bech32."""
    return ed25519_public_key_text(public_bytes(secret))


@dataclass
class FakeJcli:
    """Each command fails with its entry in *failures*; *calls* counts the commands."""

    failures: dict[str, Exception] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    full_version: str = "jcli of the tests"

    async def version(self) -> str:
        self._call("version")
        return self.full_version

    async def public_key(self, secret: Secret) -> str:
        self._call("public_key")
        try:
            return public_key(secret)
        except ValueError:
            raise PermanentError("CommandFailed", "jcli key to-public ended with code 1: invalid key ***") from None

    async def new_vote_plan(self, plan: Path, certificate: Path) -> None:
        self._call("new_vote_plan")
        certificate.write_text(encode_plan(json.loads(plan.read_text())).hex())

    async def sign_certificate(self, certificate: Path, secret: Secret, signed: Path) -> None:
        self._call("sign_certificate")
        signed.write_text(SIGNED + certificate.read_text())

    async def vote_plan_id(self, certificate: Path) -> str:
        self._call("vote_plan_id")
        return build.plan_id(bytes.fromhex(certificate.read_text()))

    async def genesis_encode(self, genesis: Path, block0: Path) -> None:
        self._call("genesis_encode")
        block0.write_bytes(encode_block0(json.loads(genesis.read_text())))

    async def genesis_hash(self, block0: Path) -> str:
        self._call("genesis_hash")
        return build.block_id(block0.read_bytes())

    async def public_tally_certificate(self, plan_id: str) -> str:
        self._call("public_tally_certificate")
        return plan_id

    async def member_public_key(self, secret: Secret) -> str:
        self._call("member_public_key")
        return private_jcli.member_public_key(secret)

    async def election_key(self, member_keys: Sequence[str]) -> str:
        self._call("election_key")
        return private_jcli.election_key(member_keys)

    async def decryption_shares(self, plans: Path, plan_id: str, secret: Secret) -> Share:
        self._call("decryption_shares")
        return private_jcli.decryption_shares(plans, plan_id, secret)

    async def merge_shares(self, members: Sequence[Path], merged: Path) -> None:
        self._call("merge_shares")
        private_jcli.merge_shares(members, merged)

    async def decrypt_results(
        self, plans: Path, plan_id: str, merged: Path, result: Path, *, members: int, timeout: float
    ) -> None:
        self._call("decrypt_results")
        private_jcli.decrypt_results(plans, plan_id, merged, result)

    async def private_tally_certificate(self, plan_id: str, result: Path, merged: Path) -> str:
        """The plan's id, and the content of the tally in hex."""
        self._call("private_tally_certificate")
        return f"{plan_id} {private_tally_content(plan_id, result, merged).hex()}"

    async def transaction(
        self,
        certificate: str,
        payer: Payer,
        *,
        block0_hash: str,
        expiry: BlockDate,
        directory: Path,
        authority: Secret | None = None,
    ) -> SignedFragment:
        self._call("transaction")
        assert directory.is_dir()
        assert authority == payer.secret, "a tally is paid and signed by the same account"
        account = parse_account_address(payer.address).public_key
        plan_id, _, opened = certificate.partition(" ")
        content = bytes.fromhex(opened) if opened else public_tally_content(plan_id)
        raw = tally(content, account, expiry=expiry, counter=payer.lane << 29 | payer.counter)
        return SignedFragment(fragment_id(raw), raw)

    def _call(self, command: str) -> None:
        self.calls[command] += 1
        if command in self.failures:
            raise self.failures[command]
