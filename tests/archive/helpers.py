"""A chain's directory to archive, and a store in memory."""

import copy
import io
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from node_fsm.archive.manifest import Election, FileEntry, Manifest, Tip, Versions
from node_fsm.archive.private_tally import EncryptedVotes
from node_fsm.archive.store import ArchiveRequest
from node_fsm.chain.recount import recount
from node_fsm.core.model import ArchiveKind, PlanResult
from node_fsm.ports.object_errors import ObjectExistsError, ObjectMissingError
from tests.chain.build import block_id
from tests.chain.helpers import DATA, stored

HEADER_SIZE = 82
ELECTION = Election(id=12, name="fund 9/é")
TIP = Tip(hash="e49511207383bc372e38662fa59b868638411f6188adb943bef468c08a38629a", date="0.13", height=13)
PUBLIC = PlanResult(
    plan_id="61c8bd1272e8ff3814fe6a85a32b771e30621e4d4f269d8030ca68408be21a53",
    votes=((0, 35, 300), (15, 0)),
    fragment_id="03637132dd669c088b5076c76d27ef962858292eb99d63fb03719a996b858ae4",
    on_chain=True,
)
PRIVATE = PlanResult(
    plan_id="d5a4cc019c10b26fbae1359710970d0c08546513e9d0bc343f9f8cb6ebc6fd2a",
    votes=((7, 11),),
    fragment_id="211cfb69e7d26c9fe770e1bca9a95448a8e603eaa6c7964d6d35d63c7aa2f6f3",
    on_chain=True,
)
VERSIONS = Versions(service="1.2.3", jormungandr="jormungandr 0.15.0", jcli="jcli 0.15.0")

ARCHIVED = {
    "block0.bin",
    "blocks.bin",
    "genesis.json",
    "node.yaml",
    "plans/plan-0.json",
    "plans/plan-0.cert",
    "plans/plan-0.signed",
    "fragments/2026-01-31_23.log",
    "record/stats.json",
    "record/vote-plans.json",
    "tally/plan-1/share-0.json",
    "tally/plan-1/share-1.json",
    "tally/plan-1/merged.json",
    "tally/plan-1/result.json",
}
LEFT_OUT = {
    "node_secret.yaml",
    "key.sk",
    "plans/key.sk",
    "plans/plan-0.json.tmp",
    "fragments/key.sk",
    "record/.key.json",
    "record/key.sk",
    "record/deeper/answer.json",
    "staging/transaction",
    "tally/share-0.json",
    "tally/plan-1/member0.sk",
    "tally/plan-1/share-x.json",
    "tally/plan-1/.share-0.json",
    "tally/plan-1/share-0.json.tmp",
    "tally/plan-1/deeper/share-0.json",
    "storage/permanent/blocks",
    "storage/block0.bin",
}


class FixedClock:
    """A clock that stands."""

    def now(self) -> datetime:
        return datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


def make_chain(directory: Path) -> Path:
    """A directory as the phases leave it: a chain of a real node, what belongs into its archive and what does not."""
    blocks = stored("blocks.b64")
    size = HEADER_SIZE + int.from_bytes(blocks[2:6])
    for name in ARCHIVED | LEFT_OUT:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"this is {name}\n" if name in ARCHIVED else "ed25519_sk1key")
    (directory / "blocks.bin").write_bytes(blocks)
    (directory / "block0.bin").write_bytes(blocks[:size])
    for name, content in private_tally().items():
        (directory / name).write_text(json.dumps(content))
    return directory


@cache
def private_tally() -> dict[str, Any]:
    """What the service keeps of a private tally, made of what stands in that chain's blocks; the plan is number 1."""
    votes = EncryptedVotes()
    counted = recount(io.BytesIO(stored("blocks.b64")), on_ballot=votes.add)
    [tally] = [tally for tally in counted.tallies if tally.plan_id == PRIVATE.plan_id]
    plans = json.loads((DATA / "plans.json").read_text())
    [opened] = [plan for plan in plans if plan["id"] == PRIVATE.plan_id]
    closed = copy.deepcopy(opened)
    for proposal, sums in zip(closed["proposals"], votes.of(counted.plans[PRIVATE.plan_id].plan), strict=True):
        proposal["tally"] = {"Private": {"state": {"Encrypted": {"encrypted_tally": sums.printed()}}}}
    merged = [[b64encode(share).decode() for share in shares] for shares in tally.shares or ()]
    return {
        "record/vote-plans.json": [*(plan for plan in plans if plan is not opened), closed],
        **{f"tally/plan-1/share-{member}.json": [shares[member] for shares in merged] for member in range(2)},
        "tally/plan-1/merged.json": merged,
        "tally/plan-1/result.json": opened,
    }


def block0_hash() -> str:
    """The hash of that chain's block 0."""
    return block_id(stored("blocks.b64"))


def request_of(directory: Path, **changes: Any) -> ArchiveRequest:
    """A request to archive that directory."""
    fields: dict[str, Any] = {
        "directory": directory,
        "kind": ArchiveKind.FINAL,
        "election": ELECTION,
        "block0_hash": block0_hash(),
        "tip": TIP,
        "vote_plan_ids": (PUBLIC.plan_id, PRIVATE.plan_id),
        "results": (PUBLIC, PRIVATE),
        "untallied": None,
        "fingerprint": "v1:abc",
        "versions": VERSIONS,
    }
    return ArchiveRequest(**fields | changes)


def manifest_of(tar: bytes, files: dict[str, bytes]) -> Manifest:
    """A manifest that says of a tar and its files what is true."""
    entries = [entry(name, content) for name, content in sorted(files.items())]
    document = {
        "format": 1,
        "kind": "salvage",
        "election": {"id": 12, "name": "fund9"},
        "block0_hash": "0" * 64,
        "tip": {"hash": "0" * 64, "date": "0.0", "height": 0},
        "vote_plan_ids": [],
        "results": None,
        "results_hash": None,
        "untallied": None,
        "fingerprint": None,
        "versions": {"service": "1", "jormungandr": None, "jcli": None},
        "created_at": "2026-02-03T04:05:06+00:00",
        "tar": {"name": "archive.tar.zst", "bytes": len(tar), "sha256": sha256(tar).hexdigest()},
        "files": [entry.model_dump() for entry in entries],
        "notes": [],
    }
    return Manifest.model_validate_json(json.dumps(document))


def entry(name: str, content: bytes) -> FileEntry:
    """What a manifest says of a file."""
    return FileEntry(name=name, bytes=len(content), sha256=sha256(content).hexdigest())


class MemoryStore:
    """An ObjectStore that keeps *objects* by URI."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def read(self, uri: str, limit: int) -> bytes:
        if uri not in self.objects:
            raise ObjectMissingError("S3ObjectMissing", uri)
        return self.objects[uri]

    async def uris(self, prefix: str) -> list[str]:
        return sorted(uri for uri in self.objects if uri.startswith(prefix))

    async def write_once(self, uri: str, data: bytes) -> bool:
        return self.objects.setdefault(uri, data) is data

    async def upload(self, uri: str, chunks: AsyncIterator[bytes]) -> None:
        if uri in self.objects:
            raise ObjectExistsError("S3ObjectExists", uri)
        self.objects[uri] = b"".join([chunk async for chunk in chunks])

    async def download(self, uri: str) -> AsyncIterator[bytes]:
        if uri not in self.objects:
            raise ObjectMissingError("S3ObjectMissing", uri)
        for start in range(0, len(self.objects[uri]), 1000):
            yield self.objects[uri][start : start + 1000]

    async def end_uploads(self, prefix: str, begun_before: datetime) -> int:
        return 0
