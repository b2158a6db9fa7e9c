"""Nodes of one chain: blocks by slot, gossip, forks where the network is cut, and what a real node loses.

A node on a part of the network makes blocks in the slots of its leader alone, and turns to a longer chain as soon as it
hears of one. It goes on calling votes of its given-up blocks "in a block", forgets its mempool when it dies, and passes
a vote on once, to whom it reaches then.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

from node_fsm.chain.cast import cast_key
from node_fsm.chain.certificates import decode_vote_cast
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.core.chain_time import BlockDate
from node_fsm.core.errors import TemporaryError
from node_fsm.ports import ChainRun, Clock, ProcessPhase
from node_fsm.ports.answers import FragmentState, FragmentStatus, Posted
from tests.simulation.network import Network
from tests.support.chain_node import ChainNode
from tests.support.fakes import STOPPED
from tests.support.genesis_encoder import fragment_id
from tests.support.main_chain import MainChain, block_id

STALLED_SLOTS = 10
VOTED = "This account already voted for this proposal"


class Nodes:
    """All nodes of a cluster."""

    def __init__(self, network: Network, clock: Clock) -> None:
        self.network = network
        self.clock = clock
        self.all: list[SimulatedNode] = []
        self._slots: dict[str, int] = {}
        """By block 0: the last slot that has passed."""

    def tick(self) -> None:
        """Let what is due by now happen: nodes come up, make blocks and hear of those of others."""
        for node in self.all:
            node.come_up()
        for hash_ in {node.required[-1].block0_hash for node in self.running()}:
            self._make_blocks(hash_)
        for node in self.running():
            node.hear(self.reached_by(node))
        for node in self.all:
            node.tell()

    def running(self, block0_hash: str | None = None) -> "list[SimulatedNode]":
        """Those that run, on that chain if one is named."""
        return [
            node
            for node in self.all
            if node.state.running and (block0_hash is None or node.state.block0_hash == block0_hash)
        ]

    def reached_by(self, node: "SimulatedNode") -> "list[SimulatedNode]":
        """The running nodes of its chain on its part of the network, without itself."""
        others = self.running(node.required[-1].block0_hash)
        part = self.network.part_of(node.host, (other.host for other in others))
        return [other for other in others if other is not node and other.host in part]

    def _make_blocks(self, block0_hash: str) -> None:
        nodes = self.running(block0_hash)
        times = nodes[0].required[-1].clock
        now = int((self.clock.now() - times.start).total_seconds() // times.slot_duration)
        leaders = nodes[0].leaders
        for slot in range(self._slots.get(block0_hash, 0) + 1, now + 1):
            draw = int.from_bytes(blake2b(b"%s %d" % (block0_hash.encode(), slot), digest_size=4).digest(), "big")
            leader = leaders[draw % len(leaders)]
            for node in nodes:
                if node.leader_id == leader and not node.stalled and node.state.running:
                    node.make_block(BlockDate(*divmod(slot, times.slots_per_epoch)))
                    for other in self.reached_by(node):
                        other.hear([node])
        self._slots[block0_hash] = max(now, self._slots.get(block0_hash, 0))


class SimulatedNode(ChainNode):
    """The node of one *host*, which signs blocks as *leader_id* if it is a leader's."""

    def __init__(
        self, host: str, leader_id: str | None, nodes: Nodes, clock: Clock, on_change: Callable[[], None]
    ) -> None:
        super().__init__(clock)
        self.host = host
        self.leader_id = leader_id
        self.leaders: Sequence[str] = ()
        self._nodes = nodes
        self._on_change = on_change
        self._last_block_at = 0.0
        nodes.all.append(self)

    def require(self, run: ChainRun) -> None:
        is_same = self.chain is not None and self.chain.ids[0] == run.block0_hash
        if not is_same or not (run.directory.storage / "volatile").exists():
            self.chain = MainChain(run.directory.block0.read_bytes())
            self.leaders = self.chain.counted().block0.leader_ids
            if self.state.block0_hash != run.block0_hash:
                self.tells(phase=ProcessPhase.STARTING)
        self.required[:] = [run]
        (run.directory.storage / "volatile").mkdir(parents=True, exist_ok=True)
        if not self.state.running:
            self.tells(phase=ProcessPhase.STARTING, block0_hash=run.block0_hash)
            self.come_up()

    def come_up(self) -> None:
        """Start, once the chain has begun and there is somebody to get it from, or it need not be."""
        if self.state.running or self.state.phase is ProcessPhase.STOPPED or self.broken or not self.required:
            return
        run = self.required[-1]
        others = [other for other in self._nodes.running(run.block0_hash) if other is not self]
        part = self._nodes.network.part_of(self.host, (other.host for other in others))
        if self.clock.now() < run.clock.start:
            return
        if run.seed or len(part) > 1:
            self.start()
        else:
            self.tells(phase=ProcessPhase.BOOTSTRAPPING)

    def start(self) -> None:
        super().start()
        self._last_block_at = self.clock.monotonic()
        self.hear(self._nodes.reached_by(self))
        self.tell()

    async def stop(self) -> None:
        self.stops += 1
        before, self.state = self.state, STOPPED
        self.tells(since=self.clock.now(), starts=before.starts, restarts=before.restarts)

    async def ready(self, timeout: float) -> None:
        until = self.clock.monotonic() + timeout
        while not self.state.running:
            if self.clock.monotonic() >= until:
                raise TemporaryError("NodeNotReady", f"the node is {self.state.phase} after {timeout:g} s")
            await asyncio.sleep(1.0)

    def grow(self) -> None:
        """It grows by :meth:`Nodes.tick` alone."""

    def make_block(self, date: BlockDate) -> None:
        if date > self._chain.tip.date:
            self._make_block(date)
            self._last_block_at = self.clock.monotonic()

    def hear(self, others: "Iterable[SimulatedNode]") -> None:
        """Turn to the longest chain of *others*, if it is longer than this one."""
        longest = max(others, key=lambda other: len(other.blocks), default=None)
        if longest is None or len(longest.blocks) <= len(self.blocks):
            return
        new = longest.blocks
        same = 0
        for mine, theirs in zip(self.blocks, new, strict=False):
            if mine is not theirs and mine != theirs:
                break
            same += 1
        chain = self._chain
        del chain.blocks[same:]
        for raw in new[same:]:
            chain.blocks.append(raw)
            chain.known[block_id(raw)] = raw
        self._last_block_at = self.clock.monotonic()
        for fragment in chain.fragments():
            self._statuses[fragment.id] = FragmentStatus(FragmentState.IN_A_BLOCK, date=chain.tip.date)
        self._pending = [raw for raw in self._pending if self._waits(raw)]

    def _waits(self, raw: bytes) -> bool:
        return self._statuses[fragment_id(raw)].state is FragmentState.PENDING

    @property
    def blocks(self) -> list[bytes]:
        return self._chain.blocks

    def tell(self) -> None:
        """Tell the service how this node is, if that is news."""
        if not self.state.running:
            return
        before, tip, times = self.state, self._chain.tip, self.required[-1].clock
        if tip.height:
            self.required[-1].directory.mark_held()
        idle = self.clock.monotonic() - self._last_block_at
        stalled_since = before.stalled_since or self.clock.now() if idle > STALLED_SLOTS * times.slot_duration else None
        self.tells(
            tip=tip.id,
            tip_date=tip.date,
            height=tip.height,
            last_block_time=times.time_at(tip.date),
            peers_connected=len(self._nodes.reached_by(self)),
            stalled_since=stalled_since,
        )
        if self.state != before:
            self._on_change()

    def _fault(self, raw: bytes, before: Sequence[bytes]) -> str | None:
        """Nor does the ledger take a second vote of an account on a proposal."""
        if fault := super()._fault(raw, before):
            return fault
        fragment = Fragment.from_bytes(raw)
        if fragment.kind is not FragmentKind.VOTE_CAST:
            return None
        others = (*self._chain.fragments(), *map(Fragment.from_bytes, before))
        votes = (decode_vote_cast(other) for other in others if other.kind is FragmentKind.VOTE_CAST)
        return VOTED if cast_key(decode_vote_cast(fragment)) in set(map(cast_key, votes)) else None

    async def post_fragment(self, raw: bytes) -> Posted:
        posted = await super().post_fragment(raw)
        if posted.accepted:
            for other in self._nodes.reached_by(self):
                other.receive(raw)
        return posted

    def receive(self, raw: bytes) -> None:
        """Another node passes a fragment on."""
        if fragment_id(raw) not in self._statuses:
            self._pending.append(raw)
            self._statuses[fragment_id(raw)] = FragmentStatus(FragmentState.PENDING)

    def crash(self, lost_blocks: int) -> None:
        """The node dies, without its last blocks, and comes up again by its supervisor."""
        if self.state.running:
            self._chain.lose(lost_blocks)
            self.tells(phase=ProcessPhase.FAILED)
            self._on_change()

    def restart(self, why: str) -> None:
        self.restarts.append(why)
        self.crash(0)

    def end(self) -> None:
        """It ends with its service."""
        self.state = STOPPED
        self.required.clear()
