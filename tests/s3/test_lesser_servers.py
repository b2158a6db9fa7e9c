"""S3Store on servers that cannot do all that AWS can."""

import os
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

import node_fsm.s3.store
from node_fsm.ports.object_errors import ObjectExistsError
from node_fsm.s3.store import S3Store
from tests.s3.helpers import collected, stream, unfinished_uploads
from tests.support.bucket import Bucket


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    size = 5 * 2**20
    monkeypatch.setattr(node_fsm.s3.store, "PART_BYTES", size)
    return size


def without_conditions(store: S3Store) -> list[str]:
    """Have each write with a condition answered by 501; the names of the refused operations."""
    refused: list[str] = []

    def answer(request: AWSPreparedRequest, event_name: str, **_: object) -> AWSResponse | None:
        if "If-None-Match" not in request.headers:
            return None
        refused.append(event_name.rpartition(".")[-1])
        body = b"<Error><Code>NotImplemented</Code><Message>A header implies what is not implemented</Message></Error>"
        return AWSResponse(request.url, 501, HTTPHeaders(), SimpleNamespace(stream=lambda: [body]))

    hooks: Any = store._client.meta.events
    hooks.register("before-send.s3", answer)
    return refused


async def test_a_store_without_conditional_writes_is_written_to_in_another_way(
    store: S3Store, s3_bucket: Bucket
) -> None:
    refused = without_conditions(store)
    uri = f"s3://{s3_bucket.name}/once"
    assert await store.write_once(uri, b"first")
    assert not await store.write_once(uri, b"second"), "nothing is written over"
    assert await store.read(uri, 10) == b"first"
    assert set(refused) == {"PutObject"}


async def test_two_writers_without_conditions_do_not_both_believe_that_theirs_stands(
    store: S3Store, s3_bucket: Bucket
) -> None:
    without_conditions(store)
    uri = f"s3://{s3_bucket.name}/once"
    client = s3_bucket.client

    def another(model: object, **_: object) -> None:
        client.put_object(Bucket=s3_bucket.name, Key="once", Body=b"of the other")

    hooks: Any = store._client.meta.events
    hooks.register("after-call.s3.PutObject", another)
    assert not await store.write_once(uri, b"ours")
    assert await store.read(uri, 100) == b"of the other"


async def test_parts_too_are_put_together_without_conditions(
    store: S3Store, s3_bucket: Bucket, small_parts: int
) -> None:
    refused = without_conditions(store)
    uri, data = f"s3://{s3_bucket.name}/large", os.urandom(2 * small_parts)
    await store.upload(uri, stream(data))
    assert await collected(store.download(uri)) == data
    assert refused == ["CompleteMultipartUpload"]
    with pytest.raises(ObjectExistsError):
        await store.upload(uri, stream(data))
    assert unfinished_uploads(s3_bucket) == []


@pytest.mark.parametrize(("configured", "sent"), [("when_required", False), ("when_supported", True)])
async def test_checksums_are_sent_as_configured(
    s3_bucket: Bucket, small_parts: int, monkeypatch: pytest.MonkeyPatch, configured: str, sent: bool
) -> None:
    """Some servers refuse them, of parts as of whole objects."""
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", configured)
    store = S3Store(s3_bucket.endpoint_url)
    headers: list[str] = []

    def see(request: AWSPreparedRequest, **_: object) -> None:
        headers.extend(name.lower() for name in request.headers)

    hooks: Any = store._client.meta.events
    hooks.register("before-send.s3", see)
    await store.upload(f"s3://{s3_bucket.name}/{configured}", stream(os.urandom(2 * small_parts)))
    assert any(name.startswith(("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer")) for name in headers) == sent
    await store.close()
