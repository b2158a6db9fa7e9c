"""Records of archives, which outlive the elections they are of."""

from typing import Any

from sqlalchemy import Row, case, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind, ArchiveRecord
from node_fsm.database import tables
from node_fsm.database.session import Session


class Archives(Session):
    """The methods of the Database port about archives."""

    async def record_archive(self, archive: ArchiveRecord) -> None:
        """Write an archive's row; the same again is a no-op, PermanentError ``ArchiveDiffers`` if different."""
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
        async with self.transaction("record_archive") as connection:
            await connection.execute(insert(tables.archive).values(row).on_conflict_do_nothing())
            standing = await _read(connection, tables.archive.c.run_id == archive.run_id, archive.block0_hash)
            if standing is None or standing.manifest != archive.manifest:
                raise PermanentError(
                    "ArchiveDiffers",
                    f"run {archive.run_id} of block 0 {archive.block0_hash} is recorded in archive with another"
                    " manifest; that record is kept",
                )

    async def archive(self, block0_hash: str) -> ArchiveRecord | None:
        """The verified archive of this chain, final before any other kind, then the newest."""
        async with self.transaction("archive") as connection:
            return await _read(connection, True, block0_hash)
