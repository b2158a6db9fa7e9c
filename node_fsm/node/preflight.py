"""What must be free before a node is started: its two ports and its storage. The node itself is silent about a port
that is taken, and a node that is still on its way out has both."""

import asyncio
import errno
import fcntl
import socket
from pathlib import Path

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.listen import Listen
from node_fsm.node.config import P2P_SETTING, REST_SETTING, NodeConfig

_LOCK_FILE = Path("volatile", "db")
_INTERVAL = 0.1


async def wait_until_free(config: NodeConfig, timeout: float) -> None:
    """Wait until both ports can be bound and no process holds the storage's lock.

    Raises TemporaryError naming the setting or the directory when that takes more than *timeout* seconds, and
    PermanentError when this machine does not have the address, or may not bind it.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        try:
            check_port(config.rest, REST_SETTING)
            check_port(config.p2p, P2P_SETTING)
            await in_thread(DISK, check_storage, config.storage)
        except TemporaryError:
            if asyncio.get_running_loop().time() > deadline:
                raise
        else:
            return
        await asyncio.sleep(_INTERVAL)


def check_port(listen: Listen, setting: str) -> None:
    """Bind the port, which comes from *setting*, and let it go again; raises as :func:`wait_until_free` does."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the node does it: connections that linger after a restart do not count, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.host, listen.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise TemporaryError(
                    "PortBusy",
                    f"another process listens on {listen}; stop it or set {setting} to a free port",
                ) from error
            raise PermanentError(
                "ListenAddressUnusable",
                f"cannot listen on {listen} ({error.strerror}); set {setting} to an address of this machine",
            ) from error


def check_storage(storage: Path) -> None:
    """Take the lock that a node holds on its storage and let it go again; TemporaryError while another has it."""
    try:
        with (storage / _LOCK_FILE).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError as error:
        raise TemporaryError(
            "StorageLocked", f"another node runs on {storage}; it must be stopped before this one can start"
        ) from error
