"""A release archive as it is fetched from a server."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from node_fsm_sandbox.servers.server import LOOPBACK

PROGRAMS = {"release/jcli": b"#!jcli", "release/jormungandr": b"#!jormungandr"}


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """Serve the files of *directory*; the URL they are under."""
    with ThreadingHTTPServer((LOOPBACK, 0), partial(Quiet, directory=directory)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://{LOOPBACK}:{server.server_port}"
        server.shutdown()


def write_archive(path: Path, files: dict[str, bytes]) -> str:
    """Write a .tar.gz; its SHA-256 in hex."""
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return hashlib.sha256(path.read_bytes()).hexdigest()
