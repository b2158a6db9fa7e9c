"""The jcli commands that the phases use."""

from pathlib import Path
from typing import Protocol

from node_fsm.core.chain_time import BlockDate
from node_fsm.core.model import (
    Payer,
    SignedFragment,
)
from node_fsm.core.secret import Secret


class Jcli(Protocol):
    """The jcli commands that the phases use. Keys go over standard input, never into arguments."""

    async def version(self) -> str: ...
    async def public_key(self, secret: Secret) -> str: ...
    async def new_vote_plan(self, plan: Path, certificate: Path) -> None: ...
    async def sign_certificate(self, certificate: Path, secret: Secret, signed: Path) -> None: ...
    async def vote_plan_id(self, certificate: Path) -> str: ...
    async def genesis_encode(self, genesis: Path, block0: Path) -> None: ...
    async def genesis_hash(self, block0: Path) -> str: ...
    async def public_tally_certificate(self, plan_id: str) -> str: ...

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
        """A fee-free transaction that carries *certificate*; *authority* signs the certificate of a tally."""
        ...
