"""A node that makes a block in every slot, keeps the rules of tallies, and loses what a killed node loses."""

import io
import json
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from struct import pack
from typing import Any

from node_fsm.chain.block0 import summarise
from node_fsm.chain.certificates import VoteCast, decode_vote_cast, decode_vote_tally
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.chain.limits import LANES
from node_fsm.chain.recount import PlanCount
from node_fsm.chain.voting_power import VotingPower
from node_fsm.core.chain_time import BlockDate, ChainClock
from node_fsm.core.committee import Results
from node_fsm.core.errors import ServiceError, TemporaryError
from node_fsm.core.payload_type import PayloadType
from node_fsm.ports import ChainRun, Clock, NodeStatus, ProcessPhase
from node_fsm.ports.answers import Account, FragmentState, FragmentStatus, Posted, VotePlanStatus
from tests.support.fakes import STOPPED
from tests.support.genesis_encoder import fragment_id
from tests.support.main_chain import MainChain
from tests.support.private_votes import encrypted_sums

NODE_AWAY = TemporaryError("NodeUnavailable", "the node does not answer")
WRONG_COUNTER = "Spending credential invalid"
TALLIED = "this private tally is already decryptred"
OUTSIDE_WINDOW = "its time is over or has not come"


@dataclass
class ChainNode:
    """The node and its REST interface. It is up from the moment that a chain is required.

    *refusals* are given one by one to what is posted, *rejections* to what would come into a block; while *stalled*
    there are no blocks; while *broken* it does not start; *foreign_plans* are plans that others added, as the node
    shows them.
    """

    clock: Clock
    state: NodeStatus = STOPPED
    chain: MainChain | None = None
    required: list[ChainRun] = field(default_factory=list)
    posted: list[bytes] = field(default_factory=list)
    refusals: deque[str] = field(default_factory=deque)
    rejections: deque[str] = field(default_factory=deque)
    foreign_plans: list[dict[str, Any]] = field(default_factory=list)
    stalled: bool = False
    broken: bool = False
    failure: ServiceError | None = None
    is_overtaken: bool = False
    stops: int = 0
    restarts: list[str] = field(default_factory=list)
    swallowing: bool = False
    """Whether its blocks outlast their slots: it rejects them, and their votes are pending for ever."""

    _pending: list[bytes] = field(default_factory=list)
    _statuses: dict[str, FragmentStatus] = field(default_factory=dict)
    _slots: int = 0
    """How many slots have passed, with a block or without one."""

    @property
    def api(self) -> "ChainNode":
        return self

    def tells(self, **changes: Any) -> None:
        """It is otherwise from now on."""
        self.state = replace(self.state, **changes)

    def require(self, run: ChainRun) -> None:
        self.required.append(run)
        if self.chain is None or self.chain.ids[0] != run.block0_hash:
            self.chain, self._slots = MainChain(run.directory.block0.read_bytes()), 0
        (run.directory.storage / "volatile").mkdir(parents=True, exist_ok=True)
        if not self.state.running and not self.broken:
            self.start()

    async def check_ports(self) -> None:
        if self.failure:
            raise self.failure

    def overtaken(self, by_others: bool) -> None:
        self.is_overtaken = by_others

    def restart(self, why: str) -> None:
        self.restarts.append(why)
        self.kill()

    async def ready(self, timeout: float) -> None:
        if not self.state.running:
            raise TemporaryError("NodeNotReady", f"the node is not ready after {timeout:g} s")

    async def save_records(self, directory: Path) -> None:
        self._answer()
        (directory / "vote-plans.json").write_text(json.dumps(self.plans()))
        (directory / "node-stats.json").write_text("{}")

    async def version(self) -> str:
        return "node of the tests"

    async def stop(self) -> None:
        self.stops += 1
        self.tells(phase=ProcessPhase.STOPPED, block0_hash=None)

    def start(self) -> None:
        """The node comes up; what was only in its memory is gone."""
        self._pending, self._statuses = [], {}
        self.tells(
            phase=ProcessPhase.RUNNING,
            starts=self.state.starts + 1,
            block0_hash=self.required[-1].block0_hash,
            problem=None,
        )
        self.grow()

    def kill(self, lost_blocks: int = 0, *, up: bool = True) -> None:
        """The node dies and, if *up*, starts again at once without its last blocks."""
        self.grow()
        self._chain.lose(lost_blocks)
        self.tells(phase=ProcessPhase.FAILED)
        if up:
            self.start()

    def turn(self, blocks: int, *, keeps_log: bool = False) -> None:
        """The chain turns to another, which parted *blocks* ago; the node forgets what happened since.

        A real node *keeps* some of it in its log, and takes none of that again.
        """
        self.grow()
        self._chain.lose(blocks)
        if not keeps_log:
            self._statuses = {}

    def grow(self) -> None:
        """Make the blocks of all slots up to now."""
        if self.chain is None or not self.state.running:
            return
        slots = int((self.clock.now() - self._times.start).total_seconds() // self._times.slot_duration)
        for slot in range(self._slots + 1, slots + 1):
            if not self.stalled:
                self._make_block(BlockDate(*divmod(slot, self._times.slots_per_epoch)))
        self._slots = max(self._slots, slots)
        if self.chain.tip.height:
            self.required[-1].directory.mark_held()
        tip = self.chain.tip
        self.tells(tip=tip.id, tip_date=tip.date, height=tip.height, last_block_time=self._times.time_at(tip.date))

    def plans(self) -> list[dict[str, Any]]:
        """All plans as the node shows them."""
        counted = self._chain.counted()
        opened = {tally.plan_id: tally.results for tally in reversed(counted.tallies) if tally.results}
        return [*self.foreign_plans, *(self._shown(plan, opened.get(id_)) for id_, plan in counted.plans.items())]

    async def next_ids(self, block_id: str, count: int) -> list[str] | None:
        self._answer()
        return await self._chain.next_ids(block_id, count)

    async def block(self, block_id: str) -> bytes | None:
        self._answer()
        return await self._chain.block(block_id)

    async def account(self, public_key: str) -> Account | None:
        self._answer()
        funded: set[str] = set()
        summarise(io.BytesIO(self._chain.blocks[0]), on_fund=lambda output: funded.add(output.address[1:].hex()))
        return Account(0, {}, self._counters(public_key)) if public_key in funded else None

    async def vote_plans(self) -> dict[str, VotePlanStatus]:
        self._answer()
        return {plan["id"]: VotePlanStatus.parse(plan) for plan in self.plans()}

    async def post_fragment(self, raw: bytes) -> Posted:
        self._answer()
        self.posted.append(raw)
        id_ = fragment_id(raw)
        if self.refusals or id_ in self._statuses:
            return Posted(id_, self.refusals.popleft() if self.refusals else "FragmentAlreadyInLog")
        self._pending.append(raw)
        self._statuses[id_] = FragmentStatus(FragmentState.PENDING)
        self._log(raw)
        return Posted(id_, None)

    async def post_fragments(self, fragments: Sequence[bytes]) -> tuple[Posted, ...]:
        return tuple([await self.post_fragment(raw) for raw in fragments])

    async def fragment_statuses(self, fragment_ids: Collection[str]) -> dict[str, FragmentStatus]:
        self._answer()
        return {id_: self._statuses[id_] for id_ in fragment_ids if id_ in self._statuses}

    @property
    def _chain(self) -> MainChain:
        assert self.chain is not None, "no chain was ever required"
        return self.chain

    @property
    def _times(self) -> ChainClock:
        return self.required[-1].clock

    def _answer(self) -> None:
        """What every request begins with."""
        if self.failure:
            raise self.failure
        if not self.state.running:
            raise NODE_AWAY
        self.grow()

    def _make_block(self, date: BlockDate) -> None:
        taken: list[bytes] = []
        if self.swallowing and self._pending:
            self._pending = []
            return
        for raw in self._pending:
            reason = self.rejections.popleft() if self.rejections else self._fault(raw, taken)
            self._statuses[fragment_id(raw)] = (
                FragmentStatus(FragmentState.REJECTED, reason=reason)
                if reason
                else FragmentStatus(FragmentState.IN_A_BLOCK, date=date)
            )
            if not reason:
                taken.append(raw)
        self._pending = []
        self._chain.append(date, taken)

    def _fault(self, raw: bytes, before: Sequence[bytes]) -> str | None:
        """Why the ledger refuses a fragment in the next block, behind those *before* it."""
        fragment = Fragment.from_bytes(raw)
        if fragment.kind is FragmentKind.VOTE_CAST:
            plan = self._chain.counted().plans[decode_vote_cast(fragment).plan_id].plan
            return None if plan.vote_start <= self._chain.tip.date < plan.vote_end else OUTSIDE_WINDOW
        if fragment.kind is not FragmentKind.VOTE_TALLY:
            return None
        tally = decode_vote_tally(fragment)
        plan = self._chain.counted().plans[tally.plan_id].plan
        if not plan.vote_end <= self._chain.tip.date < plan.committee_end:
            return OUTSIDE_WINDOW
        if tally.results and any(found.plan_id == tally.plan_id for found in self._chain.counted().tallies):
            return TALLIED
        witness = tally.transaction.witnesses[0]
        expected = self._counters(tally.committee_id, before)[witness.lane or 0]
        return None if witness.counter == expected else WRONG_COUNTER

    def _counters(self, public_key: str, besides: Sequence[bytes] = ()) -> tuple[int, ...]:
        """By lane: what an account that only tallies must spend next, after what is in blocks and *besides*."""
        counters = [0] * LANES
        for fragment in (*self._chain.fragments(), *map(Fragment.from_bytes, besides)):
            if fragment.kind is FragmentKind.VOTE_TALLY:
                tally = decode_vote_tally(fragment)
                counters[tally.transaction.witnesses[0].lane or 0] += tally.committee_id == public_key
        return tuple(counters)

    def _shown(self, counted: PlanCount, opened: Results | None) -> dict[str, Any]:
        plan = counted.plan
        shown = {
            "id": plan.id,
            "payload": plan.payload_type,
            "vote_start": str(plan.vote_start),
            "vote_end": str(plan.vote_end),
            "committee_end": str(plan.committee_end),
            "committee_member_keys": list(plan.committee_member_public_keys),
            "voting_token": plan.voting_token,
        }
        tallies: list[dict[str, Any]]
        if plan.payload_type is PayloadType.PUBLIC:
            tallies = [{"Public": _result(proposal.weights or ())} for proposal in counted.proposals]
        elif opened:
            tallies = [{"Private": {"state": {"Decrypted": _result(votes)}}} for votes in opened]
        else:
            sums = encrypted_sums(plan, self._votes(), VotingPower.read(self._chain.block0))
            tallies = [{"Private": {"state": {"Encrypted": {"encrypted_tally": text}}}} for text in sums]
        return shown | {
            "proposals": [
                {
                    "index": index,
                    "proposal_id": proposal.external_id,
                    "options": {"start": 0, "end": plan.proposals[index].options},
                    "votes_cast": proposal.votes_cast,
                    "tally": tally,
                }
                for index, (proposal, tally) in enumerate(zip(counted.proposals, tallies, strict=True))
            ]
        }

    def _votes(self) -> Iterator[VoteCast]:
        for fragment in self._chain.fragments():
            if fragment.kind is FragmentKind.VOTE_CAST:
                yield decode_vote_cast(fragment)

    def _log(self, raw: bytes) -> None:
        """Append to the persistent log, which survives whatever happens to the node."""
        now = self.clock.now()
        directory = self.required[-1].directory.fragments
        directory.mkdir(exist_ok=True)
        with (directory / f"{now:%Y-%m-%d_%H}.log").open("ab") as log:
            log.write(pack(">Q", int(now.timestamp())) + raw)


def _result(votes: Sequence[int]) -> dict[str, Any]:
    return {"result": {"results": list(votes), "options": {"start": 0, "end": len(votes)}}}
