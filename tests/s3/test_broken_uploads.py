"""Multipart uploads that broke off: seen, and ended, by where they were to and when they were begun."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node_fsm.s3.store import PART_BYTES, S3Store
from tests.s3.helpers import keys, stream, unfinished_uploads
from tests.support.bucket import Bucket
from tests.support.polling import HANGING
from tests.support.versitygw import gateway_bucket

LATER = datetime.now(UTC) + timedelta(days=1)
"""Everything was begun before then."""

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["moto", "versitygw"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bucket]:
    """On either server."""
    if request.param == "moto":
        yield request.getfixturevalue("s3_bucket")
        return
    with gateway_bucket(tmp_path, "archives") as made:
        yield made


@pytest.fixture
async def store(bucket: Bucket) -> AsyncIterator[S3Store]:
    store = S3Store(bucket.endpoint_url)
    yield store
    await store.close()


def begin(bucket: Bucket, *keys: str) -> None:
    """Begin uploads as a service does that is killed then."""
    for key in keys:
        bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)


async def test_old_ones_are_ended_by_their_prefix(store: S3Store, bucket: Bucket) -> None:
    begin(bucket, "archive/1/tar", "archive/1/tar", "archive/2/tar", "archive2/tar", "other")
    prefix = f"s3://{bucket.name}/archive/"
    assert [one.uri for one in await store.uploads(prefix, LATER)] == [
        f"{prefix}1/tar",
        f"{prefix}1/tar",
        f"{prefix}2/tar",
    ]
    assert await store.end_uploads(prefix, LATER) == 3
    assert await store.end_uploads(prefix, LATER) == 0
    assert unfinished_uploads(bucket) == ["archive2/tar", "other"]


async def test_young_ones_are_left_to_who_makes_them(store: S3Store, bucket: Bucket) -> None:
    begin(bucket, "archive/tar")
    assert await store.end_uploads(f"s3://{bucket.name}/archive/", LONG_AGO) == 0
    assert unfinished_uploads(bucket) == ["archive/tar"]


_KILLED = """\
import asyncio, os, signal, sys
from node_fsm.s3.store import PART_BYTES, S3Store

async def chunks():
    for _ in range(5):
        yield bytes(PART_BYTES)
    await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(S3Store(sys.argv[1]).upload(sys.argv[2], chunks()))
"""


async def test_what_a_killed_upload_left_is_ended_by_the_next_to_the_same_object(
    store: S3Store, bucket: Bucket
) -> None:
    uri = f"s3://{bucket.name}/archive/1/tar"
    killed = subprocess.run([sys.executable, "-c", _KILLED, bucket.endpoint_url, uri], timeout=HANGING, check=False)
    assert killed.returncode == -9
    assert (unfinished_uploads(bucket), keys(bucket)) == (["archive/1/tar"], [])
    await store.upload(uri, stream(bytes(PART_BYTES + 1)))
    assert (unfinished_uploads(bucket), keys(bucket)) == ([], ["archive/1/tar"])


async def test_what_a_killed_upload_left_of_another_object_is_ended_later(store: S3Store, bucket: Bucket) -> None:
    prefix = f"s3://{bucket.name}/archive/"
    subprocess.run([sys.executable, "-c", _KILLED, bucket.endpoint_url, f"{prefix}1/tar"], timeout=HANGING, check=False)
    await store.upload(f"{prefix}2/tar", stream(bytes(PART_BYTES + 1)))
    assert unfinished_uploads(bucket) == ["archive/1/tar"]
    assert await store.end_uploads(prefix, LATER) == 1
    assert (unfinished_uploads(bucket), keys(bucket)) == ([], ["archive/2/tar"])
