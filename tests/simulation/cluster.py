"""A simulated cluster living through a scenario, with or without disturbances, and what is checked all along."""

import asyncio
import json
import os
import random
import shutil
import tempfile
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from node_fsm.chain.fragment_log import FragmentLog
from node_fsm.core.committee import SavedSnapshot
from node_fsm.core.model import ArchiveKind, NodeRow, PlanResult, Publication
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.phases import NODE_MUST_RUN, Phase, Role
from tests.phases.small_election import MEMBERS, account
from tests.simulation.clock import TrueClock
from tests.simulation.database import SimulatedDatabase
from tests.simulation.disturbance import Disturbance, Kind
from tests.simulation.faults import Faults
from tests.simulation.host import Host
from tests.simulation.loop import SimulationLoop, threads_at_once
from tests.simulation.network import Network
from tests.simulation.node import Nodes
from tests.simulation.promises import Accepted, BrokenPromiseError, Promises
from tests.simulation.scenario import SLOT_SECONDS, SLOTS_PER_EPOCH, Edit, Planned, Say, Scenario
from tests.support.fake_jcli import new_secret, public_key
from tests.support.memory_store import MemoryStore
from tests.support.private_jcli import share_of
from tests.support.private_votes import vote
from tests.support.template import TEMPLATE

TICK_SECONDS = SLOT_SECONDS / 2
AGAIN_SECONDS = 5.0
"""After so long a voter who was not heard tries again."""

LONGEST_SECONDS = 4 * 3600.0
"""After the last disturbance everything must have ended by then."""

_MEMORY = Path("/dev/shm")


class Cluster:
    """One run; see :func:`simulate`."""

    def __init__(self, scenario: Scenario, disturbances: tuple[Disturbance, ...], seed: int, directory: Path) -> None:
        self.scenario = scenario
        self.disturbances = disturbances
        self.faults = Faults(Random(f"faults {seed}"))
        self.clock = TrueClock()
        self.network = Network()
        self.nodes = Nodes(self.network, self.clock)
        self.store = MemoryStore()
        keys = {name: new_secret(name) for name in ("leader0", *scenario.standby, *scenario.leaders)}
        rows = [
            NodeRow(name, public_key(keys[name]) if name in keys else None, f"/dns4/{name}") for name in scenario.hosts
        ]
        self.database = SimulatedDatabase(
            self.clock, rows={one.id: one.row() for one in scenario.elections if not one.written}, nodes=rows
        )
        self.database.delay = self._notification_delay
        template = directory / "template.json"
        configuration = TEMPLATE["blockchain_configuration"] | {
            "slot_duration": SLOT_SECONDS,
            "slots_per_epoch": SLOTS_PER_EPOCH,
        }
        template.write_text(json.dumps({"blockchain_configuration": configuration}))
        self.hosts = {
            name: Host(
                name,
                Role.LEADER0 if name in {"leader0", *scenario.standby} else Role.NODE,
                keys.get(name),
                directory=directory / name,
                template=template,
                network=self.network,
                nodes=self.nodes,
                database=self.database,
                store=self.store,
                faults=self.faults,
                hot_reload=scenario.hot_reload,
            )
            for name in scenario.hosts
        }
        self.accepted: dict[int, set[Accepted]] = {planned.id: set() for planned in scenario.elections}
        """By election."""
        self._down_until: dict[str, float] = {}
        self.promises = Promises(self.database, self.store, self.nodes)
        self._shared: set[tuple[str, str, int]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._last = 0.0
        """When the last disturbance is over."""

    async def begin(self) -> None:
        """Have everything happen that is planned, as time passes."""
        self.happen(self.elections, self.disturbances)

    def happen(self, elections: Sequence[Planned], disturbances: Iterable[Disturbance]) -> None:
        """Have everything happen that is planned for *elections*, and *disturbances*, so many seconds from now."""
        planned: list[Coroutine[Any, Any, None]] = [
            *(self._write(election) for election in elections if election.written),
            *(self._edit(election, edit) for election in elections for edit in election.edits),
            *(self._vote(election, say) for election in elections for say in election.says),
            self._post_shares(),
        ]
        self._tasks = list(map(asyncio.create_task, planned))
        for one in disturbances:
            self.disturb(one)

    def disturb(self, one: Disturbance) -> None:
        """Have this happen, too, so many seconds from now as it says."""
        self._last = max(self._last, self.clock.monotonic() + one.at + one.seconds)
        self._tasks.append(asyncio.create_task(self._disturb(one)))

    async def tick(self) -> None:
        """Let a moment pass. Raises BrokenPromiseError."""
        self._keep_up()
        self.nodes.tick()
        self._check()
        await asyncio.sleep(TICK_SECONDS)

    async def finish(self) -> None:
        """Until all elections are over and nothing is left of them. Raises BrokenPromiseError."""
        until = max(self._last, self.elections[-1].tallying_end) + LONGEST_SECONDS
        while not (self.clock.monotonic() >= self._last and self._is_over()):
            if self.clock.monotonic() > until:
                raise BrokenPromiseError(f"it does not end: {self._state()}")
            await self.tick()
        for task in self._tasks:
            if task.done():
                task.result()
        for planned in self.elections:
            self.promises.check_end(planned, self.accepted[planned.id])

    def bury(self) -> None:
        """Let go of everything."""
        for task in self._tasks:
            task.cancel()
        for host in self.hosts.values():
            host.bury()

    @property
    def elections(self) -> tuple[Planned, ...]:
        return self.scenario.elections

    def _block0(self, planned: Planned) -> tuple[Publication, bytes] | None:
        row = self.database.rows.get(planned.id)
        return row.block0 if row else None

    def results(self, planned: Planned) -> tuple[PlanResult, ...]:
        """What stands posted for an election."""
        block0 = self._block0(planned)
        return self.database.posted.get(block0[0].hash, ()) if block0 else ()

    def end(self) -> dict[str, tuple[Any, ...]]:
        """What an observer may see once all is over; the same for all runs of a scenario, whatever happened."""
        found: dict[str, tuple[Any, ...]] = {}
        for planned in self.elections:
            block0 = self._block0(planned)
            hash_ = block0[0].hash if block0 else None
            kinds = [one.kind for one in self.database.archives if one.block0_hash == hash_]
            found[planned.name] = (
                hash_,
                tuple((result.votes, result.on_chain) for result in self.results(planned)),
                tuple(sorted(kind for kind in kinds if kind is ArchiveKind.FINAL)),
                hash_ in self.database.disputes,
            )
        return found

    # What happens

    async def _disturb(self, one: Disturbance) -> None:
        await asyncio.sleep(one.at)
        host = self.hosts[one.host]
        match one.kind:
            case Kind.SERVICE_KILLED:
                host.kill()
                self._down_until[one.host] = self._later(one.seconds)
            case Kind.DISK_LOST:
                if self._is_elsewhere(host):
                    host.lose_disk()
                    self._down_until[one.host] = self._later(one.seconds)
            case Kind.SERVICE_STOPPED:
                # A standby that takes over has neither the chain nor the key: that is for a person to mend.
                if not self.scenario.standby and (stopping := host.stop()):
                    self._down_until[one.host] = self._later(one.seconds)
                    await asyncio.wait({stopping})
            case Kind.SERVICE_FROZEN:
                if (process := host.process) and not process.is_dead and not process.is_frozen:
                    process.freeze()
                    await asyncio.sleep(one.seconds)
                    process.thaw()
            case Kind.NODE_KILLED:
                host.node.crash(int(one.strength * 3))
            case Kind.NODE_STALLED:
                host.node.stalled = True
                await asyncio.sleep(one.seconds)
                host.node.stalled = False
            case Kind.NODE_BROKEN:
                host.node.broken = True
                host.node.crash(0)
                await asyncio.sleep(one.seconds)
                host.node.broken = False
            case Kind.POWER_LOST:
                for name, other in self.hosts.items():
                    other.kill()
                    self._down_until[name] = self._later(one.seconds * one.strength)
            case Kind.CUT:
                self.network.cut(one.host, one.other)
                await asyncio.sleep(one.seconds)
                self.network.mend(one.host, one.other)
            case Kind.CLOCK_SET:
                host.clock.error = timedelta(seconds=(2 * one.strength - 1) ** 5 * 7200)
                await asyncio.sleep(one.seconds)
                host.clock.error = timedelta(0)
            case Kind.DATABASE_RESTORED:
                copy = self.database.copy()
                await asyncio.sleep(one.seconds)
                if self._is_known_elsewhere(copy):
                    self.promises.forget()
                    self.database.restore(copy)
                    self._shared.clear()  # members see that their shares are missing
            case Kind.CALLS_FAIL | Kind.CALLS_KILL:
                deadly = 0.3 if one.kind is Kind.CALLS_KILL else 0.0
                self.faults.rate, self.faults.deadly = 0.02 + 0.1 * one.strength, deadly
                await asyncio.sleep(one.seconds)
                self.faults.rate = 0.0

    def _is_elsewhere(self, host: Host) -> bool:
        """Whether another leader that runs has all that this host's node has: else votes are lost with its disk.

        So is what leader 0 published, if the database forgets it as well: that is for a person to bring back.
        """
        if host.role is Role.LEADER0 and any(one.kind is Kind.DATABASE_RESTORED for one in self.disturbances):
            return False
        if host.node.chain is None or not host.node.chain.tip.height:  # a killed node may have had blocks before
            return not self._logged(host) and not self._is_on_record(host)
        if not self._logged(host) <= {fragment.id for fragment in host.node.chain.fragments()}:
            return False
        return bool(host.node.required) and any(
            other.leader_id
            and other.chain
            and other.blocks[: len(host.node.blocks)] == host.node.blocks
            and self._copies_blocks(other.host)
            for other in self.nodes.reached_by(host.node)
        )

    def _copies_blocks(self, name: str) -> bool:
        """Whether the service of that host sees to it that what its node loses is posted again."""
        process = self.hosts[name].process
        return self.hosts[name].is_up and process is not None and not process.is_frozen

    def _is_on_record(self, host: Host) -> bool:
        """Whether the database knows this host to have blocks of the chain that its node runs."""
        copies = self.database.copies.get(host.node.required[-1].block0_hash, {}) if host.node.required else {}
        return host.name in copies and copies[host.name].height > 0

    def _is_known_elsewhere(self, copy: dict[str, Any]) -> bool:
        """Whether leader 0 has what was published of the chains that that *copy* of the database does not know.

        Else it is for a person to bring the publication back; and to say which chain is to be counted where one that
        was withdrawn since stands in a row again.
        """
        stand = {row.block0[0].hash for row in copy["rows"].values() if row.block0}
        if stand & self.database.withdrawn:
            return False
        forgotten: set[str] = self.database.published.keys() - copy["published"].keys() - self.database.withdrawn
        host = self.hosts["leader0"]
        here = host.workspace.chains()
        kept = {chain.block0_hash for chain in here if chain.has_blocks and chain.has_publication}
        worked_on = {chain.block0_hash for chain in here} if host.is_up and host.phase in NODE_MUST_RUN else set()
        return forgotten <= kept | worked_on

    @staticmethod
    def _logged(host: Host) -> set[str]:
        """What the node of *host* has accepted, by its logs."""
        here = [(one.election_id, one.block0_hash) for one in host.workspace.chains() if one.block0_hash]
        logs = [FragmentLog(host.workspace.chain(*chain).fragments) for chain in here]
        return {entry.fragment.id for log in logs for entry in log.read()}

    def _later(self, seconds: float) -> float:
        return self.clock.monotonic() + seconds

    def _keep_up(self) -> None:
        """Containers that have ended are started again, once they may be."""
        for name, host in self.hosts.items():
            if not host.is_up and self.clock.monotonic() >= self._down_until.get(name, 0.0):
                host.start()

    async def _write(self, planned: Planned) -> None:
        await asyncio.sleep(planned.written)
        self.database.rows[planned.id] = planned.row()
        self.database.notify()

    async def _edit(self, planned: Planned, edit: Edit) -> None:
        await asyncio.sleep(edit.at)
        planned.apply(edit, self.database.rows[planned.id])
        self.database.notify()

    async def _vote(self, planned: Planned, say: Say) -> None:
        """Post it to the node that was chosen, else to another, until one accepts it or voting has ended."""
        await asyncio.sleep(say.at)
        names = [say.host, *(name for name in self.hosts if name != say.host)]
        for attempt in range(int((planned.voting_end - say.at) / AGAIN_SECONDS)):
            host = names[attempt % len(names)]
            if block0 := self._published_at(planned, host):
                raw = _ballot(block0, say)
                posted = await self.hosts[host].node.post_fragment(raw)
                if posted.accepted or posted.reason == "FragmentAlreadyInLog":
                    self.accepted[planned.id].add(Accepted(block0.hash, say, raw))
                    return
            await asyncio.sleep(AGAIN_SECONDS)

    def _published_at(self, planned: Planned, host: str) -> Publication | None:
        """What an election was published as, if a wallet would vote on it at the node of *host* now."""
        node, block0 = self.hosts[host].node, self._block0(planned)
        if block0 is None or not node.state.running or node.state.block0_hash != block0[0].hash:
            return None
        dates, tip = block0[0].dates, node.state.tip_date
        return block0[0] if tip is not None and dates.vote_start <= tip < dates.vote_end else None

    def _notification_delay(self) -> float | None:
        if not self.faults.rate:
            return 0.0
        return None if self.faults.random.random() < 0.3 else self.faults.random.uniform(0, 5)

    async def _post_shares(self) -> None:
        """The members of committees post their shares when they can."""
        if not any(planned.private for planned in self.elections):
            return
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            for block0_hash in self.database.published:
                for snapshot in self.database.snapshots_of(block0_hash):
                    if snapshot.printed["payload"] == PayloadType.PRIVATE:
                        await self._post_share(block0_hash, snapshot)

    async def _post_share(self, block0_hash: str, snapshot: SavedSnapshot) -> None:
        for member, secret in enumerate(MEMBERS):
            mine = (block0_hash, snapshot.plan_id, member)
            if mine in self._shared:
                continue
            self._shared.add(mine)
            await self.database.post_shares(block0_hash, [share_of(snapshot, secret)])

    def _check(self) -> None:
        for host in self.hosts.values():
            for mishap in host.mishaps:
                raise BrokenPromiseError(mishap)
        self.promises.check()

    def _is_over(self) -> bool:
        """Whether every service waits with nothing on its disk, and no election is left to hold."""
        return (
            all(host.phase is Phase.WAITING for host in self.hosts.values())
            and all(map(self._is_closed, self.elections))
            and not any(host.workspace.chains() or host.workspace.set_aside_chains() for host in self.hosts.values())
        )

    def _is_closed(self, planned: Planned) -> bool:
        row = self.database.rows.get(planned.id)
        if row is None or row.block0 is None:
            return row is not None and (row.cancelled or self.promises.was_missed(planned))
        hash_ = row.block0[0].hash
        return any(one.block0_hash == hash_ and one.kind is ArchiveKind.FINAL for one in self.database.archives)

    def lost(self) -> int:
        """How many votes are on record as lost."""
        return sum(len(self.promises.on_record(hash_)) for hash_ in self.database.published)

    def _state(self) -> str:
        hosts = [
            f"{host.name} is {host.phase} with {[chain.block0_hash for chain in host.workspace.chains()]}"
            f" {[path.name for path in host.workspace.set_aside_chains()]}"
            f" {[str(held) for held in host.ctx.conditions] if host.ctx else ''}"
            for host in self.hosts.values()
        ]
        return "; ".join(hosts)


def _ballot(publication: Publication, say: Say) -> bytes:
    lane = 2 * say.plan + say.proposal  # so that they may come into blocks in any order
    return vote(
        *(publication.plans[say.plan], account(say.voter)),
        proposal=say.proposal,
        choice=say.choice,
        counter=lane << 29,
    )


@contextmanager
def living(
    scenario: Scenario, disturbances: tuple[Disturbance, ...], seed: int
) -> Iterator[tuple[Cluster, SimulationLoop]]:
    """A cluster that has begun to live through *scenario* and *disturbances*, and the loop on which it does."""
    home = Path(tempfile.mkdtemp(prefix="simulation-", dir=_fast_directory()))
    random.seed(seed)  # delays between attempts are spread by it
    loop = SimulationLoop()
    cluster = Cluster(scenario, disturbances, seed, home)
    try:
        with threads_at_once(cluster.faults.at_a_thread):
            loop.run_until_complete(cluster.begin())
            yield cluster, loop
    finally:
        cluster.bury()
        loop.close()
        shutil.rmtree(home, ignore_errors=True)


def simulate(scenario: Scenario, disturbances: tuple[Disturbance, ...], seed: int) -> Cluster:
    """Have a cluster live through *scenario* and *disturbances*; raises :class:`BrokenPromiseError`."""
    with living(scenario, disturbances, seed) as (cluster, loop):
        loop.run_until_complete(cluster.finish())
    return cluster


def _fast_directory() -> Path | None:
    """In memory where there is such a place, since a simulation writes thousands of small files."""
    return _MEMORY if os.access(_MEMORY, os.W_OK) else None
