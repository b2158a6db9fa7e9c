"""The embedded S3: what the archive and the key store need of it, and its faults."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import boto3
import pytest
import pytest_asyncio
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from mypy_boto3_s3 import S3Client
from mypy_boto3_s3.type_defs import CompletedPartTypeDef
from node_fsm_sandbox.servers.s3 import EmbeddedS3
from node_fsm_sandbox.servers.server import EmbeddedServerError, free_port

from tests.support.bucket import Bucket
from tests.support.polling import HANGING

PART = 5 * 2**20
"""The smallest size that S3 accepts for a part that is not the last."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[EmbeddedS3]:
    """A server that tests may break for a while."""
    async with EmbeddedS3() as running:
        yield running


@pytest.fixture
def impatient(server: EmbeddedS3) -> S3Client:
    """A client that neither waits long nor tries again, to see a fault; it has the credentials of the environment."""
    config = Config(connect_timeout=0.3, read_timeout=0.3, retries={"total_max_attempts": 1})
    return boto3.session.Session().client("s3", endpoint_url=server.endpoint_url, config=config)


def test_an_object_comes_back_as_it_was_put(s3_bucket: Bucket) -> None:
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="a/key", Body=b"\x00\xff" * 1000)
    assert s3_bucket.client.get_object(Bucket=s3_bucket.name, Key="a/key")["Body"].read() == b"\x00\xff" * 1000


def test_if_none_match_lets_only_the_first_write(s3_bucket: Bucket) -> None:
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="once", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="once", Body=b"second", IfNoneMatch="*")
    assert s3_bucket.client.get_object(Bucket=s3_bucket.name, Key="once")["Body"].read() == b"first"


def test_the_parts_of_an_upload_make_one_object(s3_bucket: Bucket) -> None:
    name, client = s3_bucket.name, s3_bucket.client
    upload = client.create_multipart_upload(Bucket=name, Key="large")["UploadId"]
    parts: list[CompletedPartTypeDef] = []
    for number, content in enumerate((b"1" * PART, b"2" * 10), start=1):
        answer = client.upload_part(Bucket=name, Key="large", UploadId=upload, PartNumber=number, Body=content)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    client.complete_multipart_upload(Bucket=name, Key="large", UploadId=upload, MultipartUpload={"Parts": parts})
    assert client.head_object(Bucket=name, Key="large")["ContentLength"] == PART + 10
    seam = client.get_object(Bucket=name, Key="large", Range=f"bytes={PART - 1}-{PART}")
    assert seam["Body"].read() == b"12"


def test_buckets_of_tests_are_apart(s3_bucket: Bucket) -> None:
    assert s3_bucket.client.list_objects_v2(Bucket=s3_bucket.name)["KeyCount"] == 0


async def test_making_a_bucket_twice_is_no_error(server: EmbeddedS3) -> None:
    await server.make_bucket("twice")
    await server.make_bucket("twice")
    assert server.client().head_bucket(Bucket="twice")["ResponseMetadata"]["HTTPStatusCode"] == 200


async def test_while_paused_nobody_is_answered_and_nothing_is_lost(server: EmbeddedS3, impatient: S3Client) -> None:
    await server.make_bucket("paused")
    await server.pause()
    with pytest.raises(ReadTimeoutError):
        impatient.head_bucket(Bucket="paused")
    await server.resume()
    assert server.client().head_bucket(Bucket="paused")["ResponseMetadata"]["HTTPStatusCode"] == 200


async def test_a_killed_server_comes_back_at_the_same_url_but_empty(server: EmbeddedS3, impatient: S3Client) -> None:
    await server.make_bucket("forgotten")
    requests = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    for request in requests:
        request.send(b"GET / HTTP/1.1\r\n")  # without an end: a thread of the server waits for it
    await server.kill()
    for request in requests:
        request.close()
    with pytest.raises(EndpointConnectionError):
        impatient.list_buckets()
    await server.start()
    assert server.client().list_buckets()["Buckets"] == []


async def test_its_end_is_noticed(server: EmbeddedS3) -> None:
    watch = asyncio.create_task(server.watch())
    done, _ = await asyncio.wait([watch], timeout=0.7)
    assert not done
    await server.kill()
    with pytest.raises(EmbeddedServerError, match=r"^S3 ended by itself with exit code -9; the end of its log:\nhttp"):
        await asyncio.wait_for(watch, HANGING)
    await server.start()


async def test_without_a_place_to_work_in_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("node_fsm_sandbox.servers.server._DISK", tmp_path / "missing")
    with pytest.raises(EmbeddedServerError, match=r"^S3 gets no directory in .*missing: No such file or directory$"):
        await EmbeddedS3().start()


def test_no_port_is_given_twice() -> None:
    ports = [free_port() for _ in range(1000)]
    assert len(set(ports)) == len(ports)


async def test_it_logs_no_requests(server: EmbeddedS3) -> None:
    await server.make_bucket("quiet")
    assert (server.directory / "log").read_text() == f"{server.endpoint_url}\n"


async def test_by_its_command_line_it_takes_a_free_port_and_prints_its_url() -> None:
    """It ends on SIGINT, also as a job in the background of a shell, which has that signal ignored."""
    command = [sys.executable, "-m", "node_fsm_sandbox.servers.s3", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *("env", "--ignore-signal=INT", *command), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), HANGING)).decode().strip()
        client = boto3.session.Session().client("s3", endpoint_url=url)
        assert client.list_buckets()["Buckets"] == []
    finally:
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), HANGING) == 0
