"""S3Store on a server that answers: what it stores, and what it refuses."""

import asyncio
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import node_fsm.s3.store
from node_fsm.core.errors import PermanentError, ServiceError
from node_fsm.ports import ObjectStore
from node_fsm.ports.object_errors import ObjectExistsError, ObjectMissingError
from node_fsm.s3.store import S3Store
from tests.s3 import flat
from tests.s3.helpers import collected, keys, stream, stream_then_hang, unfinished_uploads
from tests.support.bucket import Bucket
from tests.support.polling import HANGING

SMALLEST_PART = 5 * 2**20
"""S3 takes no smaller ones but the last."""


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(node_fsm.s3.store, "PART_BYTES", SMALLEST_PART)
    return SMALLEST_PART


def test_it_is_an_object_store() -> None:
    store: ObjectStore = S3Store("http://127.0.0.1:1")
    assert store


async def test_an_object_is_written_once(store: S3Store, s3_bucket: Bucket) -> None:
    uri = f"s3://{s3_bucket.name}/a/key"
    assert await store.write_once(uri, b"first")
    assert not await store.write_once(uri, b"second")
    assert await store.read(uri, limit=5) == b"first"


async def test_one_of_many_writers_wins(store: S3Store, s3_bucket: Bucket) -> None:
    uri = f"s3://{s3_bucket.name}/key"
    texts = [b"%d" % number for number in range(12)]
    written = await asyncio.gather(*(store.write_once(uri, text) for text in texts))
    assert written.count(True) == 1
    assert await store.read(uri, limit=10) == texts[written.index(True)]


async def test_an_object_over_the_limit_is_not_read(store: S3Store, s3_bucket: Bucket) -> None:
    uri = f"s3://{s3_bucket.name}/key"
    await store.write_once(uri, b"123456")
    with pytest.raises(PermanentError, match="has 6 bytes, more than the 5") as caught:
        await store.read(uri, limit=5)
    assert caught.value.reason == "S3ObjectTooLarge"


@pytest.mark.parametrize("operation", ["read", "download"])
async def test_what_is_missing_is_said_to_be(store: S3Store, s3_bucket: Bucket, operation: str) -> None:
    uri = f"s3://{s3_bucket.name}/none"
    with pytest.raises(ObjectMissingError, match=uri):
        await (store.read(uri, limit=1) if operation == "read" else collected(store.download(uri)))


async def test_a_missing_bucket_is_named(store: S3Store) -> None:
    for attempt in (store.read("s3://no-such-bucket/key", 1), store.write_once("s3://no-such-bucket/key", b"")):
        with pytest.raises(PermanentError, match="s3://no-such-bucket/key") as caught:
            await attempt
        assert caught.value.reason == "S3BucketMissing"


async def test_a_refused_object_is_named(store: S3Store, s3_bucket: Bucket) -> None:
    uri = f"s3://{s3_bucket.name}/secret"
    await store.write_once(uri, b"key")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*Object",
        "Resource": f"arn:aws:s3:::{s3_bucket.name}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3_bucket.client.put_bucket_policy(Bucket=s3_bucket.name, Policy=json.dumps(policy))
    for attempt in (store.read(uri, 10), store.write_once(uri, b""), collected(store.download(uri))):
        with pytest.raises(PermanentError, match=uri) as caught:
            await attempt
        assert caught.value.reason == "S3AccessDenied"


@pytest.mark.parametrize(
    "uri", ["", "s3:/bucket/key", "http://bucket/key", "s3://bucket", "s3://bucket/", "s3://B/key", "s3://bucket//k"]
)
async def test_what_is_no_uri_of_an_object_is_refused(store: S3Store, uri: str) -> None:
    for attempt in (store.read(uri, 1), store.write_once(uri, b""), store.upload(uri, stream(b""))):
        with pytest.raises(PermanentError, match="s3://bucket/key") as caught:
            await attempt
        assert caught.value.reason == "S3UriInvalid"


@pytest.mark.parametrize("endpoint", ["nonsense", "http://[", "ftp//x"])
def test_an_endpoint_that_is_no_url_names_the_setting(endpoint: str) -> None:
    with pytest.raises(PermanentError, match="NODE_FSM_S3_ENDPOINT_URL"):
        S3Store(endpoint)


def test_a_missing_profile_names_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(PermanentError, match=r"no-such-profile.*AWS_"):
        S3Store()


async def test_missing_credentials_are_said_to_be(s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    store = S3Store(s3_bucket.endpoint_url)
    with pytest.raises(PermanentError, match="AWS_ACCESS_KEY_ID") as caught:
        await store.read(f"s3://{s3_bucket.name}/key", 1)
    assert caught.value.reason == "S3CredentialsMissing"
    await store.close()


async def test_given_credentials_are_used_and_not_shown(s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    given = {
        "aws_access_key_id": "the-access-key",
        "aws_secret_access_key": "the-secret-key",
        "aws_session_token": "the-token",
    }
    store = S3Store(s3_bucket.endpoint_url, credentials=given)
    assert await store.write_once(f"s3://{s3_bucket.name}/key", b"")
    with pytest.raises(ServiceError) as caught:
        await store.read(f"s3://{s3_bucket.name}/none", 1)
    shown = "".join(traceback.format_exception(caught.value)) + repr(store)
    assert not [secret for secret in given.values() if secret in shown]
    await store.close()


@pytest.mark.parametrize("past_the_parts", [-1, 0, 1])
@pytest.mark.parametrize("parts", [1, 3])
async def test_a_stream_comes_back_as_it_was(
    store: S3Store, s3_bucket: Bucket, small_parts: int, parts: int, past_the_parts: int
) -> None:
    uri = f"s3://{s3_bucket.name}/stream"
    data = os.urandom(parts * small_parts + past_the_parts)
    step = 999_999
    await store.upload(uri, stream(*(data[at : at + step] for at in range(0, len(data), step))))
    assert await collected(store.download(uri)) == data
    assert unfinished_uploads(s3_bucket) == []


async def test_an_empty_stream_is_an_empty_object(store: S3Store, s3_bucket: Bucket) -> None:
    uri = f"s3://{s3_bucket.name}/empty"
    await store.upload(uri, stream())
    assert await collected(store.download(uri)) == b""


async def test_an_upload_leaves_an_object_alone_and_its_stream_unread(store: S3Store, s3_bucket: Bucket) -> None:
    uri = f"s3://{s3_bucket.name}/key"
    await store.write_once(uri, b"first")
    chunks = stream(b"second")
    with pytest.raises(ObjectExistsError, match=uri):
        await store.upload(uri, chunks)
    assert await anext(chunks) == b"second"
    assert await store.read(uri, limit=5) == b"first"


@pytest.mark.parametrize("size", [1, 2 * SMALLEST_PART])
async def test_an_object_that_appears_during_an_upload_stays(
    store: S3Store, s3_bucket: Bucket, small_parts: int, size: int
) -> None:
    uri = f"s3://{s3_bucket.name}/key"

    async def overtaken() -> AsyncIterator[bytes]:
        assert await store.write_once(uri, b"other")
        yield bytes(size)

    with pytest.raises(ObjectExistsError):
        await store.upload(uri, overtaken())
    assert await store.read(uri, limit=5) == b"other"
    assert unfinished_uploads(s3_bucket) == []


async def test_an_upload_whose_stream_fails_leaves_nothing(store: S3Store, s3_bucket: Bucket, small_parts: int) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield bytes(3 * small_parts)
        raise PermanentError("DiskBroken", "the disk is broken")

    with pytest.raises(PermanentError, match="DiskBroken"):
        await store.upload(f"s3://{s3_bucket.name}/key", failing())
    assert keys(s3_bucket) == unfinished_uploads(s3_bucket) == []


async def test_a_cancelled_upload_leaves_nothing(store: S3Store, s3_bucket: Bucket, small_parts: int) -> None:
    begun = asyncio.Event()
    upload = asyncio.create_task(
        store.upload(f"s3://{s3_bucket.name}/key", stream_then_hang(begun, bytes(2 * small_parts)))
    )
    async with asyncio.timeout(HANGING):
        await begun.wait()
        assert unfinished_uploads(s3_bucket) == ["key"]
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
    assert keys(s3_bucket) == unfinished_uploads(s3_bucket) == []


async def test_what_a_killed_upload_left_is_aborted_by_the_next(
    store: S3Store, s3_bucket: Bucket, small_parts: int
) -> None:
    for key in ("key", "key-of-another"):
        s3_bucket.client.create_multipart_upload(Bucket=s3_bucket.name, Key=key)
    await store.upload(f"s3://{s3_bucket.name}/key", stream(bytes(small_parts)))
    assert unfinished_uploads(s3_bucket) == ["key-of-another"]


async def test_memory_stays_flat(s3_bucket: Bucket) -> None:
    """It holds the parts that are on their way, and copies of them, half of what goes up at most."""
    command = (sys.executable, "-m", flat.__name__, s3_bucket.endpoint_url, f"s3://{s3_bucket.name}/large")
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < flat.MEBIBYTES * 2**20 / 2


async def test_each_request_is_observed_with_its_error(s3_bucket: Bucket) -> None:
    seen: list[tuple[str, str | None]] = []

    @contextmanager
    def observe(operation: str) -> Iterator[None]:
        try:
            yield
        except ServiceError as error:
            seen.append((operation, error.reason))
            raise
        seen.append((operation, None))

    store = S3Store(s3_bucket.endpoint_url, observe=observe)
    uri = f"s3://{s3_bucket.name}/key"
    await store.upload(uri, stream(b"data"))
    await store.read(uri, limit=4)
    await store.close()
    assert seen == [("head_object", "S3ObjectMissing"), ("put_object", None), ("get_object", None)]


def test_only_this_package_of_the_service_needs_boto3() -> None:
    root = Path(node_fsm.s3.store.__file__).parents[2]
    sources = [file for package in ("node_fsm", "states") for file in (root / package).rglob("*.py")]
    imported = re.compile(r"^\s*(import|from) boto3\b", re.MULTILINE)
    assert [file.relative_to(root) for file in sources if imported.search(file.read_text())] == [
        Path("node_fsm/s3/store.py")
    ]


async def test_objects_are_listed_by_how_they_begin(store: S3Store, s3_bucket: Bucket) -> None:
    uris = [f"s3://{s3_bucket.name}/chain/{name}" for name in ("final-1/a", "final-1/b", "other/a")]
    for uri in uris:
        await store.write_once(uri, b"")
    assert await store.uris(f"s3://{s3_bucket.name}/chain/final-") == uris[:2]
    assert await store.uris(f"s3://{s3_bucket.name}/none") == []
