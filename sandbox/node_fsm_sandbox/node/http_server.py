"""The HTTP/1.1 server under the node's REST interface: h11 on asyncio streams."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import h11

from node_fsm_sandbox.node.address import Address

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
BINARY = "application/octet-stream"

_MAX_HEAD = 2**16
_MAX_BODY = 2**28
_READ_SIZE = 2**16
_EXCHANGE_SECONDS = 60.0
"""How long a client may take for its next request, the time before it and that for reading the answer included."""

_logger = logging.getLogger("warp::filters::trace")


class Request(NamedTuple):
    """A request; *path* is split at its slashes, header names are in lower case."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Response(NamedTuple):
    """An answer; without *content_type* there is no such header."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str | None = None

    @classmethod
    def text(cls, text: str, status: HTTPStatus = HTTPStatus.OK) -> "Response":
        return cls(status, text.encode(), TEXT)

    @classmethod
    def json(cls, value: Any) -> "Response":
        return cls(HTTPStatus.OK, json.dumps(value, separators=(",", ":")).encode(), JSON)


class _RefusedError(Exception):
    """A request that is not read to its end; *status* says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class HttpServer:
    """Answers every request with what *answer* makes of it."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self._answer = answer
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listen: Address) -> None:
        """Begin to serve; OSError when the address cannot be had."""
        self._server = await asyncio.start_server(self._serve, listen.host, listen.port)

    async def stop(self) -> None:
        """Answer what has been asked, and no more."""
        if self._server:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        connection = _Connection(reader, writer)
        try:
            # A client that breaks off, is too slow, or is cut off at the end, has nobody to be told.
            with suppress(OSError, TimeoutError, asyncio.CancelledError):
                while await self._serve_one(connection):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve_one(self, connection: "_Connection") -> bool:
        """Serve the next request; whether another may follow."""
        async with asyncio.timeout(_EXCHANGE_SECONDS):
            try:
                request = await connection.request()
            except _RefusedError as error:
                await connection.respond(Response(error.status), last=True)
                return False
            if request is None:
                return False
            _logger.info("processing request")
            response = self._answer(request)
            _log(response.status)
            await connection.respond(response, to_head=request.method == "HEAD")
            return connection.goes_on()


class _Connection:
    """One client's requests, one after the other, and their answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)

    async def request(self) -> Request | None:
        """The next request; None at the end of the connection, _RefusedError for what is none or is too large."""
        head, body = None, bytearray()
        try:
            while not isinstance(event := await self._next_event(), h11.EndOfMessage):
                if isinstance(event, h11.ConnectionClosed):
                    return None
                if isinstance(event, h11.Request):
                    head = event
                elif isinstance(event, h11.Data):
                    body += event.data
                    if len(body) > _MAX_BODY:
                        raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except h11.RemoteProtocolError as error:
            raise _RefusedError(HTTPStatus(error.error_status_hint)) from None
        assert head is not None, "a request begins with its head"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        try:
            target = urlsplit(head.target.decode("latin-1"))
        except ValueError:
            raise _RefusedError(HTTPStatus.BAD_REQUEST) from None
        path = tuple(target.path.removeprefix("/").removesuffix("/").split("/"))
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        return Request(head.method.decode("latin-1"), path, query, headers, bytes(body))

    async def respond(self, response: Response, *, to_head: bool = False, last: bool = False) -> None:
        """Answer the request that was read, *to_head* without the body, or refuse one as the *last*."""
        headers = [("content-type", response.content_type)] if response.content_type else []
        headers.append(("content-length", str(len(response.body))))
        if last:
            headers.append(("connection", "close"))
        status = response.status
        self._send(h11.Response(status_code=status.value, headers=headers, reason=status.phrase.encode()))
        if not to_head:
            self._send(h11.Data(data=response.body))
        self._send(h11.EndOfMessage())
        await self._writer.drain()

    def goes_on(self) -> bool:
        """Whether another request may follow; if so, it is the next."""
        if self._http.our_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _next_event(self) -> h11.Event:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(_READ_SIZE))
        assert isinstance(event, h11.Event), "requests are read to their end before the next one"
        return event

    def _send(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")


def _log(status: HTTPStatus) -> None:
    fields = {"fields": {"status": status.value}}
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        _logger.warning("unable to serve request (client error)", extra=fields)
    else:
        _logger.info("finished processing with success", extra=fields)
