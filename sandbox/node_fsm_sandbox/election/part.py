"""What a node is in a cluster, and the settings of its service."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node_fsm.core.phases import Role
from node_fsm_sandbox.election.wallet import Wallet
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

RESCAN_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Part:
    """Its name, its settings' role, and a leader's key."""

    hostname: str
    role: Role
    wallet: Wallet | None

    @property
    def kind(self) -> str:
        """``leader0``, ``leader`` or ``follower``."""
        if self.role is Role.LEADER0:
            return "leader0"
        return "leader" if self.wallet else "follower"

    @property
    def key_name(self) -> str:
        """Where its key lies in the bucket."""
        return f"{self.hostname}.sk"


def leader0() -> Part:
    """Leader 0, with a new key."""
    return Part("leader0", Role.LEADER0, Wallet())


def leader(hostname: str) -> Part:
    """Another leader, with a new key."""
    return Part(hostname, Role.NODE, Wallet())


def follower(hostname: str) -> Part:
    """A node without a key."""
    return Part(hostname, Role.NODE, None)


def settings_of(part: Part, bucket: str, storage: Path) -> dict[str, str]:
    """The settings that are one service's own, free ports among them."""
    p2p, rest = free_port(), free_port()
    settings = {
        "NODE_FSM_ROLE": str(part.role),
        "NODE_FSM_HOSTNAME": part.hostname,
        "NODE_FSM_STORAGE_DIR": str(storage),
        "NODE_FSM_HOST": LOOPBACK,
        "NODE_FSM_PORT": str(free_port()),
        "NODE_FSM_NODE_REST_LISTEN": f"{LOOPBACK}:{rest}",
        "NODE_FSM_NODE_P2P_LISTEN": f"{LOOPBACK}:{p2p}",
        "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS": f"/ip4/{LOOPBACK}/tcp/{p2p}",
        "NODE_FSM_RESCAN_SECONDS": str(RESCAN_SECONDS),
    }
    if part.wallet:
        settings["NODE_FSM_SIGNING_KEY_S3_URI"] = f"s3://{bucket}/{part.key_name}"
    if part.role is Role.LEADER0:
        settings["NODE_FSM_ARCHIVE_S3_URI"] = f"s3://{bucket}/archive"
    return settings


def rest_url(settings: Mapping[str, str]) -> str:
    """Where the node of these settings answers, as NodeRest wants it."""
    return f"http://{settings['NODE_FSM_NODE_REST_LISTEN']}/api"
