"""What a process of its own takes of memory while a large object goes up and down: ``python -m tests.s3.flat``.

A test process has hundreds of megabytes of its own, and takes and gives back some of them at any moment.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from hashlib import sha256

import psutil

from node_fsm.s3.store import S3Store

MEBIBYTES = 320


async def growth(endpoint_url: str, uri: str) -> int:
    """By how many bytes it grows at most; AssertionError when another object comes down than went up."""
    store, process, chunk = S3Store(endpoint_url), psutil.Process(), os.urandom(2**20)
    sent, received, seen = sha256(), sha256(), list[int]()

    async def pieces(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            sent.update(chunk)
            seen.append(process.memory_info().rss)
            yield chunk

    await store.upload(f"{uri}-small", pieces(1))  # loads what is loaded but once
    before, sent = process.memory_info().rss, sha256()
    await store.upload(uri, pieces(MEBIBYTES))
    async for part in store.download(uri):
        received.update(part)
        seen.append(process.memory_info().rss)
    await store.close()
    assert received.digest() == sent.digest()
    return max(seen) - before


if __name__ == "__main__":
    print(asyncio.run(growth(*sys.argv[1:3])))
