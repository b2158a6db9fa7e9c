"""An S3 server that checks signatures, rights and conditions, for those tests that want more than the embedded one."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from node_fsm_sandbox.servers.s3 import CREDENTIALS, client_of
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from tests.support.bucket import Bucket
from tests.support.polling import HANGING

NAME = "versitygw"
PATH_VARIABLE = "VERSITYGW_PATH"


@contextmanager
def gateway(
    directory: Path,
    *options: str | Path,
    access: str = CREDENTIALS["AWS_ACCESS_KEY_ID"],
    secret: str = CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
) -> Iterator[str]:
    """Its endpoint, with data in *directory*; skips the test where there is none. *access* may do everything."""
    executable = os.environ.get(PATH_VARIABLE) or shutil.which(NAME)
    if executable is None:
        pytest.skip(f"no {NAME} in PATH or {PATH_VARIABLE}, and the tests' own S3 server checks less")
    port = free_port()
    command = [executable, "--quiet", "--port", f"{LOOPBACK}:{port}", *options, "posix", directory]
    environment = {
        "ROOT_ACCESS_KEY_ID": access,
        "ROOT_SECRET_ACCESS_KEY": secret or CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    }
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield f"http://{LOOPBACK}:{port}"
        finally:
            running.terminate()


@contextmanager
def gateway_bucket(directory: Path, name: str) -> Iterator[Bucket]:
    """A bucket on a server of its own, by the credentials of the embedded one."""
    with gateway(directory) as endpoint_url:
        client = client_of(endpoint_url)
        deadline = time.monotonic() + HANGING
        while True:
            try:
                client.create_bucket(Bucket=name)
            except (BotoCoreError, ClientError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)  # it starts
            else:
                break
        yield Bucket(endpoint_url, name, client)
