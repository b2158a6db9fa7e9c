"""The holder's side of a leash: how :mod:`~node_fsm.programs.leash` is started, and told to begin."""

import asyncio
import socket
import sys
from collections.abc import Iterable

from node_fsm.programs import leash

_ANNOUNCEMENT_BYTES = 32


def on_leash(end: socket.socket, grace: float, command: Iterable[str]) -> tuple[str, ...]:
    """The command line that runs *command* on a leash.

    *end* is the leash's end of a pair of stream sockets, which the process must inherit; *grace* is how many seconds
    the command has to end by itself once the other end closes.
    """
    return (sys.executable, "-I", "-S", leash.__file__, str(end.fileno()), str(grace), *command)


async def begin(holder: socket.socket) -> int | None:
    """Have the leash start its command, and return that one's process id; None when it could not be started.

    *holder* is the other end of the pair, and does not block.
    """
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(holder, leash.GO)
        announcement = await loop.sock_recv(holder, _ANNOUNCEMENT_BYTES)
    except OSError:  # the leash ended before it read anything
        return None
    return int(announcement) if announcement else None
