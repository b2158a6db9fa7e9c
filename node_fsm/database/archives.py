"""Records of archives, which outlive the elections they are of."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from node_fsm.chain.cast import KEY_SIZE
from node_fsm.chain.pieces import pieces
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind, JournalEntry, StoredArchive
from node_fsm.database import tables
from node_fsm.database.journal import write_entries
from node_fsm.database.session import BULK_SECONDS, Session
from node_fsm.database.times import RowUnreadableError, readable

ID_SIZE = 32

_LIST = text("""
    SELECT election_name AS election, kind, verified_at, bytes, uri, block0_hash, run_id, tip_hash, sha256, manifest
    FROM archive
    WHERE (CAST(:election AS text) IS NULL OR election_name = :election) AND (CAST(:uri AS text) IS NULL OR uri = :uri)
    ORDER BY verified_at, block0_hash, run_id
""")


class Archives:
    """Of the Database port: the records of archives."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def save_archive(
        self, archive: StoredArchive, entry: JournalEntry, blocks: Sequence[str] = (), votes: Sequence[bytes] = ()
    ) -> None:
        """Write an archive's row, the ids of its *blocks* that hold fragments, and the keys of its *votes*.

        The same again is a no-op.

        PermanentError ``ArchiveDiffers`` when another manifest stands there.
        """
        column = tables.archive.c
        row = {
            "block0_hash": archive.block0_hash,
            "run_id": archive.run_id,
            "election": archive.election_id,
            "election_name": archive.election_name,
            "kind": archive.kind.value,
            "tip_hash": archive.tip_hash,
            "uri": archive.uri,
            "sha256": archive.sha256,
            "bytes": archive.bytes,
            "manifest": archive.manifest,
            "verified_at": archive.verified_at,
        }
        async with self._session.transaction("save_archive") as connection:
            written = await connection.execute(insert(tables.archive).values(row).on_conflict_do_nothing())
            if written.rowcount:
                await write_entries(connection, [entry])
            standing = await connection.scalar(
                select(column.manifest).where(
                    column.block0_hash == archive.block0_hash, column.run_id == archive.run_id
                )
            )
            if standing == archive.manifest:
                content = {
                    "block0_hash": archive.block0_hash,
                    "run_id": archive.run_id,
                    "ids": b"".join(map(bytes.fromhex, blocks)),
                    "votes": b"".join(votes),
                }
                await connection.execute(insert(tables.archived_block).values(content).on_conflict_do_nothing())
        if standing != archive.manifest:
            raise PermanentError(
                "ArchiveDiffers",
                f"archive has run {archive.run_id} of block 0 {archive.block0_hash} with another manifest; it is kept",
            )

    async def archived_blocks(self, block0_hash: str) -> frozenset[str]:
        """The ids of all blocks with fragments that verified archives of this chain hold, of whatever kind."""
        block = tables.archived_block.c
        async with self._session.transaction("archived_blocks", BULK_SECONDS) as connection:
            rows = list(await connection.scalars(select(block.ids).where(block.block0_hash == block0_hash)))
        return frozenset(one.hex() for packed in rows for one in pieces(packed, ID_SIZE))

    async def counted_votes(self, block0_hash: str) -> frozenset[bytes]:
        """The keys of the votes that the final archive of this chain counts; none when there is no such archive."""
        block, column = tables.archived_block.c, tables.archive.c
        query = (
            select(block.votes)
            .join_from(tables.archived_block, tables.archive)
            .where(block.block0_hash == block0_hash, column.kind == ArchiveKind.FINAL.value)
            .order_by(column.verified_at.desc())
            .limit(1)
        )
        async with self._session.transaction("counted_votes", BULK_SECONDS) as connection:
            return frozenset(pieces(await connection.scalar(query) or b"", KEY_SIZE))

    async def archive(self, block0_hash: str) -> StoredArchive | None:
        """The verified archive of this chain: final, else superseded, else the newest of another kind."""
        column = tables.archive.c
        query = (
            select(tables.archive)
            .where(column.block0_hash == block0_hash)
            .order_by(
                (column.kind == ArchiveKind.FINAL.value).desc(),
                (column.kind == ArchiveKind.SUPERSEDED.value).desc(),
                column.verified_at.desc(),
            )
            .limit(1)
        )
        async with self._session.transaction("archive") as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        run = f"run {row.run_id} of block 0 {block0_hash}"
        verified_at = readable(row.verified_at, f"archive.verified_at of {run}")
        if row.kind not in set(ArchiveKind):
            raise RowUnreadableError(f"archive.kind of {run}", f"is {row.kind[:40]!r}, which is none of them")
        return StoredArchive(
            election_id=row.election,
            election_name=row.election_name,
            block0_hash=row.block0_hash,
            run_id=row.run_id,
            kind=ArchiveKind(row.kind),
            tip_hash=row.tip_hash,
            uri=row.uri,
            sha256=row.sha256,
            bytes=row.bytes,
            manifest=row.manifest,
            verified_at=verified_at,
        )


async def list_archives(
    session: Session, *, election: str | None = None, uri: str | None = None
) -> list[dict[str, Any]]:
    """The rows of all archives, or of those of an election (name) or at a URI, the oldest first."""
    async with session.transaction("list_archives", BULK_SECONDS) as connection:
        rows = await connection.execute(_LIST, {"election": election, "uri": uri})
        return [dict(row._mapping) for row in rows]
