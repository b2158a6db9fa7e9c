"""What goes into the archive of the chain in work, and of a chain that was set aside."""

import json
from dataclasses import asdict, dataclass

from loguru import logger

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.archive.manifest import Election, Tip
from node_fsm.archive.store import ArchiveRequest, archive_chain
from node_fsm.chain.recount import Recount
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import PermanentError, ServiceError
from node_fsm.core.events import Fact
from node_fsm.core.model import ArchiveKind, JournalEntry, PlanResult, StoredArchive
from node_fsm.steps.context import Context
from node_fsm.steps.tally import count
from node_fsm.steps.versions import ask_versions
from node_fsm.storage.files import make_private, write_private
from node_fsm.storage.workspace import ChainDirectory

ABOUT = "about.json"
ARCHIVED = "archived.json"
RECOUNT = "recount.json"
SET_ASIDE_RETRY_SECONDS = 300.0


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
        except (OSError, ValueError, TypeError, KeyError):
            return None


async def archive(
    ctx: Context, chain: ChainDirectory, about: About, results: tuple[PlanResult, ...] | None, untallied: str | None
) -> StoredArchive:
    """Archive a chain whose node has stopped, with its votes counted, and verify the archive."""
    if ctx.settings.archive_uri is None:
        raise PermanentError("SettingMissing", "NODE_FSM_ARCHIVE_S3_URI is not set; set it to s3://BUCKET/PREFIX")
    counted = await count(chain)
    await in_thread(DISK, write_record, chain, RECOUNT, json.dumps(_counts(counted), indent=1).encode())
    request = ArchiveRequest(
        directory=chain.path,
        kind=about.kind,
        election=Election(id=about.election_id, name=about.election_name),
        block0_hash=about.block0_hash,
        tip=Tip(hash=counted.tip.id, date=str(counted.tip.date), height=counted.tip.height),
        vote_plan_ids=tuple(plan.id for plan in counted.block0.vote_plans),
        results=results,
        untallied=untallied,
        fingerprint=about.fingerprint,
        versions=await ask_versions(ctx),
    )
    return await archive_chain(ctx.store, ctx.settings.archive_uri, request, ctx.clock)


def archive_fact(ctx: Context, made: StoredArchive) -> JournalEntry:
    """What the journal tells of a verified archive."""
    reason = f"the {made.kind} archive {made.uri} of block 0 {made.block0_hash} is verified"
    return ctx.fact(Fact.ARCHIVE_WRITTEN, made.election_id, made.election_name, reason)


def write_record(chain: ChainDirectory, name: str, document: bytes) -> None:
    """Put another file beside what the node said after voting."""
    make_private(chain.record)
    write_private(chain.record / name, document)


class SetAsideArchiver:
    """Archives, while leader 0 waits, what had to be set aside because S3 or the row was away at the time."""

    def __init__(self) -> None:
        self._next_attempt = 0.0

    async def archive_all(self, ctx: Context) -> None:
        """Try each chain that has no archive yet; after a failure, not again for some minutes."""
        if ctx.clock.monotonic() < self._next_attempt:
            return
        failed = [
            f"{directory.name}: {error.message}"
            for directory in await in_thread(DISK, ctx.workspace.set_aside_chains)
            if (error := await self._try(ctx, ChainDirectory(directory)))
        ]
        self._next_attempt = ctx.clock.monotonic() + SET_ASIDE_RETRY_SECONDS if failed else 0.0
        ctx.conditions.set(ConditionType.SET_ASIDE_UNARCHIVED, ("ArchiveFailed", "; ".join(failed)) if failed else None)

    async def _try(self, ctx: Context, chain: ChainDirectory) -> ServiceError | None:
        if (chain.path / ARCHIVED).exists() or not chain.blocks.exists():
            return None
        about = await in_thread(DISK, About.read, chain)
        if about is None:
            return PermanentError(
                "ArchiveFailed", f"no {ABOUT} says whose chain it is; move the directory to where it is kept"
            )
        try:
            made = await archive(ctx, chain, about, results=None, untallied="set aside before it was tallied")
            await ctx.database.save_archive(made, archive_fact(ctx, made))
        except ServiceError as error:
            return error
        await in_thread(DISK, write_private, chain.path / ARCHIVED, made.manifest.encode())
        logger.info("the chain that was set aside as {} is archived at {}", chain.path.name, made.uri)
        return None


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
