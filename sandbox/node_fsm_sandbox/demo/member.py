"""One node of the cluster: its settings, its service's process, and what both say over HTTP."""

from dataclasses import dataclass
from pathlib import Path

import httpx

from node_fsm.core.phases import Role
from node_fsm.node.rest import NodeRest
from node_fsm.sidecar.answers import State
from node_fsm_sandbox.demo.schedule import OFFSET_MINUTES
from node_fsm_sandbox.demo.service_process import ServiceProcess
from node_fsm_sandbox.demo.wallet import Wallet
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

BUCKET = "demo"
RESCAN_SECONDS = 2

_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Part:
    """What a node is in the cluster: its name, its settings' role, and a leader's key."""

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


def new_parts() -> tuple[Part, Part, Part]:
    """Leader 0, another leader, and a follower, with new keys."""
    return (
        Part("leader0", Role.LEADER0, Wallet()),
        Part("leader1", Role.NODE, Wallet()),
        Part("follower", Role.NODE, None),
    )


def settings_of(part: Part, common: dict[str, str], storage: Path) -> dict[str, str]:
    """The settings of one service, free ports of its own among them; *common* are those of all."""
    p2p, rest = free_port(), free_port()
    settings = common | {
        "NODE_FSM_ROLE": part.role,
        "NODE_FSM_HOSTNAME": part.hostname,
        "NODE_FSM_STORAGE_DIR": str(storage),
        "NODE_FSM_HOST": LOOPBACK,
        "NODE_FSM_PORT": str(free_port()),
        "NODE_FSM_NODE_REST_LISTEN": f"{LOOPBACK}:{rest}",
        "NODE_FSM_NODE_P2P_LISTEN": f"{LOOPBACK}:{p2p}",
        "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS": f"/ip4/{LOOPBACK}/tcp/{p2p}",
        "NODE_FSM_VOTING_START_OFFSET_MINUTES": str(OFFSET_MINUTES),
        "NODE_FSM_RESCAN_SECONDS": str(RESCAN_SECONDS),
    }
    if part.wallet:
        settings["NODE_FSM_SIGNING_KEY_S3_URI"] = f"s3://{BUCKET}/{part.key_name}"
    if part.role is Role.LEADER0:
        settings["NODE_FSM_ARCHIVE_S3_URI"] = f"s3://{BUCKET}/archive"
    return settings


class Member:
    """A node of the cluster while the demo runs."""

    def __init__(self, part: Part, service: ServiceProcess, settings: dict[str, str]) -> None:
        self.part = part
        self.service = service
        self.node = NodeRest(f"http://{settings['NODE_FSM_NODE_REST_LISTEN']}/api")
        self._sidecar = httpx.AsyncClient(
            base_url=f"http://{LOOPBACK}:{settings['NODE_FSM_PORT']}", timeout=_ANSWER_SECONDS, trust_env=False
        )

    @property
    def hostname(self) -> str:
        """Its name in jorm_nodes."""
        return self.part.hostname

    @property
    def restarts(self) -> int:
        """How often the service was started again."""
        return max(0, self.service.starts - 1)

    async def state(self) -> State | None:
        """What the service says of itself; None while it does not answer."""
        try:
            response = await self._sidecar.get("/state")
            response.raise_for_status()
        except httpx.HTTPError:
            return None
        return State.model_validate_json(response.content)

    async def close(self) -> None:
        """Close the connections; the process is left alone."""
        await self._sidecar.aclose()
        await self.node.close()
