"""Records of archives, which outlive the elections they are of."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind, JournalEntry, StoredArchive
from node_fsm.database import tables
from node_fsm.database.journal import write_entries
from node_fsm.database.session import Session
from node_fsm.database.times import readable


class Archives:
    """Of the Database port: the records of archives."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def save_archive(self, archive: StoredArchive, entry: JournalEntry) -> None:
        """Write an archive's row; the same again is a no-op, PermanentError ``ArchiveDiffers`` if different."""
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
        if standing != archive.manifest:
            raise PermanentError(
                "ArchiveDiffers",
                f"archive has run {archive.run_id} of block 0 {archive.block0_hash} with another manifest; it is kept",
            )

    async def archive(self, block0_hash: str) -> StoredArchive | None:
        """The verified archive of this chain, final before any other kind, then the newest."""
        column = tables.archive.c
        query = (
            select(tables.archive)
            .where(column.block0_hash == block0_hash)
            .order_by((column.kind == ArchiveKind.FINAL.value).desc(), column.verified_at.desc())
            .limit(1)
        )
        async with self._session.transaction("archive") as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        verified_at = readable(row.verified_at, f"archive.verified_at of run {row.run_id} of block 0 {block0_hash}")
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
