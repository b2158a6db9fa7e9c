"""Gathering what came of the demo: results and phases from the database, archives from S3, checked offline."""

import asyncio
from collections import defaultdict
from pathlib import Path

from sqlalchemy import text

from node_fsm.archive.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, TAR_NAME
from node_fsm.archive.verify import verify_directory
from node_fsm.core.errors import ServiceError
from node_fsm.database.election_show import describe_election
from node_fsm.database.session import Session
from node_fsm_sandbox.demo.directories import Directories
from node_fsm_sandbox.demo.outcome import Archive, ElectionOutcome, Step
from node_fsm_sandbox.election.draw import DrawnElection
from node_fsm_sandbox.election.outside import Servers

_JOURNAL = text('SELECT hostname, election_name, "to", at FROM phase_journal WHERE "from" <> "to" ORDER BY at, id')


async def election_outcome(drawn: DrawnElection, servers: Servers, places: Directories) -> ElectionOutcome:
    """What the database says of an election, and its archive, copied to this disk and verified there."""
    shown = await describe_election(servers.session, drawn.name)
    results: dict[str, list[int]] = {}
    for plan in shown["plans"]:
        results |= plan["results"]
    final = [archive["uri"] for archive in shown["archives"] if archive["kind"] == "final"]
    return ElectionOutcome(
        drawn=drawn,
        block0_hash=shown["block0_hash"],
        results=results,
        on_chain=bool(shown["plans"]) and all(plan["on_chain"] for plan in shown["plans"]),
        archive=await _verified(final[0], servers, places.work / "archives" / drawn.name, places.temporary)
        if final
        else None,
    )


async def journal(session: Session) -> dict[str, tuple[Step, ...]]:
    """The phases of each node in order, by hostname."""
    steps: defaultdict[str, tuple[Step, ...]] = defaultdict(tuple)
    async with session.transaction("journal", snapshot=True) as connection:
        for row in await connection.execute(_JOURNAL):
            steps[row.hostname] += (Step(row.election_name, row.to, row.at),)
    return steps


async def _verified(uri: str, servers: Servers, copy: Path, scratch: Path) -> Archive:
    """Copy an archive's two objects, and check the copy with nothing but itself."""
    checks, faults = 0, []
    try:
        await _copy(uri, servers, copy)
        async for check in verify_directory(copy, scratch):
            checks += 1
            if not check.ok:
                faults.append(f"{check.name}: {check.detail}")
    except ServiceError as error:
        faults.append(error.message)
    return Archive(uri, copy, checks, tuple(faults))


async def _copy(uri: str, servers: Servers, directory: Path) -> None:
    manifest = await servers.store.read(f"{uri}/{MANIFEST_NAME}", MAX_MANIFEST_BYTES)
    tar = [piece async for piece in servers.store.download(f"{uri}/{TAR_NAME}")]  # of a minute's chain: small
    await asyncio.to_thread(_write, directory, {MANIFEST_NAME: manifest, TAR_NAME: b"".join(tar)})


def _write(directory: Path, files: dict[str, bytes]) -> None:
    directory.mkdir(parents=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
