"""What goes into the archive of a chain, and what is recorded of it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.archive.check import UNCOUNTED
from node_fsm.archive.manifest import Election, Tip
from node_fsm.archive.store import ArchiveRequest, archive_chain
from node_fsm.chain.recount import Recount
from node_fsm.core.errors import NOT_AS_EXPECTED, PermanentError
from node_fsm.core.events import Fact
from node_fsm.core.model import ArchiveKind, PlanResult, StoredArchive, UncountedVote
from node_fsm.steps.context import Context
from node_fsm.steps.kept_results import RESULTS, kept_results
from node_fsm.steps.tally import count
from node_fsm.steps.versions import ask_versions
from node_fsm.storage.block_copy import blocks_with_fragments
from node_fsm.storage.files import make_private, write_private
from node_fsm.storage.votes_cast import read_cast
from node_fsm.storage.workspace import ChainDirectory

ABOUT = "about.json"
RECOUNT = "recount.json"
DISPUTED = "disputed.txt"

_UNTALLIED = {
    ArchiveKind.FINAL: "no result could be had in time",
    ArchiveKind.SUPERSEDED: "block 0 was withdrawn",
    ArchiveKind.DIVERGENT: "a part of the chain that was given up",
    ArchiveKind.SALVAGE: "set aside before it was tallied",
}
"""What an archive without results says of that."""

_COUNTED = frozenset({ArchiveKind.FINAL, ArchiveKind.DIVERGENT})
"""Of elections that end: votes may be missing from their count."""


@dataclass(frozen=True, slots=True)
class About:
    """Whose chain a directory holds; kept in it, because the database may no longer say so later."""

    election_id: int
    election_name: str
    block0_hash: str
    kind: ArchiveKind
    fingerprint: str | None

    @classmethod
    def in_work(cls, ctx: Context, kind: ArchiveKind) -> "About":
        """The chain in work."""
        work, block0 = ctx.election_in_work(), ctx.block0_in_work()
        return cls(work.election_id, work.election_name, block0.hash, kind, block0.fingerprint)

    def write(self, chain: ChainDirectory) -> None:
        """Keep this in the chain's directory; it stays there when the directory is set aside."""
        write_private(chain.path / ABOUT, json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, chain: ChainDirectory) -> "About | None":
        """What is kept in a directory; None when there is nothing that can be read."""
        try:
            values = json.loads((chain.path / ABOUT).read_bytes())
            return cls(**values | {"kind": ArchiveKind(values["kind"])})
        except (OSError, *NOT_AS_EXPECTED):
            return None


async def archive(ctx: Context, chain: ChainDirectory, about: About) -> StoredArchive:
    """Archive a chain whose node has stopped, with its votes counted, and verify the archive."""
    if ctx.settings.archive_uri is None:
        raise PermanentError("SettingMissing", "NODE_FSM_ARCHIVE_S3_URI is not set; set it to s3://BUCKET/PREFIX")
    results: tuple[PlanResult, ...] = ()
    if about.kind is ArchiveKind.FINAL:
        results = await ctx.database.results(about.block0_hash) or await kept_results(chain)
    if results:
        document = json.dumps([asdict(result) for result in results], indent=1).encode()
        await in_thread(DISK, write_record, chain, RESULTS, document)
    counted = await count(chain)
    await in_thread(DISK, write_record, chain, RECOUNT, json.dumps(_counts(counted), indent=1).encode())
    uncounted = await ctx.database.uncounted(about.block0_hash) if about.kind in _COUNTED else ()
    if uncounted:
        await in_thread(
            DISK, write_record, chain, Path(UNCOUNTED).name, json.dumps(list(map(_shown, uncounted)), indent=1).encode()
        )
    disputed = await ctx.database.disputed(about.block0_hash) if results else None
    if disputed:
        await in_thread(DISK, write_record, chain, DISPUTED, disputed.encode())
    else:  # an attempt of before it was settled may have left it
        await in_thread(DISK, partial((chain.record / DISPUTED).unlink, missing_ok=True))
    request = ArchiveRequest(
        directory=chain.path,
        kind=about.kind,
        election=Election(id=about.election_id, name=about.election_name),
        block0_hash=about.block0_hash,
        tip=Tip(hash=counted.tip.id, date=str(counted.tip.date), height=counted.tip.height),
        vote_plan_ids=tuple(plan.id for plan in counted.block0.vote_plans),
        results=results or None,
        untallied=_untallied(about.kind, counted, results),
        fingerprint=about.fingerprint,
        versions=await ask_versions(ctx),
        notes=tuple(_notes(ctx, about.kind, uncounted, disputed)),
    )
    return await archive_chain(ctx.store, ctx.settings.archive_uri, request, ctx.clock)


async def record_archive(ctx: Context, chain: ChainDirectory, made: StoredArchive) -> None:
    """Record a verified archive with what it holds: other nodes know by its blocks, and its votes, what it lacks."""
    reason = f"the {made.kind} archive {made.uri} of block 0 {made.block0_hash} is verified"
    entry = ctx.fact(Fact.ARCHIVE_WRITTEN, made.election_id, made.election_name, reason)
    blocks = await in_thread(LONG, blocks_with_fragments, chain.blocks)
    votes = await in_thread(LONG, read_cast, chain.blocks) if made.kind is ArchiveKind.FINAL else ()
    await ctx.database.save_archive(made, entry, blocks, votes)


async def is_covered(ctx: Context, chain: ChainDirectory, block0_hash: str) -> bool:
    """Whether archives hold every block with fragments that this machine has of a chain; others hold nothing to lose.

    PermanentError when the copy of the blocks cannot be read. A node's store without the copy of its blocks proves
    nothing, unless it is one that only waited for its peers.
    """
    if not await in_thread(DISK, chain.blocks.exists):
        return not await in_thread(DISK, lambda: chain.is_held)
    own = await in_thread(LONG, blocks_with_fragments, chain.blocks)
    return not own or await ctx.database.archived_blocks(block0_hash) >= set(own)


def write_record(chain: ChainDirectory, name: str, document: bytes) -> None:
    """Put another file beside what the node said after voting."""
    make_private(chain.record)
    write_private(chain.record / name, document)


def _untallied(kind: ArchiveKind, counted: Recount, results: Sequence[PlanResult]) -> str | None:
    """Why there are no results, or none of some private plans."""
    closed = [plan.id for plan in counted.block0.vote_plans if plan.id not in {result.plan_id for result in results}]
    if not results or not closed:
        return None if results else _UNTALLIED[kind]
    return (
        f"not all members' shares were there in time for plan {', '.join(closed)}; `node-fsm tally --archive` makes"
        " their tally up once they are"
    )


def _notes(ctx: Context, kind: ArchiveKind, uncounted: Sequence[UncountedVote], disputed: str | None) -> Iterator[str]:
    if kind is ArchiveKind.DIVERGENT:
        yield f"{ctx.settings.hostname} had this part of the chain"
    if uncounted:
        weight = sum(vote.weight for vote in uncounted)
        yield (
            f"{len(uncounted)} votes of weight {weight}, which nodes had accepted in time, are not counted; they are in"
            f" {UNCOUNTED}, with the reasons"
        )
    if disputed:
        yield f"the count is disputed: {disputed}"


def _shown(vote: UncountedVote) -> dict[str, object]:
    """A vote as the archive has it, its fragment in hex."""
    return asdict(vote) | {"raw": vote.raw.hex()}


def read_uncounted(document: bytes) -> list[UncountedVote]:
    """The votes in what the archive has of them; PermanentError when it is something else."""
    try:
        return [UncountedVote(**vote | {"raw": bytes.fromhex(vote["raw"])}) for vote in json.loads(document)]
    except NOT_AS_EXPECTED as error:
        raise PermanentError("ArchiveNotVerified", f"{UNCOUNTED} is no list of votes ({error!r})") from error


def _counts(counted: Recount) -> list[dict[str, object]]:
    return [
        {
            "plan_id": plan_id,
            "proposals": [
                {"external_id": proposal.external_id, "votes_cast": proposal.votes_cast, "votes": proposal.weights}
                for proposal in plan.proposals
            ],
        }
        for plan_id, plan in counted.plans.items()
    ]
