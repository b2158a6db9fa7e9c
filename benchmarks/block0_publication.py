"""Publishing and downloading a large block 0: seconds, memory, and the ratio to moving the same bytes plainly.

Run: ``python -m benchmarks.block0_publication [MEGABYTES]``. Prints one JSON object. The plain way is a COPY into a
bytea column, and reading it back in slices, in the same run and on the same server.
"""

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres

from node_fsm.core.chain_time import BlockDate, ChainClock, ChainDates
from node_fsm.core.model import JournalEntry, Proposal, Publication, VotePlan
from node_fsm.core.payload_type import PayloadType
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.file_pieces import read_pieces, written
from node_fsm.database.migrate import upgrade

MEGABYTE = 1_000_000
DATES = ChainDates(
    ChainClock(datetime(2030, 1, 1, tzinfo=UTC), 4, 900), BlockDate(1, 0), BlockDate(25, 0), BlockDate(49, 0)
)
FACT = JournalEntry("benchmark", None, None, "", "", "", DATES.clock.start, "")


async def main(megabytes: int) -> None:
    """Measure once with a small block, so that everything is loaded, then with the large one."""
    async with EmbeddedPostgres() as server:
        await upgrade(server.url())
        with tempfile.TemporaryDirectory() as directory:
            await measure(server.url(), Path(directory), MEGABYTE)
            print(json.dumps(await measure(server.url(), Path(directory), megabytes * MEGABYTE), indent=2))


async def measure(url: str, directory: Path, size: int) -> dict[str, float]:
    """Publish, download and withdraw a block 0 of *size* random bytes, and move as many plainly."""
    source, target = directory / "source", directory / "target"
    with source.open("wb") as stream:
        for _ in range(size // MEGABYTE):
            stream.write(os.urandom(MEGABYTE))
    database = PostgresDatabase(url)
    plain = await asyncpg.connect(url.replace("+asyncpg", ""))
    election = await plain.fetchval(
        "INSERT INTO election (name, voting_start, voting_end, tallying_end, committee_threshold)"
        " VALUES ($1, '2030-01-02', '2030-01-03', '2030-01-04', 1) RETURNING id",
        f"of {size} bytes",
    )
    await plain.execute("CREATE TEMPORARY TABLE plain (number int, piece bytea)")
    await plain.execute("ALTER TABLE plain ALTER COLUMN piece SET STORAGE EXTERNAL")
    lease = await database.acquire_lease("benchmark", "benchmark", 3600)
    assert lease is not None
    spec = await database.specification(election)
    plan = VotePlan(0, f"{size:064x}", PayloadType.PUBLIC, "direct", "token", None, (Proposal(1, bytes(32), ("a",)),))
    publication = Publication(
        election, spec.revision, lease.generation, "benchmark", f"{size:064x}", size, spec.fingerprint, DATES, (plan,)
    )
    memory = peak_memory()
    published = await seconds(database.publish_block0(publication, source, FACT))
    overview = await seconds(database.overview([]))
    downloaded = await seconds(database.download_block0(election, publication.hash, target))
    grown = peak_memory() - memory
    assert target.read_bytes() == source.read_bytes()
    copied = await seconds(plain.copy_records_to_table("plain", records=read_pieces(source)))
    read = await seconds(read_plainly(plain, directory / "plain"))
    withdrawn = await seconds(database.withdraw_block0(election, publication.hash, lease.generation, FACT))
    await plain.close()
    await database.close()
    return {
        "block0_megabytes": size / MEGABYTE,
        "publish_seconds": round(published, 2),
        "download_seconds": round(downloaded, 2),
        "withdraw_seconds": round(withdrawn, 2),
        "overview_milliseconds": round(overview * 1000, 1),
        "peak_memory_grown_megabytes": round(grown / MEGABYTE, 1),
        "plain_copy_seconds": round(copied, 2),
        "plain_read_seconds": round(read, 2),
        "publish_to_plain_copy": round(published / copied, 1),
        "download_to_plain_read": round(downloaded / read, 1),
    }


async def read_plainly(connection: asyncpg.Connection, target: Path) -> None:
    """Read the pieces of the plain table into a file."""
    async with written(target) as write, connection.transaction():
        cursor = await connection.cursor("SELECT piece FROM plain ORDER BY number")
        while rows := await cursor.fetch(1):
            await write(rows[0][0])


async def seconds(work: Awaitable[object]) -> float:
    """How long *work* takes."""
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


def peak_memory() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
