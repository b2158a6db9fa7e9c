"""The HTTP server: uvicorn inside the service's own event loop, which keeps its signals and decides when it ends."""

import asyncio
import errno
import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from node_fsm.core.errors import PermanentError
from node_fsm.sidecar.connection import Connection

ANSWER_SECONDS = 10
"""From a connection's beginning, or its last answer, to the next one; who asks does so within milliseconds."""

ACCEPTED_AT_ONCE = 16
"""Connections that the loop accepts before it looks at them, each with a descriptor."""

QUEUED = 512
"""Connections that the kernel holds until they are accepted; they cost no descriptor."""

SEND_BUFFER = 128 * 1024
"""Bytes that the kernel holds of an answer that is not read; by itself it would take megabytes of each connection."""


class SidecarServer:
    """Serves *app* at *host* (an IP address) and *port* (0: any free one).

    The address is bound at once, so that a service that cannot be reached ends before it begins to work:
    PermanentError names the setting to change.
    """

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        self._socket = _bind(host, port)
        self._server = _Server(
            uvicorn.Config(
                app,
                http=Connection,
                timeout_keep_alive=ANSWER_SECONDS,
                backlog=ACCEPTED_AT_ONCE,
                log_config=None,
                access_log=False,
                lifespan="off",
                proxy_headers=False,  # a client's own word on where it comes from
                server_header=False,
                ws="none",
            )
        )
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._socket.getsockname()[1])

    async def serve(self) -> None:
        """Answer requests until :meth:`stop`, or cancellation."""
        self._idle.clear()
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._server.close()
            self._socket.close()
            self._idle.set()

    async def stop(self, deadline: float) -> None:
        """Accept no more, finish answers under way within *deadline* seconds, and return when :meth:`serve` ends."""
        self._server.config.timeout_graceful_shutdown = math.ceil(deadline)
        self._server.should_exit = True
        await self._idle.wait()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the service: serving goes on while it stops."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, with a longer queue than the event loop's, which accepts all of it at once."""
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(QUEUED)

    def close(self) -> None:
        """Stop listening; uvicorn does not when it is cancelled."""
        for server in self.servers if self.started else ():
            server.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, dualstack_ipv6=host == "::")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PermanentError(
                "PortBusy", f"another process listens on port {port} of {host}; stop it or set NODE_FSM_PORT"
            ) from error
        raise PermanentError(
            "ListenAddressUnusable",
            f"cannot listen on port {port} of {host} ({error.strerror}); set NODE_FSM_HOST to an address of this "
            "machine and NODE_FSM_PORT to a port that this user may open",
        ) from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # connections have it from here
    return listening
