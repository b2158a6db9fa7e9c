"""How an election ended, as far as it must be the same whatever happened on the way."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from node_fsm.archive.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, TAR_NAME, Manifest
from node_fsm.archive.verify import verify_uri
from node_fsm.core.errors import TemporaryError
from node_fsm.steps.readiness import PROBE_NAME
from tests.faults.failpoints.world import POLL_SECONDS, World
from tests.faults.left_on_disk import left_on_disk

PLANS = """
    SELECT election, block0_hash, chain_id, index, payload_type, voting_group, token, encryption_key, block0_date,
           slot_duration, slots_per_epoch, vote_start, vote_end, committee_end,
           withdrawn_at IS NOT NULL, decrypted::text,
           (SELECT array_agg((proposal.index, proposal.proposal, proposal.external_id, proposal.options)::text
                             ORDER BY proposal.index) FROM vote_plan_proposal proposal WHERE vote_plan = vote_plan.id)
    FROM vote_plan ORDER BY block0_hash, index
"""
RESULTS = """
    SELECT tally.vote_plan, tally.on_chain, tally.disputed, proposal_index, external_id, option, votes
    FROM tally LEFT JOIN tally_result USING (block0_hash, vote_plan)
    ORDER BY tally.index, proposal_index, option
"""
FACTS = """
    SELECT event, count(*) FROM phase_journal
    WHERE event IN ('block0_written', 'block0_restored', 'block0_withdrawn', 'results_written', 'archive_written')
    GROUP BY event ORDER BY event
"""
PHASES = "SELECT hostname, phase, election FROM node_status ORDER BY hostname"
UNCOUNTED = "SELECT DISTINCT account, weight FROM uncounted_vote ORDER BY 1"

Rows = tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """*facts* says how often each was done; *phases* what each host reports; *objects* what the bucket holds."""

    block0: Rows
    plans: Rows
    results: Rows
    facts: Rows
    phases: Rows
    uncounted: Rows
    manifests: tuple[object, ...]
    doubts: tuple[str, ...]
    objects: tuple[str, ...]
    unfinished_uploads: int
    left: tuple[str, ...]

    @classmethod
    async def of(cls, world: World) -> "Ending":
        """How it ended; the services wait for the next election. Asked again while the database is slow to answer."""
        while True:
            try:
                return await cls._of(world)
            except TemporaryError:
                await asyncio.sleep(POLL_SECONDS)

    @classmethod
    async def _of(cls, world: World) -> "Ending":
        async with world.session.transaction("test", snapshot=True) as connection:

            async def rows(query: str) -> Rows:
                return tuple(tuple(row) for row in await connection.exec_driver_sql(query))

            block0 = await rows("SELECT block0_hash, block0_size, block0_fingerprint FROM election")
            plans, results, facts = await rows(PLANS), await rows(RESULTS), await rows(FACTS)
            phases, uncounted = await rows(PHASES), await rows(UNCOUNTED)
            uris = [str(uri) for (uri,) in await rows("SELECT uri FROM archive ORDER BY kind, uri")]
        manifests = [
            Manifest.parse(await world.store.read(f"{uri}/{MANIFEST_NAME}", MAX_MANIFEST_BYTES)) for uri in uris
        ]
        scratch = world.cluster.members[0].storage.parent
        checks = [check for uri in uris async for check in verify_uri(world.store, uri, scratch)]
        client, bucket = world.bucket.client, world.bucket.name
        keys = [str(found["Key"]) for found in client.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return cls(
            block0=block0,
            plans=plans,
            results=results,
            facts=facts,
            phases=phases,
            uncounted=uncounted,
            manifests=tuple(map(_lasting, manifests)),
            doubts=tuple(f"{check.name}: {check.detail}" for check in checks if not check.ok),
            objects=tuple(sorted(map(_without_run, _counted(keys)))),
            unfinished_uploads=len(client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])),
            left=tuple(
                f"{member.hostname}: {name}"
                for member in world.cluster.members
                for name in left_on_disk(member.storage)
            ),
        )


def _lasting(manifest: Manifest) -> object:
    """What a manifest says beside which block a vote came into, when, and what it was called for that."""
    said = manifest.model_dump(exclude={"created_at", "tip", "tar", "files", "results", "results_hash"})
    results = [result.model_dump(exclude={"fragment_id"}) for result in manifest.results or ()]
    # Logs are named by the hour, and a node that was started again has another configuration.
    names = {re.sub(r"^fragments/.*", "fragments/", file.name) for file in manifest.files}
    return said, results, sorted(names)


def _counted(keys: Sequence[str]) -> Iterator[str]:
    """*keys* without what stays and counts for nothing.

    That are archives that broke off before they had a manifest, and with what a service tries whether it may write: it
    may have had no time for that.
    """
    begun = {key.removesuffix(TAR_NAME) for key in keys if key.endswith(f"/{TAR_NAME}")}
    broken_off = {run + TAR_NAME for run in begun if run + MANIFEST_NAME not in keys}
    return (key for key in keys if key not in broken_off and not key.endswith(f"/{PROBE_NAME}"))


def _without_run(key: str) -> str:
    """A key without the hash of the chain's last block and the number of the attempt, by which an archive is named."""
    return re.sub(r"-[0-9a-f]{16}(-\d+)?(?=/)", "-TIP", key)
