"""One request to a node's REST interface."""

import http.client
import os
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from node_fsm.sandbox.jcli.arguments import Option
from node_fsm.sandbox.jcli.errors import CommandError, os_reason

TIMEOUT_SECONDS = 30.0


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
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET" if body is None else "POST", target, body)
        response = connection.getresponse()
        answer = response.read()
    except TimeoutError:
        raise _failed("connection with the node timed out") from None
    except OSError as error:
        reason = os_reason(error) if error.errno else str(error)
        chain = ["error trying to connect", "tcp connect error", reason]
        causes = [": ".join(chain[start:]) for start in range(len(chain))]
        message = "communication with node failed in unexpected way"
        raise _failed(message, f"error sending request for url ({url}): {causes[0]}", *causes) from None
    except http.client.HTTPException as error:
        raise _failed("communication with node failed in unexpected way", repr(error)) from None
    finally:
        connection.close()
    _check(response.status, url)
    return answer


def _check(status: int, url: str) -> None:
    kinds = {4: ("node rejected request because of invalid parameters", "client"), 5: ("node internal error", "server")}
    if status // 100 in kinds:
        message, kind = kinds[status // 100]
        raise _failed(message, f"HTTP status {kind} error ({status} {HTTPStatus(status).phrase}) for url ({url})")


def _failed(*causes: str) -> CommandError:
    return CommandError("error when trying to perform an HTTP request", *causes)
