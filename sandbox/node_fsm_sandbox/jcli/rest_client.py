"""One request to a node's REST interface."""

import os
import socket
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from node_fsm_sandbox.jcli.arguments import Option
from node_fsm_sandbox.jcli.errors import CommandError, os_reason

TIMEOUT_SECONDS = 30.0

_HTTP_PORT = 80
_PIECE = 1 << 16
_UNEXPECTED = "communication with node failed in unexpected way"


def _host(text: str) -> str:
    """The value of ``--host``; ValueError when it is no URL."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("invalid domain character") from None
    if not parts.scheme or parts.scheme[0].isdigit():
        raise ValueError("relative URL without a base")
    if parts.scheme.startswith("http") and not parts.hostname:
        raise ValueError("empty host")
    return text


_DEFAULT_HOST = os.environ.get("JORMUNGANDR_RESTAPI_URL")

HOST = Option("host", "host", _host, short="h", default=_DEFAULT_HOST, required=_DEFAULT_HOST is None)
"""Where the node's API is, without a slash at the end: ``http://127.0.0.1:8443/api``."""


def request(base: str, *segments: str, query: str = "", body: bytes | None = None) -> bytes:
    """The answer of the node whose API is at *base* to a request for a path: a POST with a *body*, else a GET.

    CommandError when there is no answer or the node refuses.
    """
    parts = urlsplit(base)
    if parts.scheme != "http" or parts.hostname is None:
        raise _failed(f"Host address '{base}' isn't valid address base")
    path = "/".join([parts.path if parts.path != "/" else "", *(quote(segment, safe="") for segment in segments)])
    target = f"{path}?{query}" if query else path
    url = f"{parts.scheme}://{parts.netloc}{target}"
    lines = [f"{'GET' if body is None else 'POST'} {target} HTTP/1.0", f"Host: {parts.netloc}", "Connection: close"]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    message = "\r\n".join([*lines, "", ""]).encode() + (body or b"")
    try:
        answer = _exchange((parts.hostname, parts.port or _HTTP_PORT), message)
    except TimeoutError:
        raise _failed("connection with the node timed out") from None
    except OSError as error:
        reason = os_reason(error) if error.errno else str(error)
        chain = ["error trying to connect", "tcp connect error", reason]
        causes = [": ".join(chain[start:]) for start in range(len(chain))]
        raise _failed(_UNEXPECTED, f"error sending request for url ({url}): {causes[0]}", *causes) from None
    try:
        status, content = _parse(answer)
    except ValueError as error:
        raise _failed(_UNEXPECTED, f"error sending request for url ({url}): {error}", str(error)) from None
    _check(status, url)
    return content


def _exchange(address: tuple[str, int], message: bytes) -> bytes:
    """All that comes back for *message*: in HTTP/1.0, where one request is all that a connection is for.

    Importing http.client takes longer than all else that such a command does.
    """
    with socket.create_connection(address, TIMEOUT_SECONDS) as connection:
        connection.sendall(message)
        pieces = []
        while piece := connection.recv(_PIECE):
            pieces.append(piece)
    return b"".join(pieces)


def _parse(answer: bytes) -> tuple[int, bytes]:
    """The status and the content of an answer; ValueError when it is none, or broken off."""
    head, end, content = answer.partition(b"\r\n\r\n")
    status_line, *headers = head.split(b"\r\n")
    words = status_line.split()
    if not end or len(words) < 2 or not words[1].isdigit():
        raise ValueError("connection closed before message completed")
    for header in headers:
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length" and int(value) != len(content):
            raise ValueError("connection closed before message completed")
    return int(words[1]), content


def _check(status: int, url: str) -> None:
    kinds = {4: ("node rejected request because of invalid parameters", "client"), 5: ("node internal error", "server")}
    if status // 100 in kinds:
        message, kind = kinds[status // 100]
        raise _failed(message, f"HTTP status {kind} error ({status} {HTTPStatus(status).phrase}) for url ({url})")


def _failed(*causes: str) -> CommandError:
    return CommandError("error when trying to perform an HTTP request", *causes)
