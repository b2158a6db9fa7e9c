"""The two files that carry a tally to a machine without a database and back: what to decrypt, and the shares of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node_fsm.core.committee import PostedShare, SavedSnapshot, read_share
from node_fsm.importing.errors import InputFileError
from node_fsm.importing.text_file import read_text

_SNAPSHOT = "node-fsm committee snapshot"
_SHARES = "node-fsm committee shares"


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """The sums of an election's private votes."""

    election: str
    block0_hash: str
    snapshots: tuple[SavedSnapshot, ...]

    def text(self) -> str:
        """As a file."""
        plans = [{"plan": each.plan_id, "hash": each.hash, "printed": each.printed} for each in self.snapshots]
        return _text(_SNAPSHOT, self.election, self.block0_hash, plans)


@dataclass(frozen=True, slots=True)
class SharesFile:
    """A member's shares of an election's private votes."""

    election: str
    block0_hash: str
    shares: tuple[PostedShare, ...]

    def text(self) -> str:
        """As a file."""
        plans = [
            {
                "plan": each.plan_id,
                "snapshot_hash": each.snapshot_hash,
                "member": each.member_key,
                "share": list(each.share),
            }
            for each in self.shares
        ]
        return _text(_SHARES, self.election, self.block0_hash, plans)


def read_snapshot_file(file: Path) -> SnapshotFile:
    """What SnapshotFile.text wrote; InputFileError when it is something else."""
    document = _document(file, _SNAPSHOT, "committee snapshot --election NAME --out FILE", {"plan", "hash", "printed"})
    return SnapshotFile(
        document["election"],
        document["block0_hash"],
        tuple(SavedSnapshot(each["plan"], each["printed"], each["hash"]) for each in document["plans"]),
    )


def read_shares_file(file: Path) -> SharesFile:
    """What SharesFile.text wrote; InputFileError when it is something else."""
    written_by = "committee share --snapshot FILE --key-file F --out FILE"
    document = _document(file, _SHARES, written_by, {"plan", "snapshot_hash", "member", "share"})
    shares = []
    for plan in document["plans"]:
        share = read_share(plan["share"])
        if share is None:
            raise InputFileError([f"{file}: the share of plan {plan['plan']} is no list of texts; make the file again"])
        shares.append(PostedShare(plan["plan"], plan["snapshot_hash"], plan["member"], share))
    return SharesFile(document["election"], document["block0_hash"], tuple(shares))


def _text(kind: str, election: str, block0_hash: str, plans: list[dict[str, Any]]) -> str:
    document = {"kind": kind, "election": election, "block0_hash": block0_hash, "plans": plans}
    return json.dumps(document, indent=1) + "\n"


def _document(file: Path, kind: str, written_by: str, fields: set[str]) -> Any:
    """The file as JSON of this *kind*, every field there and those that are not checked later texts."""
    wanted = f"give what `node-fsm {written_by}` wrote"
    try:
        document = json.loads(read_text(file))
    except (ValueError, RecursionError):
        raise InputFileError([f"{file}: is not whole, or not JSON; {wanted}"]) from None
    found = document.get("kind") if isinstance(document, dict) else None
    if found != kind:
        other = f"is the file of a {found}" if found in (_SNAPSHOT, _SHARES) else "is another kind of file"
        raise InputFileError([f"{file}: {other}; {wanted}"])
    plans = document.get("plans")
    texts = fields - {"printed", "share"}
    if not (
        all(isinstance(document.get(name), str) for name in ("election", "block0_hash"))
        and isinstance(plans, list)
        and plans
        and all(isinstance(plan, dict) and plan.keys() == fields for plan in plans)
        and all(isinstance(plan[name], str) for plan in plans for name in texts)
    ):
        raise InputFileError([f"{file}: lacks plans, or something of them; {wanted}"])
    ids = [plan["plan"] for plan in plans]
    if twice := next((id_ for id_ in ids if ids.count(id_) > 1), None):
        raise InputFileError([f"{file}: has plan {twice} more than once; {wanted}"])
    return document
