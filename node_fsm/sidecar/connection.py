"""A connection of the sidecar: each one costs a descriptor that the service needs, so they are few and none may dawdle.

Uvicorn's own limits do not help here: it has no time limit for a request that is never finished, and beyond its limit
of connections it refuses those that come, which are the probes, rather than those that idle. It also logs a line, or a
traceback, of everything that is no HTTP; whoever reaches the port would fill the log.
"""

import asyncio
import logging
from typing import Any

import h11
from fastapi import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS = 64
"""So many at most. A newcomer beyond them takes the place of the one that has waited longest; of those that are being
answered only where there are no others."""

REQUEST_BYTES = 16 * 2**10
"""Of a request, cookies that other services of the same host have set among them."""

_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.ERROR)


def mark_as_stream(request: Request) -> None:
    """Have the answer to *request* go on for as long as what is sent of it is taken."""
    request.state.is_stream = True


class _WithoutBodies(h11.Connection):
    """Refuses requests with a body: nothing here takes one, and in pieces of a byte it would hold up the event loop."""

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request) and any(map(_announces_body, event.headers)):
            raise h11.RemoteProtocolError("requests have no body here")
        return event


def _announces_body(header: tuple[bytes, bytes]) -> bool:
    name, value = header
    return name == b"transfer-encoding" or (name == b"content-length" and value != b"0")


class Connection(H11Protocol):
    """Closed when it has had no finished answer for as long as an idle one may be kept (``timeout_keep_alive``).

    That counts from its beginning and from each answer, whatever it sends meanwhile. A stream of events does not end:
    it is closed when its reader has left anything in our buffer for as long.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger = _LOG
        self.conn = _WithoutBodies(h11.SERVER, REQUEST_BYTES)
        self._waits_since = self.loop.time()
        self._end = self.loop.call_later(self.timeout_keep_alive, self._expire)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the place of another where there is none."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            min((each for each in self.connections if isinstance(each, Connection)), key=_worth)._drop()

    def data_received(self, data: bytes) -> None:
        """Take what a client sends at once, which is not much."""
        if len(data) > REQUEST_BYTES:
            self._drop()
        else:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever brought it."""
        self._end.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """An answer is finished: the wait for the next one begins."""
        self._end.cancel()
        self._waits_since = self.loop.time()
        self._end = self.loop.call_later(self.timeout_keep_alive, self._expire)
        super().on_response_complete()

    def shutdown(self) -> None:
        """Finish an answer under way; a stream, which has no end of its own, is cut off."""
        if self._is_streaming:
            self._drop()
        else:
            super().shutdown()

    @property
    def _is_answered(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete and not self._is_streaming

    @property
    def _is_streaming(self) -> bool:
        under_way = self.cycle is not None and not self.cycle.response_complete
        return under_way and self.scope["state"].get("is_stream", False)

    def _expire(self) -> None:
        if self._is_streaming and self.transport.get_write_buffer_size() == 0:
            self._end = self.loop.call_later(self.timeout_keep_alive, self._expire)
        else:
            self._drop()

    def _drop(self) -> None:
        self.connections.discard(self)  # at once, so that nobody is to make place for what is gone already
        self.transport.abort()


def _worth(connection: Connection) -> tuple[bool, float]:
    return connection._is_answered, connection._waits_since
