"""What private votes are opened with: the snapshots of their sums, the members' shares, and what was decrypted."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from node_fsm.aio.threads import LONG, in_thread
from node_fsm.core.committee import PostedShare, Results, SavedSnapshot, Share, read_share
from node_fsm.core.errors import PermanentError
from node_fsm.database import tables
from node_fsm.database.session import Session


class Shares:
    """Of the Database port: the committee's part of a tally."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def tally_snapshots(self, block0_hash: str) -> tuple[SavedSnapshot, ...]:
        """The snapshots of the chain's plans by plan index; empty before they are stored."""
        plan = tables.vote_plan.c
        query = (
            select(plan.chain_id, plan.tally_snapshot, plan.tally_snapshot_hash)
            .where(plan.block0_hash == block0_hash, plan.tally_snapshot_hash.is_not(None))
            .order_by(plan.index)
        )
        async with self._session.transaction("tally_snapshots") as connection:
            return tuple(SavedSnapshot(*row) for row in await connection.execute(query))

    async def post_shares(self, block0_hash: str, shares: Sequence[PostedShare]) -> None:
        """Add *shares*; those that stand there already stay. PermanentError ``SnapshotUnknown``."""
        plan = tables.vote_plan.c
        query = select(plan.chain_id, plan.id, plan.tally_snapshot_hash).where(plan.block0_hash == block0_hash)
        async with self._session.transaction("post_shares") as connection:
            plans = {row.chain_id: row for row in await connection.execute(query)}
            rows = []
            for share in shares:
                row = plans.get(share.plan_id)
                if row is None or row.tally_snapshot_hash != share.snapshot_hash:
                    raise snapshot_unknown(share, row.tally_snapshot_hash if row else None)
                text = json.dumps(share.share)
                rows.append(
                    {
                        "vote_plan": row.id,
                        "snapshot_hash": share.snapshot_hash,
                        "committee_member": share.member_key,
                        "sha256": sha256(text.encode()).hexdigest(),
                        "share": text,
                    }
                )
            if rows:
                await connection.execute(insert(tables.decryption_share).on_conflict_do_nothing(), rows)

    async def shares(self, block0_hash: str) -> tuple[PostedShare, ...]:
        """All that was posted for the chain's plans, the first first; what is no list of texts is an empty share."""
        plan, share = tables.vote_plan.c, tables.decryption_share.c
        query = (
            select(plan.chain_id, share.snapshot_hash, share.committee_member, share.share, share.posted_at)
            .join_from(tables.decryption_share, tables.vote_plan)
            .where(plan.block0_hash == block0_hash)
            .order_by(share.posted_at, plan.index, share.committee_member, share.sha256)
        )
        async with self._session.transaction("shares") as connection:
            rows = (await connection.execute(query)).all()
        return await in_thread(LONG, _posted, rows)

    async def save_decrypted(self, block0_hash: str, results: Mapping[str, Results]) -> None:
        """Keep what was decrypted; PermanentError ``ResultsDiffer`` when something else stands there."""
        plan = tables.vote_plan.c
        async with self._session.transaction("save_decrypted") as connection:
            for plan_id, votes in results.items():
                this = (plan.block0_hash == block0_hash, plan.chain_id == plan_id)
                standing = await connection.scalar(select(plan.decrypted).where(*this).with_for_update(key_share=True))
                if standing is None:
                    kept = [list(options) for options in votes]
                    await connection.execute(update(tables.vote_plan).where(*this).values(decrypted=kept))
                elif _results(standing) != votes:
                    raise results_differ(plan_id)

    async def decrypted(self, block0_hash: str) -> dict[str, Results]:
        """What was kept, by plan id."""
        plan = tables.vote_plan.c
        query = (
            select(plan.chain_id, plan.decrypted)
            .where(plan.block0_hash == block0_hash, plan.decrypted.is_not(None))
            .order_by(plan.index)
        )
        async with self._session.transaction("decrypted") as connection:
            return {row.chain_id: _results(row.decrypted) for row in await connection.execute(query)}


def snapshot_unknown(share: PostedShare, standing: str | None) -> PermanentError:
    """The refusal of a share that was made of something else than what stands there."""
    there = f"the one that stands there is {standing}" if standing else "none stands there: voting may not have ended"
    return PermanentError(
        "SnapshotUnknown",
        f"the share of plan {share.plan_id} was made of snapshot {share.snapshot_hash}, but {there}; make it of the"
        " snapshot that `node-fsm committee snapshot` gives",
    )


def results_differ(plan_id: str) -> PermanentError:
    """The refusal to decrypt a plan's votes to something else than before."""
    return PermanentError(
        "ResultsDiffer",
        f"vote_plan.decrypted of plan {plan_id} holds other results than were decrypted now; they are kept, find out"
        " which are right",
    )


def _posted(rows: Sequence[Any]) -> tuple[PostedShare, ...]:
    """Many rows of 128 KiB at worst: the event loop has no time for that."""
    return tuple(
        PostedShare(row.chain_id, row.snapshot_hash, row.committee_member, _parse(row.share), row.posted_at)
        for row in rows
    )


def _parse(text: str) -> Share:
    """The share in a row that any member may have written: whatever it is, it only fails its check."""
    try:
        return read_share(json.loads(text)) or ()
    except (ValueError, RecursionError):
        return ()


def _results(kept: list[list[int]]) -> Results:
    return tuple(tuple(options) for options in kept)
