"""The front before an S3 server, between a client and a server that work."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from tests.support.bucket import Bucket
from tests.support.polling import HANGING
from tests.support.s3_front import S3Front


@pytest.fixture
def front(s3_bucket: Bucket) -> Iterator[S3Front]:
    with S3Front(int(s3_bucket.endpoint_url.rsplit(":", 1)[1])) as front:
        yield front


@pytest.fixture
def client(front: S3Front) -> S3Client:
    config = Config(connect_timeout=HANGING, read_timeout=HANGING, retries={"total_max_attempts": 1})
    return boto3.session.Session().client("s3", endpoint_url=f"http://127.0.0.1:{front.port}", config=config)


def body_of(client: S3Client, bucket: Bucket) -> bytes:
    return client.get_object(Bucket=bucket.name, Key="key")["Body"].read()


def test_it_passes_on_and_slowly_when_asked_to(front: S3Front, client: S3Client, s3_bucket: Bucket) -> None:
    client.put_object(Bucket=s3_bucket.name, Key="key", Body=b"value")
    assert client.head_object(Bucket=s3_bucket.name, Key="key")["ContentLength"] == len(b"value")
    front.bytes_per_second = 20
    assert body_of(client, s3_bucket) == b"value"
    client.delete_object(Bucket=s3_bucket.name, Key="key")
    with pytest.raises(ClientError, match="NoSuchKey"):
        body_of(client, s3_bucket)


def test_it_refuses_until_it_is_mended(front: S3Front, client: S3Client, s3_bucket: Bucket) -> None:
    client.put_object(Bucket=s3_bucket.name, Key="key", Body=b"value")
    front.refuse(403, "AccessDenied")
    with pytest.raises(ClientError, match="AccessDenied"):
        body_of(client, s3_bucket)
    front.mend()
    assert body_of(client, s3_bucket) == b"value"


def test_it_says_that_it_stored_what_it_did_not(front: S3Front, client: S3Client, s3_bucket: Bucket) -> None:
    front.keeps_writes = False
    client.put_object(Bucket=s3_bucket.name, Key="key", Body=b"value")
    assert front.writes_lost == 1
    with pytest.raises(ClientError, match="NoSuchKey"):
        body_of(client, s3_bucket)


def test_it_knows_no_conditions_until_it_is_mended(front: S3Front, client: S3Client, s3_bucket: Bucket) -> None:
    front.knows_conditions = False
    with pytest.raises(ClientError, match="NotImplemented"):
        client.put_object(Bucket=s3_bucket.name, Key="key", Body=b"value", IfNoneMatch="*")
    front.mend()
    client.put_object(Bucket=s3_bucket.name, Key="key", Body=b"value", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=s3_bucket.name, Key="key", Body=b"other", IfNoneMatch="*")
