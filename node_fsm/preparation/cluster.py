"""This node among the others: its row, the right to publish, and whether others are reached."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from node_fsm import __version__
from node_fsm.core.cluster_status import ClusterNode, ClusterStatus, NodeKind, Standing
from node_fsm.core.errors import PermanentError
from node_fsm.core.multiaddr import Multiaddr
from node_fsm.core.phases import NODE_MUST_RUN, Role
from node_fsm.database.cluster_status import cluster_status
from node_fsm.database.session import Session
from node_fsm.preparation.database import DatabaseChecks
from node_fsm.preparation.finding import Doubt, NotTriedError
from node_fsm.settings.model import Settings

PEER_SECONDS = 5.0
_AT_ONCE = 16


class ClusterChecks:
    """Checks of this node among the others, by what those told the database."""

    def __init__(self, session: Session, settings: Settings, database: DatabaseChecks) -> None:
        self._session = session
        self._settings = settings
        self._database = database
        self._status: ClusterStatus | None = None

    async def role(self) -> str | Doubt:
        """Whether this host is alone in its role, and may begin."""
        self._database.with_schema()
        status = self._status = await cluster_status(self._session)
        settings = self._settings
        row = next((node for node in status.nodes if node.hostname == settings.hostname and node.is_listed), None)
        if row is None:
            raise PermanentError(
                "NodeUnknown",
                f"jorm_nodes has no row for {settings.hostname}; add it with `node-fsm node add {settings.hostname}`"
                " (--leader-id PUBLIC_KEY for a leader), or set NODE_FSM_HOSTNAME",
            )
        if settings.role is not Role.LEADER0:
            if status.leader0 is None:
                return Doubt("no leader 0 has told of itself yet: elections begin once one runs")
            return f"a node beside leader 0, {status.leader0.hostname}"
        if status.lease and status.lease.problem:
            raise PermanentError("OtherLeader0Unconfirmed", status.lease.problem)
        others = [
            node.hostname
            for node in status.nodes
            if node.kind is NodeKind.LEADER0 and node.standing is Standing.HEARD
            if node.hostname != settings.hostname
        ]
        if others:
            raise PermanentError(
                "LeaseHeldElsewhere",
                f"{', '.join(others)} runs as leader 0, too; set NODE_FSM_ROLE=node on all but one host",
            )
        return f"{settings.hostname} is leader 0"

    async def versions(self) -> str | Doubt:
        """Whether all services that are heard of are of this version."""
        if self._status is None:
            raise NotTriedError("node_status was not read")
        heard = [node for node in self._status.nodes if node.standing is Standing.HEARD]
        others = [f"{node.hostname} has {node.version}" for node in heard if node.version != __version__]
        if others:
            return Doubt(
                f"{', '.join(others)}, and this is {__version__}: upgrade all of them before an election begins"
            )
        return f"{__version__}" + (f", as {_names(heard)}" if heard else "")

    async def address(self) -> str | Doubt:
        """Whether the address that others are told has a name that can be resolved."""
        address = self._settings.node_p2p_advertise
        host = Multiaddr.parse(address)
        if host.ip:
            if host.ip.is_loopback:
                return Doubt(f"others are told {address}, which only this machine reaches; fine for a cluster of one")
            return f"others are told {address}"
        try:
            await asyncio.get_running_loop().getaddrinfo(host.host, host.port)
        except OSError:
            return Doubt(
                f"others are told {address}, and {host.host} is no name here; see that it is one for them, or correct"
                " NODE_FSM_NODE_P2P_ADVERTISE"
            )
        return f"others are told {address}"

    async def peers(self) -> str | Doubt:
        """Whether the machines of the other nodes are reached; where no chain runs, no node listens."""
        if self._status is None:
            raise NotTriedError("jorm_nodes was not read")
        others = [node for node in self._status.nodes if node.is_listed and node.hostname != self._settings.hostname]
        if not others:
            return "there are no other nodes"
        limit = asyncio.Semaphore(_AT_ONCE)
        problems = await asyncio.gather(*(_peer_problem(node, limit) for node in others))
        failed = [problem for problem in problems if problem and not isinstance(problem, Doubt)]
        doubts = [problem.said for problem in problems if isinstance(problem, Doubt)]
        if failed:
            raise PermanentError("PeerUnreachable", "; ".join([*map(str, failed), *doubts]))
        return Doubt("; ".join(doubts)) if doubts else f"{_names(others)}: reached"


async def _peer_problem(node: ClusterNode, limit: asyncio.Semaphore) -> str | Doubt | None:
    """Why the node's machine is not reached at the address that it told; None when it is."""
    if not node.p2p_address:
        return Doubt(f"{node.hostname} has not told its address: start its service")
    try:
        address = Multiaddr.parse(node.p2p_address)
    except ValueError:
        return f"jorm_nodes.p2p_address of {node.hostname} is no multiaddr ({node.p2p_address!r}); restart its service"
    where = f"{node.hostname} at {node.p2p_address}"
    try:
        async with limit, asyncio.timeout(PEER_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
    except ConnectionRefusedError:
        if node.standing is Standing.HEARD and node.phase in NODE_MUST_RUN:
            return f"{where} refuses connections, although its node should run; see its conditions"
    except TimeoutError:
        return (
            f"{where} does not answer; open the port in the network's rules, or correct its NODE_FSM_NODE_P2P_ADVERTISE"
        )
    except OSError as error:
        why = error.strerror or error
        return f"{where} is not reached ({why}); correct its NODE_FSM_NODE_P2P_ADVERTISE, or the network"
    return None


def _names(nodes: Iterable[ClusterNode]) -> str:
    return ", ".join(node.hostname for node in nodes)
