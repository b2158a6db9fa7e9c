"""A program that stands in for the node: it behaves as a file beside it says, and notes every start."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.support.executable import write_executable

BLOCK0_HASH = "b0" * 32

_SOURCE = """
import http.server, json, os, signal, sys, threading

HERE = os.path.dirname(sys.argv[0])
REST = next(line.split("127.0.0.1:")[1] for line in open(sys.argv[sys.argv.index("--config") + 1]) if "listen" in line)


def behaviour():
    return json.load(open(HERE + "/behaviour.json"))


def note(what):
    with open(HERE + "/notes", "a") as notes:
        print(json.dumps(what), file=notes)


class Rest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        now = behaviour()
        if now["bootstrapping"]:
            return self.answer(500, b"Internal server error: Full REST/RPC context not available yet")
        if self.path == "/api/v0/settings":
            settings = {"block0Hash": now["block0_hash"], "block0Time": "2026-01-01T00:00:00Z"}
            return self.answer(200, json.dumps(settings | {"slotDuration": 1, "slotsPerEpoch": 10}).encode())
        height = now["height"]
        stats = {"version": "jormungandr 0.13.0", "state": "Running", "lastBlockHeight": str(height)}
        stats |= {"lastBlockHash": f"{height:064x}", "lastBlockDate": f"0.{height}", "peerConnectedCnt": 2}
        self.answer(200, json.dumps(stats | {"lastBlockTime": "2026-01-01T00:00:01Z"}).encode())

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # in all threads: it is waited for below
first = behaviour()
note({"pid": os.getpid(), "arguments": sys.argv[1:], "stdin": sys.stdin.read(), "environment": dict(os.environ)})
os.write(1, first["stdout"].encode("latin-1"))
os.write(2, first["stderr"].encode("latin-1"))
if first["exits"] is not None:
    sys.exit(first["exits"])
if first["listens"]:
    http.server.ThreadingHTTPServer.handle_error = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(REST)), Rest)
    threading.Thread(target=server.serve_forever, daemon=True).start()
while signal.sigwait({signal.SIGTERM}):
    note({"terminated": os.getpid()})
    if not behaviour()["ignores_sigterm"]:
        os._exit(0)
"""


@dataclass(slots=True)
class Behaviour:
    """How the next start goes, and, where it may change meanwhile, the node that runs.

    *exits* is an exit code at once; *stdout* and *stderr* are printed first, one character a byte.
    """

    exits: int | None = None
    stdout: str = ""
    stderr: str = ""
    listens: bool = True
    bootstrapping: bool = False
    ignores_sigterm: bool = False
    block0_hash: str = BLOCK0_HASH
    height: int = 1


@dataclass(slots=True)
class FakeNode:
    """The program at *executable*; change *behaviour* through :meth:`behave`."""

    directory: Path
    behaviour: Behaviour = field(default_factory=Behaviour)

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        write_executable(self.executable, _SOURCE)
        self.behave()

    @property
    def executable(self) -> Path:
        return self.directory / "jormungandr"

    def behave(self, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self.behaviour, name, value)
        partial = self.directory / "behaviour.json.partial"
        partial.write_text(json.dumps(asdict(self.behaviour)))
        partial.replace(self.directory / "behaviour.json")

    @property
    def starts(self) -> list[dict[str, Any]]:
        """The starts so far: pid, arguments, stdin and environment of each."""
        return [note for note in self._notes() if "arguments" in note]

    @property
    def terminated(self) -> list[int]:
        """The pids that received SIGTERM, in order."""
        return [note["terminated"] for note in self._notes() if "terminated" in note]

    def _notes(self) -> list[dict[str, Any]]:
        notes = self.directory / "notes"
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
