"""A private vote plan after voting: its encrypted sums as they were kept for all members, and its tally's files."""

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node_fsm.chain.certificates import PlanCertificate
from node_fsm.core.committee import Results, SavedSnapshot, Share
from node_fsm.core.errors import NOT_AS_EXPECTED, PermanentError
from node_fsm.ports.answers import VotePlanStatus, encrypted_tallies
from node_fsm.storage.files import make_private, write_private
from node_fsm.storage.workspace import ChainDirectory


@dataclass(slots=True)
class PrivatePlan:
    """*printed* is the node's account of the plan, its proposals in the plan's order; *encrypted* are the sums in it.

    They are empty when the chain had the tally before anybody kept them. *shares* are those that hold, by the
    member's number in the plan; *claimed* is what an earlier life, or the chain, has as the votes; *results* are these
    once they are known; *is_kept* says whether the shares were seen to prove them, and they are in the database and in
    the files of which the tally is made.
    """

    certificate: PlanCertificate
    power: int
    directory: Path
    snapshot_hash: str
    printed: dict[str, Any]
    encrypted: tuple[str, ...]
    shares: dict[int, Share] = field(default_factory=dict)
    claimed: Results | None = None
    results: Results | None = None
    is_kept: bool = False

    @property
    def id(self) -> str:
        return self.certificate.id

    @property
    def members(self) -> tuple[str, ...]:
        """The members' public keys, in the order in which their shares are merged."""
        return self.certificate.committee_member_public_keys

    @property
    def missing(self) -> list[int]:
        """The members of whom no share holds; none where nothing is encrypted."""
        return [index for index in range(len(self.members)) if index not in self.shares] if self.encrypted else []

    @property
    def is_complete(self) -> bool:
        """Whether every member's share is there."""
        return bool(self.encrypted) and not self.missing

    @property
    def snapshot(self) -> Path:
        """What jcli is given to read of the plan: nothing of other plans, which anybody may add to a chain."""
        return self.directory / "snapshot.json"

    @property
    def merged(self) -> Path:
        return self.directory / "merged.json"

    @property
    def result(self) -> Path:
        return self.directory / "result.json"

    def share_file(self, member: int) -> Path:
        return self.directory / f"share-{member}.json"

    def keep_share(self, member: int, share: Share) -> None:
        """Take a share that holds, and put it into its file. Call it in a thread."""
        self.shares[member] = share
        write_if_changed(self.share_file(member), json.dumps(share).encode())

    def keep_result(self, results: Results) -> None:
        """Write the plan as jcli does when it has decrypted it: it makes the tally of that. Call it in a thread."""
        proposals = [
            proposal | {"tally": {"Private": {"state": {"Decrypted": {"result": _result(votes)}}}}}
            for proposal, votes in zip(self.printed["proposals"], results, strict=True)
        ]
        write_if_changed(self.result, json.dumps(self.printed | {"proposals": proposals}, indent=1).encode())


def _result(votes: Sequence[int]) -> dict[str, Any]:
    return {"results": list(votes), "options": {"start": 0, "end": len(votes)}}


def read_private_plan(
    chain: ChainDirectory, index: int, certificate: PlanCertificate, power: int, saved: SavedSnapshot
) -> PrivatePlan:
    """The *index*-th plan of block 0, which has *power*; PermanentError when what was *saved* is not understood.

    Call it in a thread.
    """
    try:
        proposals = sorted(saved.printed["proposals"], key=lambda proposal: int(proposal["index"]))
        printed = saved.printed | {"proposals": proposals}
        encrypted = encrypted_sums(printed)
        for sums in encrypted:
            b64decode(sums, validate=True)
    except NOT_AS_EXPECTED as error:
        raise PermanentError(
            "RecordDamaged",
            f"vote_plan.tally_snapshot of plan {certificate.id} is not the node's account of it ({error!r}); restore"
            " the column from a backup",
        ) from error
    plan = PrivatePlan(
        certificate=certificate,
        power=power,
        directory=chain.tally / f"plan-{index}",
        snapshot_hash=saved.hash,
        printed=printed,
        encrypted=encrypted,
    )
    write_if_changed(plan.snapshot, json.dumps(plan.printed).encode())
    return plan


def encrypted_sums(printed: Mapping[str, Any]) -> tuple[str, ...]:
    """The encrypted sums of a private plan by proposal, in base64; empty when they are opened already."""
    return tuple(sums for sums in encrypted_tallies(printed) if sums is not None)


def read_result(file: Path) -> Results | None:
    """The votes in what jcli wrote; None when there is no such file, or it is none."""
    try:
        return VotePlanStatus.parse(json.loads(file.read_bytes())).results
    except (OSError, *NOT_AS_EXPECTED):
        return None


def write_if_changed(file: Path, data: bytes) -> None:
    """Have *data* in *file*, as it may be already since an earlier life."""
    try:
        if file.read_bytes() == data:
            return
    except FileNotFoundError:
        make_private(file.parent)
    write_private(file, data)
