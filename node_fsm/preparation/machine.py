"""What a service needs of this machine: its directory with room in it, and its ports."""

import fcntl
import os
from pathlib import Path
from tempfile import TemporaryFile

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.errors import PermanentError
from node_fsm.core.listen import Listen
from node_fsm.node.config import P2P_SETTING, REST_SETTING
from node_fsm.node.preflight import check_port
from node_fsm.preparation.finding import Doubt, NotTriedError
from node_fsm.settings.model import Settings
from node_fsm.steps.readiness import BYTES_PER_VOTER, LEAST_BYTES, check_space


class Machine:
    """Checks of this machine; *voters* are those of the largest election to come, 0 when that is not known."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.voters = 0

    async def storage(self) -> str:
        """Whether the service may write into its directory, or make it."""
        return await in_thread(DISK, _try_directory, self._settings.storage_dir)

    async def space(self) -> str:
        """Whether there is room for an election."""
        free = await check_space(existing(self._settings.storage_dir), self.voters)
        of = f"the largest election to come ({self.voters} voters)" if self.voters else "an election"
        needed = max(LEAST_BYTES, self.voters * BYTES_PER_VOTER)
        return f"{free / 1e9:.1f} GB free; {of} needs about {needed / 1e9:.1f} GB"

    async def ports(self) -> str:
        """Whether the ports can be listened on; those of a service that runs here are its own."""
        settings = self._settings
        if await in_thread(DISK, is_in_use, settings.storage_dir):
            raise NotTriedError("a service runs on NODE_FSM_STORAGE_DIR, and has them")
        own = Listen(settings.host, settings.port)
        check_port(settings.node_rest_listen, REST_SETTING)
        check_port(settings.node_p2p_listen, P2P_SETTING)
        check_port(own, "NODE_FSM_PORT")
        return f"{settings.node_rest_listen}, {settings.node_p2p_listen} and {own} are free"

    async def exposure(self) -> str | Doubt:
        """Whether others reach the node's REST interface, which obeys everyone."""
        listen = self._settings.node_rest_listen
        if listen.here.host in {"127.0.0.1", "::1"} and str(listen).startswith(("127.", "[::1]")):
            return f"the node's REST interface listens on {listen}, for this machine alone"
        return Doubt(
            f"the node's REST interface listens on {listen}: whoever reaches it can shut the node down. Set"
            f" {REST_SETTING} to 127.0.0.1:10080, or let a gateway alone reach it"
        )


def existing(path: Path) -> Path:
    """*path*, or the nearest directory above it that is there."""
    return next(each for each in (path, *path.parents) if each.exists())


def is_in_use(storage: Path) -> bool:
    """Whether a service holds the directory; nothing is made for that."""
    try:
        with (storage / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # none was ever there, or it is not ours to see
        return False
    return False


def _try_directory(path: Path) -> str:
    there = existing(path)
    try:
        if there == path:
            with TemporaryFile(dir=path) as file:
                file.write(b"0")
                file.flush()
        elif not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(0, "this user may not make it", str(there))
    except OSError as error:
        raise PermanentError(
            "DiskUnusable",
            f"NODE_FSM_STORAGE_DIR: {path} cannot be used: {error.strerror} ({error.filename or there}); give it a"
            " directory that this user may write into, with space left",
        ) from None
    if there != path:
        return f"{path} is not there yet, and the service can make it"
    return f"{path} can be written to" + (", and a service runs on it" if is_in_use(path) else "")
