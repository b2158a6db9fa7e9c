"""The node's REST interface: routes, and the errors that all of them share."""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

from node_fsm_sandbox.node.chain import Chain
from node_fsm_sandbox.node.context import Context, Services
from node_fsm_sandbox.node.http_server import Request, Response

_HEX = re.compile("(?:[0-9a-fA-F]{2})*")
_ID_SIZE = 32

Handler = Callable[["Call"], Response]


class HttpError(Exception):
    """A request that is answered with *response* instead of what was asked for."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class Call(NamedTuple):
    """A request, with the words of its path that its route leaves open."""

    context: Context
    request: Request
    words: tuple[str, ...]

    @property
    def chain(self) -> Chain:
        """The chain; HttpError while it is loaded."""
        if self.context.chain is None:
            raise internal_error("Blockchain tip not set in REST/RPC context")
        return self.context.chain

    @property
    def services(self) -> Services:
        """What runs; HttpError while the node catches up with its peers."""
        if self.context.services is None:
            raise internal_error("Full REST/RPC context not available yet")
        return self.context.services


class Route(NamedTuple):
    """*path* in words, ``*`` for any; *methods* are answered by *handler*."""

    methods: frozenset[str]
    path: tuple[str, ...]
    handler: Handler

    def matches(self, path: tuple[str, ...]) -> bool:
        """Whether this route is for *path*."""
        return len(path) == len(self.path) and all(
            own in {"*", word} for own, word in zip(self.path, path, strict=True)
        )


def get(path: str, handler: Handler) -> Route:
    """A route that answers GET."""
    return Route(frozenset({"GET"}), tuple(path.split("/")), handler)


def post(path: str, handler: Handler) -> Route:
    """A route that answers POST."""
    return Route(frozenset({"POST"}), tuple(path.split("/")), handler)


class Rest:
    """Answers requests below ``/api``."""

    def __init__(self, context: Context, routes: Mapping[str, list[Route]]) -> None:
        """*routes* are by version: the first word after ``/api``."""
        self._context = context
        self._routes = routes

    def answer(self, request: Request) -> Response:
        """The answer to a request."""
        if request.path[:1] != ("api",) or len(request.path) < 3:
            return Response(HTTPStatus.NOT_FOUND)
        path = request.path[2:]
        matching = [route for route in self._routes.get(request.path[1], []) if route.matches(path)]
        if not matching:
            return Response(HTTPStatus.NOT_FOUND)
        for route in matching:
            if request.method in route.methods:
                words = tuple(word for own, word in zip(route.path, path, strict=True) if own == "*")
                try:
                    return route.handler(Call(self._context, request, words))
                except HttpError as error:
                    return error.response
        return Response.text("HTTP method not allowed", HTTPStatus.METHOD_NOT_ALLOWED)


def internal_error(cause: str) -> HttpError:
    """The error that the node itself could not do it."""
    return HttpError(Response.text(f"Internal server error: {cause}\n", HTTPStatus.INTERNAL_SERVER_ERROR))


def bad_request(cause: str) -> HttpError:
    """The error that the request is wrong."""
    return HttpError(Response.text(cause, HTTPStatus.BAD_REQUEST))


def not_found() -> HttpError:
    """The error that there is no such thing."""
    return HttpError(Response(HTTPStatus.NOT_FOUND))


def hash_in(text: str) -> str:
    """*text* if it is the hex of a hash; HttpError."""
    if not _HEX.fullmatch(text):
        raise bad_request("invalid hex encoding for hash value")
    if len(text) != 2 * _ID_SIZE:
        raise bad_request(f"invalid hash size, expected {_ID_SIZE} but received {len(text) // 2} bytes.")
    return text.lower()


def public_key_in(text: str) -> bytes:
    """The public key of which *text* is the hex; HttpError."""
    if not _HEX.fullmatch(text):
        raise bad_request("hex encoding malformed")
    if len(text) != 2 * _ID_SIZE:
        raise bad_request("invalid public key data")
    return bytes.fromhex(text)
