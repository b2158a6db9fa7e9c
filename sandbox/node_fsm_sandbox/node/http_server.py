"""A small HTTP/1.1 server on asyncio streams: enough for the node's REST interface and its clients."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from node_fsm_sandbox.node.address import Address

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
BINARY = "application/octet-stream"

_MAX_BODY = 2**28
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


class _BadRequestError(Exception):
    """What came is no HTTP."""


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
        try:
            # A client that breaks off, or is cut off at the end, has nobody to be told.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._serve_one(reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve the next request; whether another may follow."""
        try:
            request = await _read_request(reader)
        except (_BadRequestError, ValueError):
            writer.write(_encode(Response(HTTPStatus.BAD_REQUEST), keep_alive=False))
            await writer.drain()
            return False
        if request is None:
            return False
        _logger.info("processing request")
        response = self._answer(request)
        _log(response.status)
        keep_alive = request.headers.get("connection", "").lower() != "close"
        writer.write(_encode(response, keep_alive=keep_alive, with_body=request.method != "HEAD"))
        await writer.drain()
        return keep_alive


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None at the end of the connection."""
    line = await reader.readline()
    if not line:
        return None
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _BadRequestError
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    size = int(headers.get("content-length", "0"))
    if not 0 <= size <= _MAX_BODY or "transfer-encoding" in headers:
        raise _BadRequestError
    body = await reader.readexactly(size)
    target = urlsplit(words[1])
    path = tuple(target.path.removeprefix("/").removesuffix("/").split("/"))
    return Request(words[0], path, dict(parse_qsl(target.query, keep_blank_values=True)), headers, body)


def _encode(response: Response, *, keep_alive: bool, with_body: bool = True) -> bytes:
    head = [f"HTTP/1.1 {response.status.value} {response.status.phrase}"]
    if response.content_type:
        head.append(f"content-type: {response.content_type}")
    head.append(f"content-length: {len(response.body)}")
    if not keep_alive:
        head.append("connection: close")
    return "\r\n".join([*head, "", ""]).encode() + (response.body if with_body else b"")


def _log(status: HTTPStatus) -> None:
    fields = {"fields": {"status": status.value}}
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        _logger.warning("unable to serve request (client error)", extra=fields)
    else:
        _logger.info("finished processing with success", extra=fields)
