"""Publishing, withdrawing and reading block 0: up to 195 MB that neither the service's memory nor its event loop holds.

It crosses in pieces of 1 MiB. The server joins and encodes them, since they live as base64 in ``election.extras``.
"""

import json
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.block0.genesis import MAX_BLOCK0_SIZE
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import JournalEntry, Publication, Published
from node_fsm.database import tables
from node_fsm.database.file_pieces import PIECE_SIZE, read_pieces, written
from node_fsm.database.journal import write_entries
from node_fsm.database.lease import require_lease
from node_fsm.database.plans import read_plans, write_plans
from node_fsm.database.session import BULK_SECONDS, Session, driver
from node_fsm.database.specification import election_gone
from node_fsm.database.specifications import Specifications

_STAGING = "block0_staging"
_LOCK = text("""
    SELECT election.name, election.block0_hash, election_revision.revision
    FROM election JOIN election_revision ON election_revision.election = election.id
    WHERE election.id = :election FOR NO KEY UPDATE
""")
_STORE = text(f"""
    UPDATE election SET extras = extras || jsonb_build_object('block0', CAST(:about AS jsonb) || jsonb_build_object(
        'published_at', now(),
        'data', (SELECT string_agg(replace(encode(piece, 'base64'), E'\\n', ''), '')
            FROM (SELECT piece FROM {_STAGING} ORDER BY number) AS pieces)))
    WHERE id = :election
""")  # noqa: S608 - the one name put in is a constant
_REMOVE = text("UPDATE election SET extras = extras - 'block0' WHERE id = :election AND block0_hash = :hash")
_PIECES = """
    WITH block0 AS MATERIALIZED (
        SELECT decode(extras #>> '{block0,data}', 'base64') AS bytes FROM election WHERE id = $1 AND block0_hash = $2)
    SELECT substring(bytes FROM start FOR $3)
    FROM block0, generate_series(1, length(bytes), $3) AS start
"""


class Block0s:
    """Of the Database port: publishing, withdrawing and reading block 0."""

    def __init__(self, session: Session, specifications: Specifications) -> None:
        self._session = session
        self._specifications = specifications

    async def publish_block0(self, publication: Publication, block0: Path, entry: JournalEntry) -> None:
        """Publish block 0 and its plans in one transaction.

        Only when no block 0 stands there, the revision is the one read, and the lease generation is the current
        one. PermanentError ``PublicationRefused`` says which of these failed; publishing the same again is a no-op.
        """
        specified = await self._specifications.specified(publication.election_id, publication.revision)
        async with self._session.transaction("publish_block0", BULK_SECONDS) as connection:
            await _stage(connection, publication, block0)
            election = await _lock(connection, publication.election_id)
            if election.block0_hash == publication.hash:
                return
            await _require_unpublished(connection, election, publication)
            if not election.revision == publication.revision == specified.spec.revision:
                raise _refused(
                    f"{election.name} was edited while its block 0 was made (revision {publication.revision} is now"
                    f" {election.revision}); it is made anew"
                )
            await _store(connection, publication)
            await write_plans(connection, publication)
            await _write_specification(connection, publication, specified.canonical)
            await write_entries(connection, [entry])
            await require_lease(connection, publication.generation)

    async def publication(self, block0_hash: str) -> Published | None:
        """What was published with this block 0; None when the database does not know it, or not all of it."""
        column = tables.published_specification.c
        async with self._session.transaction("publication", snapshot=True) as connection:
            plans = await read_plans(connection, block0_hash)
            canonical = await connection.scalar(select(column.canonical).where(column.block0_hash == block0_hash))
        return Published(plans, canonical) if plans and canonical is not None else None

    async def restore_block0(
        self, publication: Publication, block0: Path, entry: JournalEntry, specification: str
    ) -> None:
        """Put back a block 0 that vanished although its plans were not withdrawn; the revision does not matter.

        Plans and *specification* (canonical text) that are gone as well are written anew. PermanentError
        ``PublicationRefused`` when it was withdrawn, or another chain stands or stood there and was not.
        """
        plan = tables.vote_plan.c
        async with self._session.transaction("restore_block0", BULK_SECONDS) as connection:
            await _stage(connection, publication, block0)
            election = await _lock(connection, publication.election_id)
            if election.block0_hash == publication.hash:
                return
            if election.block0_hash:
                raise _refused(f"block 0 {election.block0_hash} of {election.name} stands there now")
            standing = select(plan.withdrawn_at).where(plan.block0_hash == publication.hash).limit(1)
            known = (await connection.execute(standing)).one_or_none()
            if known is None:  # of a database that is older than the publication
                await _require_unpublished(connection, election, publication)
                await write_plans(connection, publication)
                await _write_specification(connection, publication, specification)
            elif known.withdrawn_at is not None:
                raise _refused(f"block 0 {publication.hash} of {election.name} was withdrawn")
            await _store(connection, publication)
            await write_entries(connection, [entry])
            await require_lease(connection, publication.generation)

    async def withdraw_block0(self, election_id: int, block0_hash: str, generation: int, entry: JournalEntry) -> None:
        """Remove exactly this block 0 and mark its plans withdrawn; withdrawn already is a no-op.

        PermanentError ``ElectionCounted`` when results of its chain stand.
        """
        plan = tables.vote_plan.c
        of_chain = (plan.election == election_id, plan.block0_hash == block0_hash)
        of_tally = tables.tally.c.block0_hash == block0_hash
        async with self._session.transaction("withdraw_block0", BULK_SECONDS) as connection:
            await _lock(connection, election_id)
            if await connection.scalar(select(plan.id).where(*of_chain).limit(1)) is None:
                raise PermanentError("Block0Unknown", f"election {election_id} never had a block 0 {block0_hash}")
            removed = await connection.execute(_REMOVE, {"election": election_id, "hash": block0_hash})
            withdrawn = await connection.execute(
                update(tables.vote_plan).where(*of_chain, plan.withdrawn_at.is_(None)).values(withdrawn_at=func.now())
            )
            if removed.rowcount or withdrawn.rowcount:
                # Asked with the plans locked, as those are who post results.
                if await connection.scalar(select(tables.tally.c.block0_hash).where(of_tally).limit(1)):
                    raise PermanentError("ElectionCounted", f"block 0 {block0_hash} stays: results of its chain stand")
                await write_entries(connection, [entry])
                await require_lease(connection, generation)

    async def download_block0(self, election_id: int, block0_hash: str, target: Path) -> None:
        """Write the published block 0 to *target*, whole or not at all; the caller checks its hash."""
        election = tables.election.c
        async with self._session.transaction("download_block0", BULK_SECONDS, snapshot=True) as connection:
            size = await connection.scalar(
                select(election.block0_size).where(election.id == election_id, election.block0_hash == block0_hash)
            )
            if size is None:
                raise PermanentError("Block0Missing", f"election {election_id} has no block 0 {block0_hash} any more")
            cursor = await (await driver(connection)).cursor(_PIECES, election_id, block0_hash, PIECE_SIZE)
            position = 0
            async with written(target) as write:
                try:
                    while rows := await cursor.fetch(1):
                        await write(rows[0][0])
                        position += len(rows[0][0])
                except asyncpg.InvalidParameterValueError as error:
                    raise _corrupt(election_id, str(error)) from error
                if position != size:
                    raise _corrupt(election_id, f"it has {position} bytes and should have {size}")


async def _stage(connection: AsyncConnection, publication: Publication, block0: Path) -> None:
    """Bring block 0 to the server before any row is locked."""
    if publication.size > MAX_BLOCK0_SIZE:
        raise PermanentError(
            "Block0TooLarge",
            f"block 0 has {publication.size} bytes, and the database takes at most {MAX_BLOCK0_SIZE}; raise the"
            " election's voting_power_unit, or split the election",
        )
    await connection.execute(text(f"CREATE TEMPORARY TABLE {_STAGING} (number int, piece bytea) ON COMMIT DROP"))
    await connection.execute(text(f"ALTER TABLE {_STAGING} ALTER COLUMN piece SET STORAGE EXTERNAL"))
    asyncpg_connection = await driver(connection)
    await asyncpg_connection.copy_records_to_table(_STAGING, records=read_pieces(block0), timeout=BULK_SECONDS)
    staged = await connection.scalar(text(f"SELECT coalesce(sum(length(piece)), 0) FROM {_STAGING}"))  # noqa: S608 - a constant
    if staged != publication.size:
        raise PermanentError("Block0Differs", f"{block0} has {staged} bytes and was checked with {publication.size}")


async def _lock(connection: AsyncConnection, election_id: int) -> Any:
    row = (await connection.execute(_LOCK, {"election": election_id})).one_or_none()
    if row is None:
        raise election_gone(election_id)
    return row


async def _require_unpublished(connection: AsyncConnection, election: Any, publication: Publication) -> None:
    """Neither does another chain stand, nor did this one before: votes cast on it would be valid a second time."""
    if election.block0_hash:
        raise _refused(f"block 0 {election.block0_hash} of {election.name} stands there already")
    plan = tables.vote_plan.c
    chains = await connection.execute(
        select(plan.block0_hash, plan.withdrawn_at)
        .where(plan.election == publication.election_id, plan.index == 0)
        .order_by(plan.id)
    )
    for chain in chains:
        if chain.withdrawn_at is None:
            raise _refused(
                f"block 0 {chain.block0_hash} of {election.name} vanished without being withdrawn; restore"
                " election.extras of its row from a backup, or give it up with `node-fsm election cancel`"
            )
        if chain.block0_hash == publication.hash:
            raise _refused(
                f"block 0 {chain.block0_hash} of {election.name} was withdrawn at {chain.withdrawn_at.isoformat()}, and"
                " votes of that chain would count again in a second one; change any of the election's times"
            )


async def _write_specification(connection: AsyncConnection, publication: Publication, canonical: str) -> None:
    row = {
        "block0_hash": publication.hash,
        "election": publication.election_id,
        "version": int(publication.fingerprint.partition(":")[0]),
        "canonical": canonical,
        "published_by": publication.published_by,
    }
    await connection.execute(insert(tables.published_specification).values(row).on_conflict_do_nothing())


async def _store(connection: AsyncConnection, publication: Publication) -> None:
    about = {
        "hash": publication.hash,
        "size": publication.size,
        "encoding": "base64",
        "fingerprint": publication.fingerprint,
        "published_by": publication.published_by,
        "generation": publication.generation,
    }
    await connection.execute(_STORE, {"election": publication.election_id, "about": json.dumps(about)})


def _corrupt(election_id: int, fault: str) -> PermanentError:
    return PermanentError(
        "Block0Corrupt",
        f"election.extras.block0 of election {election_id} is damaged: {fault}; restore the row from a backup, or end"
        " the election with `node-fsm election cancel`",
    )


def _refused(why: str) -> PermanentError:
    return PermanentError("PublicationRefused", why)
