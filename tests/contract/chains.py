"""Chains for contract tests: their block 0 by jcli, their transactions without it, so that any can be made at once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from node_fsm_sandbox.election import wallet
from node_fsm_sandbox.formats import certificates as certificates_write
from node_fsm_sandbox.formats import chain as chain_write
from node_fsm_sandbox.formats.crypto import blake2b_256

from node_fsm.chain.address import account_address, parse_account_address
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.chain.transactions import Input, Output
from node_fsm.core.chain_time import BlockDate, ChainClock
from node_fsm.programs.jcli import Jcli
from tests.support.chain_configuration import configuration

TOKEN = f"{'0' * 56}.{b'power'.hex()}"
FUND = 1000
POWER = 7
OUTPUTS = 254
"""At most so many outputs does jcli take in one entry of block 0."""

GENESIS = BlockDate(0, 0)
FAR = BlockDate(1000, 0)
FARTHER = BlockDate(2000, 0)
_LONG_EPOCHS = {"slots_per_epoch": 60}  # what expires with the next epoch has time on a busy machine


class Account(Protocol):
    """Whoever block 0 gives something to."""

    @property
    def address(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Wallet(wallet.Wallet):
    """A key with its account on a test chain."""

    @property
    def id(self) -> str:
        """The public key in hex."""
        return self.public_key.hex()

    @property
    def address(self) -> str:
        return account_address(self.public_key, production=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """A vote plan of a chain; its proposals have three options each."""

    vote_start: BlockDate = GENESIS
    vote_end: BlockDate = FAR
    committee_end: BlockDate = FARTHER
    proposals: int = 2
    member_keys: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The plan as jcli takes it."""
        dates = {"vote_start": self.vote_start, "vote_end": self.vote_end, "committee_end": self.committee_end}
        return {name: {"epoch": date.epoch, "slot_id": date.slot} for name, date in dates.items()} | {
            "payload_type": "private" if self.member_keys else "public",
            "proposals": [
                {"external_id": f"{number:064x}", "options": 3, "action": "off_chain"}
                for number in range(self.proposals)
            ],
            "committee_member_public_keys": list(self.member_keys),
            "voting_token": TOKEN,
        }


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain; *plan_ids* are in the order in which the plans were asked for."""

    block0: Path
    block0_hash: str
    clock: ChainClock
    leaders: tuple[Wallet, ...]
    plan_ids: tuple[str, ...]

    def expiry(self) -> BlockDate:
        """The expiry that is good now."""
        return self.clock.expiry(self.clock.date_at(datetime.now(UTC)))

    def date(self, slots_from_now: int = 0) -> BlockDate:
        """The slot of now, or a later one."""
        seconds = slots_from_now * self.clock.slot_duration
        return self.clock.date_at(datetime.now(UTC) + timedelta(seconds=seconds))


async def make_chain(
    jcli: Path,
    directory: Path,
    *,
    leaders: int = 1,
    voters: Sequence[Account] = (),
    powerless: Sequence[Wallet] = (),
    committee: Sequence[Wallet] = (),
    plans: Mapping[str, Plan] = {"plan": Plan()},
    age: float = 0.0,
    parameters: Mapping[str, Any] | None = None,
) -> Chain:
    """A chain that began *age* seconds ago; *voters* have power, the *powerless* only money."""
    adapter = Jcli(str(jcli))
    leader_wallets = tuple(Wallet() for _ in range(leaders))
    start = datetime.fromtimestamp(int(datetime.now(UTC).timestamp() - age), UTC)
    funded: list[Account] = [*leader_wallets, *voters, *powerless, *committee]
    initial: list[dict[str, Any]] = [{"fund": outputs} for outputs in _outputs(funded, FUND)]
    initial += [{"token": {"token_id": TOKEN, "to": outputs}} for outputs in _outputs(voters, POWER)]
    plan_ids = []
    for name, plan in plans.items():
        document, certificate, signed = (directory / f"{name}.{ending}" for ending in ("json", "cert", "signedcert"))
        document.write_text(json.dumps(plan.document()))
        await adapter.new_vote_plan(document, certificate)
        await adapter.sign_certificate(certificate, leader_wallets[0].secret, signed)
        initial.append({"cert": signed.read_text().strip()})
        plan_ids.append(await adapter.vote_plan_id(certificate))
    genesis, block0 = directory / "genesis.json", directory / "block0.bin"
    leader_ids = [leader.leader_id for leader in leader_wallets]
    configured = configuration(start, leader_ids, [member.id for member in committee]) | _LONG_EPOCHS
    configured |= dict(parameters or {})
    genesis.write_text(json.dumps({"blockchain_configuration": configured, "initial": initial}))
    await adapter.genesis_encode(genesis, block0)
    return Chain(
        block0=block0,
        block0_hash=await adapter.genesis_hash(block0),
        clock=ChainClock(start, configured["slot_duration"], configured["slots_per_epoch"]),
        leaders=leader_wallets,
        plan_ids=tuple(plan_ids),
    )


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction to be made; what a test does not say is what a node takes."""

    chain: Chain
    payer: Wallet
    certificate: bytes = b""
    kind: FragmentKind = FragmentKind.VOTE_CAST
    expiry: BlockDate | None = None
    counter: int = 0
    lane: int = 0
    value: int = 0
    outputs: tuple[tuple[Wallet, int], ...] = ()
    signer: Wallet | None = None
    block0_hash: str | None = None
    authority: Wallet | None = None

    def sign(self) -> Fragment:
        """The fragment."""
        inputs = [Input(self.payer.public_key, None, self.value)]
        outputs = [Output(_raw_address(wallet), value) for wallet, value in self.outputs]
        unsigned = chain_write.unsigned_transaction(
            self.certificate, self.expiry or self.chain.expiry(), inputs, outputs
        )
        spending_counter = chain_write.spending_counter(self.lane, self.counter)
        block0_hash = bytes.fromhex(self.block0_hash or self.chain.block0_hash)
        message = chain_write.account_witness_message(block0_hash, blake2b_256(unsigned), spending_counter)
        signature = (self.signer or self.payer).key.sign(message)
        signed = unsigned + chain_write.account_witness(spending_counter, signature)
        return Fragment.from_bytes(chain_write.fragment(self.kind, signed + self._authorised(signed)))

    def _authorised(self, signed: bytes) -> bytes:
        authority = self.authority or self.payer
        if self.kind is FragmentKind.VOTE_PLAN:
            return chain_write.plan_proof(authority.key, signed)
        if self.kind is FragmentKind.VOTE_TALLY:
            private = self.certificate[32] == 2
            return chain_write.tally_proof(authority.key, signed, private=private)
        return b""


def vote(chain: Chain, voter: Wallet, *, plan: int = 0, proposal: int = 0, choice: int = 1, **other: Any) -> Fragment:
    """A public vote."""
    plan_id = bytes.fromhex(other.pop("plan_id", None) or chain.plan_ids[plan])
    certificate = certificates_write.public_vote(plan_id, proposal, choice)
    return Transaction(chain, voter, certificate, **other).sign()


def tally(chain: Chain, payer: Wallet, *, plan: int = 0, **other: Any) -> Fragment:
    """The tally of a public plan; the payer authorises it unless *authority* does."""
    plan_id = bytes.fromhex(other.pop("plan_id", None) or chain.plan_ids[plan])
    certificate = certificates_write.public_tally(plan_id)
    return Transaction(chain, payer, certificate, kind=FragmentKind.VOTE_TALLY, **other).sign()


def _outputs(accounts: Sequence[Account], value: int) -> list[list[dict[str, Any]]]:
    """The same value for each account, in as many entries as it takes."""
    outputs = [{"address": account.address, "value": value} for account in accounts]
    return [outputs[start : start + OUTPUTS] for start in range(0, len(outputs), OUTPUTS)]


def _raw_address(wallet: Wallet) -> bytes:
    return b"\x85" + parse_account_address(wallet.address).public_key
