"""Streams for the tests of S3."""

import asyncio
from collections.abc import AsyncIterator

from tests.support.bucket import Bucket


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    """The chunks, as a stream."""
    for chunk in chunks:
        yield chunk


async def stream_then_hang(begun: asyncio.Event, *chunks: bytes) -> AsyncIterator[bytes]:
    """The chunks, and then nothing more for ever; *begun* is set when they are taken."""
    for chunk in chunks:
        yield chunk
    begun.set()
    await asyncio.Event().wait()


async def collected(chunks: AsyncIterator[bytes]) -> bytes:
    """All that a stream has."""
    return b"".join([chunk async for chunk in chunks])


def unfinished_uploads(bucket: Bucket) -> list[str]:
    """The keys of multipart uploads neither completed nor aborted."""
    return [upload["Key"] for upload in bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", [])]


def keys(bucket: Bucket) -> list[str]:
    """The keys of the objects in a bucket."""
    return [found["Key"] for found in bucket.client.list_objects_v2(Bucket=bucket.name).get("Contents", [])]
