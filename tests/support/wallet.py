"""Wallets and votes, made with jcli."""

from dataclasses import dataclass
from pathlib import Path

from node_fsm.core.chain_time import BlockDate
from node_fsm.core.model import Payer, SignedFragment
from node_fsm.core.secret import Secret
from node_fsm.programs.command import run_command
from node_fsm.programs.jcli import SETTING, Jcli
from tests.support.polling import HANGING


@dataclass(frozen=True, slots=True)
class Wallet:
    """A key with its account on a test chain: *public_key* and *address* in bech32, *id* the public key in hex."""

    secret: Secret
    public_key: str
    id: str
    address: str


async def new_wallet(jcli: Path, key_type: str = "ed25519extended") -> Wallet:
    """A wallet with a new key; BFT leaders need *key_type* ``ed25519``."""
    secret = Secret(await _printed(jcli, "key", "generate", f"--type={key_type}"))
    public_key = await Jcli(str(jcli)).public_key(secret)
    return Wallet(
        secret=secret,
        public_key=public_key,
        id=await Jcli(str(jcli)).key_bytes(public_key),
        address=await _printed(jcli, "address", "account", "--testing", "--prefix", "ta", public_key),
    )


async def public_vote(
    jcli: Path,
    wallet: Wallet,
    *,
    plan_id: str,
    proposal: int,
    choice: int,
    block0_hash: str,
    expiry: BlockDate,
    directory: Path,
    counter: int = 0,
    lane: int = 0,
) -> SignedFragment:
    """A vote on a proposal (its index) of a public plan, ready to be posted."""
    certificate = await _printed(
        *(jcli, "certificate", "new", "vote-cast", "public", "--vote-plan-id", plan_id),
        *("--proposal-index", str(proposal), "--choice", str(choice)),
    )
    payer = Payer(wallet.address, counter, lane, wallet.secret)
    return await Jcli(str(jcli)).transaction(
        certificate, payer, block0_hash=block0_hash, expiry=expiry, directory=directory
    )


async def _printed(jcli: Path, *arguments: str) -> str:
    completed = await run_command([str(jcli), *arguments], setting=SETTING, timeout=HANGING)
    return completed.stdout.decode().strip()
