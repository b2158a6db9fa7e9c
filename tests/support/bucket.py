"""What a test gets to work with S3."""

from dataclasses import dataclass

from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of one test's own, and a client for it."""

    endpoint_url: str
    name: str
    client: S3Client
