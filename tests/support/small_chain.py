"""A chain of a few nodes with slots of a second and one public vote plan, made with the adapter for jcli."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from node_fsm.core.chain_time import BlockDate, ChainClock
from node_fsm.core.secret import Secret
from node_fsm.ports import ChainRun
from node_fsm.programs.jcli import Jcli
from node_fsm.storage.workspace import ChainDirectory
from tests.support.chain_configuration import SLOTS_PER_EPOCH, configuration
from tests.support.wallet import Wallet, new_wallet

TOKEN = f"{'0' * 56}.{b'power'.hex()}"
POWER = 7


@dataclass(frozen=True, slots=True)
class SmallChain:
    """The chain's block 0 is at *block0*; the first leader signed the plan."""

    block0: Path
    block0_hash: str
    clock: ChainClock
    plan_id: str
    vote_end: BlockDate
    leaders: tuple[Wallet, ...]
    voters: tuple[Wallet, ...]

    def run(self, path: Path, leader: int | None = 0, peers: tuple[str, ...] = ()) -> ChainRun:
        """What the supervisor of a node needs that keeps its files at *path*."""
        path.mkdir()
        directory = ChainDirectory(path)
        directory.block0.write_bytes(self.block0.read_bytes())

        async def secret() -> Secret | None:
            return None if leader is None else self.leaders[leader].secret

        return ChainRun(
            directory, self.block0_hash, self.clock, peers, seed=leader == 0, secret=secret, held=directory.is_held
        )


async def make_chain(
    jcli: Path, directory: Path, *, leaders: int = 1, voters: int = 1, voting_slots: int = 10
) -> SmallChain:
    """A chain that begins now; votes are taken for its first *voting_slots* slots, tallies long after that."""
    adapter = Jcli(str(jcli))
    start = datetime.now(UTC).replace(microsecond=0)
    vote_end = BlockDate(*divmod(voting_slots, SLOTS_PER_EPOCH))
    leader_wallets = tuple([await new_wallet(jcli, "ed25519") for _ in range(leaders)])
    voter_wallets = tuple([await new_wallet(jcli) for _ in range(voters)])
    plan, certificate, signed = (directory / name for name in ("plan.json", "plan.cert", "plan.signedcert"))
    plan.write_text(json.dumps(_plan(vote_end)))
    await adapter.new_vote_plan(plan, certificate)
    await adapter.sign_certificate(certificate, leader_wallets[0].secret, signed)
    genesis, block0 = directory / "genesis.json", directory / "block0.bin"
    genesis.write_text(json.dumps(_genesis(start, leader_wallets, voter_wallets, signed.read_text().strip())))
    await adapter.genesis_encode(genesis, block0)
    return SmallChain(
        block0=block0,
        block0_hash=await adapter.genesis_hash(block0),
        clock=ChainClock(start, slot_duration=1, slots_per_epoch=SLOTS_PER_EPOCH),
        plan_id=await adapter.vote_plan_id(signed),
        vote_end=vote_end,
        leaders=leader_wallets,
        voters=voter_wallets,
    )


def _plan(vote_end: BlockDate) -> dict[str, Any]:
    return {
        "payload_type": "public",
        "vote_start": {"epoch": 0, "slot_id": 0},
        "vote_end": {"epoch": vote_end.epoch, "slot_id": vote_end.slot},
        "committee_end": {"epoch": 1000, "slot_id": 0},
        "proposals": [{"external_id": f"{number:064x}", "options": 3, "action": "off_chain"} for number in range(2)],
        "committee_member_public_keys": [],
        "voting_token": TOKEN,
    }


def _genesis(
    start: datetime, leaders: tuple[Wallet, ...], voters: tuple[Wallet, ...], signed_plan: str
) -> dict[str, Any]:
    return {
        "blockchain_configuration": configuration(start, [leader.public_key for leader in leaders]),
        "initial": [
            {"fund": [{"address": wallet.address, "value": 1000} for wallet in (*leaders, *voters)]},
            {"token": {"token_id": TOKEN, "to": [{"address": voter.address, "value": POWER} for voter in voters]}},
            {"cert": signed_plan},
        ],
    }
