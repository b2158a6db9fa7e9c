"""A cluster whose members each have a host of their own, and whose network a test cuts and heals."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from node_fsm_sandbox.election.cluster import Member
from node_fsm_sandbox.election.concurrency import together
from node_fsm_sandbox.election.draw import Ballot, DrawnElection
from node_fsm_sandbox.election.importing import write_election
from node_fsm_sandbox.election.outside import Outside
from node_fsm_sandbox.election.part import follower, leader, leader0, settings_of
from node_fsm_sandbox.election.polling_station import PollingStation, sign
from node_fsm_sandbox.election.service_process import ServiceProcess

from tests.contract.binaries import Binaries
from tests.netns.timeline import Timeline
from tests.support.hosts import Hosts
from tests.support.polling import HANGING
from tests.support.template import TEMPLATE
from tests.system.conftest import run_cli, sql

FOLLOWER = "follower"
_REST_PORT = 10080
_P2P_PORT = 10090
_SIDECAR_PORT = 8000
_AT_ONCE = 500


class SplitCluster:
    """Members by hostname, each on the host of that name. Temporary files, logs and storage go to *directory*."""

    def __init__(self, hosts: Hosts, binaries: Binaries, directory: Path, outside: Outside) -> None:
        self.hosts = hosts
        self.members: dict[str, Member] = {}
        self._directory = directory
        self._outside = outside
        self._settings = {
            "NODE_FSM_DATABASE_URL": outside.database_url,
            "NODE_FSM_S3_ENDPOINT_URL": outside.s3_url,
            "NODE_FSM_BLOCK0_TEMPLATE": str(directory / "template.yaml"),
            "NODE_FSM_JCLI_PATH": str(binaries.jcli),
            "NODE_FSM_JORM_PATH": str(binaries.jormungandr),
            "NODE_FSM_VOTING_START_OFFSET_MINUTES": "-0.1",
            "NODE_FSM_EXPOSE_STATE": "true",
            "NODE_FSM_LOG_LEVEL": "DEBUG",
        }

    async def begin(self, hostnames: Sequence[str], parameters: Mapping[str, object]) -> None:
        """Start these members: leaders, but for a follower; they wait on return.

        *parameters* are what block 0's template says otherwise than that of other tests.
        """
        template = {"blockchain_configuration": TEMPLATE["blockchain_configuration"] | dict(parameters)}
        (self._directory / "template.yaml").write_text(yaml.safe_dump(template))
        for hostname in hostnames:
            await self._add(hostname)
        await together(*(member.service.start() for member in self.members.values()))
        for member in self.members.values():
            await member.service.wait_for(HANGING, phase="Waiting")

    async def _add(self, hostname: str) -> None:
        roles = {"leader0": lambda _: leader0(), FOLLOWER: follower}
        part = roles.get(hostname, leader)(hostname)
        await self._outside.register([part])
        host = self.hosts.add(hostname)
        storage = self._directory / "storage" / hostname
        address = f"/ip4/{host.peer_ip}/tcp/{_P2P_PORT}"
        settings = self._settings | settings_of(part, self._outside.bucket, storage)
        settings |= {
            "NODE_FSM_HOST": host.control_ip,
            "NODE_FSM_PORT": str(_SIDECAR_PORT),
            "NODE_FSM_NODE_REST_LISTEN": f"{host.control_ip}:{_REST_PORT}",
            "NODE_FSM_NODE_P2P_LISTEN": f"{host.peer_ip}:{_P2P_PORT}",
            "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS": address,
            "NODE_FSM_NODE_P2P_ADVERTISE": address,
        }
        if hostname != FOLLOWER:
            settings["NODE_FSM_ARCHIVE_S3_URI"] = f"s3://{self._outside.bucket}/archive"
        log = self._directory / f"{hostname}.log"
        service = ServiceProcess(hostname, settings, log, self._directory, prefix=host.command())
        self.members[hostname] = Member(part, service)

    async def close(self) -> None:
        """Leave no process and no connection."""
        await together(*(member.close() for member in self.members.values()))

    def cli(self, *arguments: str) -> str:
        """What a command of the command line prints."""
        return run_cli(self._settings, self._directory, *arguments)

    def post_election(self, election: DrawnElection) -> None:
        """Import a drawn election with the command line."""
        file, voters = write_election(election, self._directory / "elections" / election.name)
        self.cli("election", "import", str(file), "--voters", str(voters))

    async def wait_for_voting(self, election: DrawnElection) -> None:
        """Wait until votes count on every member."""
        for member in self.members.values():
            await PollingStation(member.node, []).wait_for_tip(election.times.voting_start, HANGING)

    async def cast(self, hostname: str, ballots: Sequence[Ballot]) -> list[str | None]:
        """Post votes at that member's node: why its mempool refused each, None for those that it took."""
        node = self.members[hostname].node
        paper = await PollingStation(node, []).paper()
        votes = [sign(ballot, paper).raw for ballot in ballots]
        posted = [await node.post_fragments(votes[at : at + _AT_ONCE]) for at in range(0, len(votes), _AT_ONCE)]
        return [vote.reason for batch in posted for vote in batch]

    @asynccontextmanager
    async def watched(self, began: datetime) -> AsyncIterator[Timeline]:
        """A timeline of all members, in seconds from *began*, for as long as this lasts."""
        timeline = Timeline(began)
        watchers = [asyncio.create_task(timeline.watch(member)) for member in self.members.values()]
        try:
            yield timeline
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    async def wait_for_end(self, seconds: float) -> None:
        """Wait until every member waits for another election."""
        async with asyncio.timeout(seconds):
            for member in self.members.values():
                await member.service.wait_until_idle(seconds)

    def shown(self, election: DrawnElection) -> dict[str, Any]:
        """What the command line shows of an election."""
        return dict(json.loads(self.cli("election", "show", election.name, "--output", "json")))

    async def uncounted(self) -> list[dict[str, Any]]:
        """The votes on record as not counted: ``fragment_id``, ``weight``, ``why`` and the ``node`` that had it."""
        columns = "fragment_id, weight, why, node"
        rows = await sql(
            self._outside, f"SELECT json_agg(row_to_json(one)) FROM (SELECT {columns} FROM uncounted_vote) one"
        )
        return list(json.loads(str(rows or "[]")))

    def kept(self) -> dict[str, list[str]]:
        """What is left on each member's disk: chains of elections, and those set aside."""
        return {
            name: [
                *(f"elections/{path.parent.name}/{path.name[:8]}" for path in member.storage.glob("elections/*/*")),
                *(f"set-aside/{path.name}" for path in member.storage.glob("set-aside/*")),
            ]
            for name, member in self.members.items()
        }

    async def wait_until_nothing_is_kept(self, hostname: str, seconds: float) -> None:
        """Wait until what a member with an archive target set aside is archived and deleted."""
        async with asyncio.timeout(seconds):
            while self.kept()[hostname]:
                await asyncio.sleep(1)

    def log_lines(self, *words: str) -> dict[str, list[str]]:
        """Lines of the members' logs with one of *words*."""
        return {
            name: [
                line
                for line in member.service.log.read_text(errors="replace").splitlines()
                if any(word in line for word in words)
            ]
            for name, member in self.members.items()
        }
