"""An S3 server for the tests and the demo: moto's, in memory, as a process of its own.

    python -m node_fsm_sandbox.servers.s3 --port 0

It prints its endpoint URL when it serves. It accepts any credentials and checks no signatures.
"""

import argparse
import asyncio
import importlib.util
import logging
import signal
import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING, ClassVar

import boto3
from botocore.config import Config

from node_fsm_sandbox.servers.server import LOOPBACK, EmbeddedServer, EmbeddedServerError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_DEFAULT_REGION": REGION,
}
"""The environment by which any AWS client can use the server, given its endpoint URL; there is nothing secret in it."""

_READY_SECONDS = 60.0


class EmbeddedS3(EmbeddedServer):
    """An S3 server on a loopback port. It keeps everything in memory: kill() and restart() lose the buckets."""

    name: ClassVar[str] = "S3"

    @property
    def endpoint_url(self) -> str:
        """Where clients find it; the same after kill() and start()."""
        return f"http://{LOOPBACK}:{self.port}"

    def client(self) -> "S3Client":
        """A boto3 client, safe to share between threads."""
        return client_of(self.endpoint_url)

    async def make_bucket(self, name: str) -> None:
        """Make a bucket; nothing happens when it is there."""
        await asyncio.to_thread(lambda: self.client().create_bucket(Bucket=name))

    async def _launch(self) -> None:
        if importlib.util.find_spec("moto") is None:
            raise EmbeddedServerError("moto is not installed: pip install node-fsm-sandbox")
        await self._spawn([sys.executable, "-m", __name__, "--port", str(self.port)])
        await self._until(lambda: f"{self.endpoint_url}\n" in self._log.read_text(), _READY_SECONDS)


def client_of(endpoint_url: str) -> "S3Client":
    """A boto3 client of the server there, safe to share between threads."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}, connect_timeout=3, read_timeout=20),
    )


async def put_object(endpoint_url: str, bucket: str, key: str, body: bytes) -> None:
    """Put an object into a bucket of the server there."""
    with closing(client_of(endpoint_url)) as client:
        await asyncio.to_thread(client.put_object, Bucket=bucket, Key=key, Body=body)


def serve(port: int) -> None:
    """Serve on a loopback port, 0 for any free one, until KeyboardInterrupt; prints the endpoint URL first."""
    # The owner has no use for these, which take half a second to import.
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server(LOOPBACK, port, application, threaded=True, request_handler=MotoRequestHandler)
    sys.stdout.write(f"http://{LOOPBACK}:{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


def main() -> None:
    """Run the server by its command line."""
    parser = argparse.ArgumentParser(prog="python -m node_fsm_sandbox.servers.s3", description="An S3 server in memory")
    parser.add_argument("--port", type=int, default=0, help="loopback port, 0 for any free one")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start jobs in the background with it ignored
    with suppress(KeyboardInterrupt):
        serve(parser.parse_args().port)


if __name__ == "__main__":
    main()
