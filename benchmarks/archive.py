"""How fast a chain is archived, beside a bare upload of the same bytes.

    python -m benchmarks.archive [MEGABYTES]

Both go to the embedded S3 server on this machine, which takes a processor of its own to keep up.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from struct import pack
from typing import Any

import psutil
from node_fsm_sandbox.servers.s3 import CREDENTIALS, EmbeddedS3

from node_fsm.archive.manifest import Election, Tip, Versions
from node_fsm.archive.store import ArchiveRequest, archive_chain
from node_fsm.archive.tarball import Packer
from node_fsm.chain.recount import recount
from node_fsm.core.model import ArchiveKind
from node_fsm.ports import MachineClock
from node_fsm.s3.store import S3Store
from tests.chain import build

VOTES_PER_BLOCK = 500
VOTE_BYTES = 161
PROPOSALS = 200
PAUSES_EVERY = 0.005


def make_chain(directory: Path, megabytes: int) -> ArchiveRequest:
    """A chain of that size: random accounts vote on one public proposal after the other."""
    plan = build.plan_content(options=[3] * PROPOSALS, end=(10**6, 0))
    plan_id = build.plan_id(plan)
    accounts = [os.urandom(32) for _ in range(megabytes * 10**6 // VOTE_BYTES // PROPOSALS + 1)]
    tokens = [build.token(account, 10) for account in accounts]
    block = build.block([build.initial(), *tokens, build.plan(plan)])
    votes = (_vote(plan_id, account, proposal) for proposal in range(PROPOSALS) for account in accounts)
    (directory / "block0.bin").write_bytes(block)
    block0_hash = build.block_id(block)
    with (directory / "blocks.bin").open("wb") as blocks:
        for height in count(1):
            blocks.write(block)
            if blocks.tell() > megabytes * 10**6:
                break
            block = build.block(
                islice(votes, VOTES_PER_BLOCK),
                parent=build.block_id(block),
                height=height,
                date=(0, height),
            )
    return ArchiveRequest(
        directory=directory,
        kind=ArchiveKind.SUPERSEDED,
        election=Election(id=1, name="benchmark"),
        block0_hash=block0_hash,
        tip=Tip(hash=build.block_id(block), date=f"0.{height - 1}", height=height - 1),
        vote_plan_ids=(plan_id,),
        results=None,
        untallied=None,
        fingerprint=None,
        versions=Versions(service="benchmark", jormungandr=None, jcli=None),
    )


def _vote(plan_id: str, account: bytes, proposal: int) -> bytes:
    signature = os.urandom(64)
    spine = pack(">IIBB", 1, 59, 1, 0) + b"\xff" + pack(">Q", 0) + account + b"\2" + pack(">I", 0) + signature
    return build.vote(plan_id, proposal=proposal, choice=signature[0] % 3, spine=spine)


class Meter:
    """Times a piece of work, the event loop's longest pause in it, and by how much memory grew."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._process = psutil.Process()

    async def run(self, name: str, work: Awaitable[Any]) -> float:
        pauses, memory = [0.0], [self._process.memory_info().rss]
        watching = asyncio.create_task(self._watch(pauses, memory))
        started = time.perf_counter()
        await work
        seconds = time.perf_counter() - started
        watching.cancel()
        print(
            f"{name:<34} {seconds:6.2f} s  {self._size / seconds / 1e6:6.0f} MB/s"
            f"   longest pause of the event loop {max(pauses) * 1e3:4.0f} ms"
            f"   memory +{(max(memory) - memory[0]) / 2**20:3.0f} MiB"
        )
        return seconds

    async def _watch(self, pauses: list[float], memory: list[int]) -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(PAUSES_EVERY)
            pauses.append(time.perf_counter() - started - PAUSES_EVERY)
            memory.append(self._process.memory_info().rss)


def recount_file(path: Path) -> None:
    with path.open("rb", buffering=2**20) as stream:
        recount(stream)


def consume(packer: Packer) -> int:
    return sum(map(len, packer.pieces()))


async def archive(store: S3Store, request: ArchiveRequest) -> None:
    """Archive, and read the archive back."""
    await archive_chain(store, "s3://benchmark", request, MachineClock())


async def stream(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, 2**20):
            yield piece


async def main(megabytes: int) -> None:
    os.environ.update(CREDENTIALS)
    in_thread: Callable[..., Awaitable[Any]] = asyncio.to_thread
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        request = make_chain(directory, megabytes)
        blocks = directory / "blocks.bin"
        meter = Meter(blocks.stat().st_size)
        names = ["block0.bin", "blocks.bin"]
        packer = Packer(directory, names)
        print(f"{blocks.stat().st_size / 1e6:.0f} MB of blocks, {os.cpu_count()} processors")
        await meter.run("recount", in_thread(recount_file, blocks))
        await meter.run("tar, compress, hash", in_thread(consume, packer))
        print(f"compressed to {packer.entry.bytes / meter._size:.0%}")
        async with EmbeddedS3() as server:
            await server.make_bucket("benchmark")
            bare = await meter.run(
                "boto3.upload_file of blocks.bin",
                in_thread(server.client().upload_file, str(blocks), "benchmark", "bare"),
            )
            store = S3Store(server.endpoint_url)
            await meter.run("S3Store.upload of blocks.bin", store.upload("s3://benchmark/own", stream(blocks)))
            unchecked = replace(request, kind=ArchiveKind.SALVAGE)
            stored = await meter.run("archive_chain without recount", archive(store, unchecked))
            whole = await meter.run("archive_chain", archive(store, request))
            await store.close()
        print(
            f"archive_chain takes {whole / bare:.1f} times as long as upload_file,"
            f" {stored / bare:.1f} times without the recount"
        )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
