"""Several services, each with its node, as one cluster on this machine."""

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from tests.contract.binaries import Binaries
from tests.support.bucket import Bucket
from tests.support.election import TEMPLATE
from tests.support.service_process import ServiceProcess, run_cli
from tests.support.wallet import Wallet


@dataclass
class Member:
    """One service of the cluster with its own directory, addresses and, for a leader, key."""

    hostname: str
    directory: Path
    service: ServiceProcess
    rest_url: str

    @property
    def storage(self) -> Path:
        return self.directory / "storage"

    def node_pids(self) -> list[int]:
        """The processes of its node, the leash included."""
        process = self.service.process
        if process is None or process.poll() is not None:
            return []
        return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]

    def kill_with_node(self) -> None:
        """SIGKILL for the service and for the node, at one moment: the machine lost its power."""
        pids = self.node_pids()
        assert self.service.process is not None
        self.service.process.send_signal(signal.SIGSTOP)  # so that it does not start another one in between
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.service.kill()


@dataclass
class Cluster:
    """The members by hostname, and what they share."""

    binaries: Binaries
    directory: Path
    database_url: str
    bucket: Bucket
    members: dict[str, Member] = field(default_factory=dict)
    public: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What every service and command has in common."""
        return {
            "NODE_FSM_DATABASE_URL": self.database_url,
            "NODE_FSM_S3_ENDPOINT_URL": self.bucket.endpoint_url,
            "NODE_FSM_BLOCK0_TEMPLATE": str(self.directory / "template.yaml"),
            "NODE_FSM_JCLI_PATH": str(self.binaries.jcli),
            "NODE_FSM_JORM_PATH": str(self.binaries.jormungandr),
        }

    def cli(self, *arguments: str) -> str:
        return run_cli(self.environment, *arguments)

    def add(self, hostname: str, key: Wallet | None, **settings: str) -> Member:
        """A member that is known to the database and not started yet; a leader has a *key*."""
        (self.directory / "template.yaml").write_text(yaml.safe_dump(TEMPLATE))
        directory = self.directory / hostname
        directory.mkdir()
        p2p, rest = free_port(), f"{LOOPBACK}:{free_port()}"
        environment = self.environment | {
            "NODE_FSM_ROLE": "leader0" if hostname == "leader0" else "node",
            "NODE_FSM_HOSTNAME": hostname,
            "NODE_FSM_VOTING_START_OFFSET_MINUTES": "-0.1",
            "NODE_FSM_RESCAN_SECONDS": "2",
            "NODE_FSM_STORAGE_DIR": str(directory / "storage"),
            "NODE_FSM_NODE_REST_LISTEN": rest,
            "NODE_FSM_NODE_P2P_LISTEN": f"{LOOPBACK}:{p2p}",
            # Peers are named by DNS; its own address must be an IP.
            "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS": f"/ip4/{LOOPBACK}/tcp/{p2p}",
            "NODE_FSM_NODE_P2P_ADVERTISE": f"/dns4/localhost/tcp/{p2p}",
        }
        arguments = ["node", "add", hostname]
        if key:
            self.bucket.client.put_object(
                Bucket=self.bucket.name, Key=f"{hostname}.sk", Body=key.secret.reveal().encode()
            )
            environment["NODE_FSM_SIGNING_KEY_S3_URI"] = f"s3://{self.bucket.name}/{hostname}.sk"
            arguments += ["--leader-id", key.public_key]
        if hostname == "leader0":
            environment["NODE_FSM_ARCHIVE_S3_URI"] = f"s3://{self.bucket.name}/archive"
        self.cli(*arguments)
        service = ServiceProcess(environment | settings, directory / "service.log")
        self.members[hostname] = member = Member(hostname, directory, service, f"http://{rest}/api")
        return member

    def start(self) -> None:
        for member in self.members.values():
            member.service.start()

    def end(self) -> None:
        """Stop all services; their logs are shown when the test fails."""
        for member in self.members.values():
            print(f"==== {member.hostname} ====")
            member.service.end()
