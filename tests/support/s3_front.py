"""Before an S3 server: passes requests on, or answers them as lesser, stricter and busier servers do."""

import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from node_fsm_sandbox.servers.server import LOOPBACK

from tests.support.polling import HANGING

_PIECE_SECONDS = 0.2
_NOT_PASSED_ON = {"transfer-encoding", "connection", "date", "server", "content-length"}


class S3Front:
    """Listens on :attr:`port`; :meth:`mend` undoes all the others."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.refusal: tuple[int, str] | None = None
        self.bytes_per_second: int | None = None
        self.knows_conditions = True
        self.keeps_writes = True
        self.writes_lost = 0
        self._server = ThreadingHTTPServer((LOOPBACK, 0), type("Handler", (_Handler,), {"front": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, name="s3-front")

    @property
    def port(self) -> int:
        return self._server.server_port

    def refuse(self, status: int, code: str) -> None:
        """Answer every request with this error."""
        self.refusal = status, code

    def mend(self) -> None:
        """Pass everything on again."""
        self.refusal, self.bytes_per_second = None, None
        self.knows_conditions = self.keeps_writes = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(HANGING)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    front: S3Front
    protocol_version = "HTTP/1.1"
    timeout = HANGING

    def _serve(self) -> None:
        front = self.front
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if front.refusal:
            return self._refuse(*front.refusal)
        if self.headers.get("If-None-Match") and not front.knows_conditions:
            return self._refuse(501, "NotImplemented")
        if self.command == "PUT" and not front.keeps_writes:
            front.writes_lost += 1
            return self._answer(200, {"ETag": '"00000000000000000000000000000000"'}, b"")
        upstream = HTTPConnection(LOOPBACK, front.upstream_port, timeout=HANGING)
        try:
            upstream.request(self.command, self.path, body, dict(self.headers.items()))
            answer = upstream.getresponse()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _NOT_PASSED_ON}
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            return self._answer(answer.status, headers, answer.read(), length)
        finally:
            upstream.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 - the base class calls them so

    def _refuse(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>as a test has it</Message></Error>"
        self._answer(status, {"Content-Type": "application/xml"}, body.encode())

    def _answer(self, status: int, headers: dict[str, str], body: bytes, length: str | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        while body:
            pace = self.front.bytes_per_second
            piece = len(body) if pace is None else max(1, int(pace * _PIECE_SECONDS))
            self.wfile.write(body[:piece])
            body = body[piece:]
            if pace is not None:
                time.sleep(_PIECE_SECONDS)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """Serve the connection until either end breaks it off."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True
