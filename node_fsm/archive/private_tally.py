"""Whether the tally of a private plan follows from the blocks: sums of the ballots, shares, and what these open.

The sums are made anew of the ballots in the blocks. A member's share is proven by what it carries, and all members'
shares together open the sums to the result and to no other. So nothing here is believed that the archive merely says.
"""

import json
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node_fsm.archive.check import MAX_DOCUMENT_BYTES, Check
from node_fsm.archive.manifest import Manifest, ResultEntry
from node_fsm.archive.watched import Watched
from node_fsm.chain.ballot_sums import BallotSums
from node_fsm.chain.block0 import summarise
from node_fsm.chain.certificates import PlanCertificate
from node_fsm.chain.decryption import EncryptedTally, read_encrypted_tally, result_problem, share_problem
from node_fsm.chain.recount import Recount, TallyFound, recount
from node_fsm.core.committee import Results, Share, read_share
from node_fsm.core.errors import NOT_AS_EXPECTED
from node_fsm.core.progress import Progress
from node_fsm.ports.answers import VotePlanStatus, encrypted_tallies

VOTE_PLANS: Final = "record/vote-plans.json"
"""What the node said of all plans after voting, with the encrypted sums."""

_BUFFER_BYTES = 2**20


class UnreadableError(ValueError):
    """A file of an archive is not what its name says; the message names it."""


class EncryptedVotes:
    """The ballots of all private plans, summed as they are read off the blocks."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[int, BallotSums]] = defaultdict(dict)

    def add(self, plan: PlanCertificate, proposal: int, ballot: bytes, weight: int) -> None:
        """Add a ballot; ValueError when it is none."""
        sums = self._sums[plan.id]
        if proposal not in sums:
            sums[proposal] = BallotSums(plan.proposals[proposal].options)
        sums[proposal].add(ballot, weight)

    def of(self, plan: PlanCertificate) -> tuple[EncryptedTally, ...]:
        """The sums of a plan's proposals."""
        sums = self._sums[plan.id]
        return tuple(
            (sums.get(index) or BallotSums(proposal.options)).total() for index, proposal in enumerate(plan.proposals)
        )


@dataclass(frozen=True, slots=True)
class TallyFiles:
    """What an archive has of the *number*-th plan of block 0, which is private.

    *encrypted* are the sums in the node's account of the plan, in base64, None where it has none; *shares* those of
    members by their number; *merged* what was made of them; *results* what they opened.
    """

    encrypted: tuple[str, ...] | None
    shares: dict[int, Share]
    merged: tuple[Share, ...] | None
    results: Results | None

    @classmethod
    def read(cls, directory: Path, number: int, plan: PlanCertificate) -> "TallyFiles":
        """Read what there is of them; UnreadableError. A tally file is looked for by the name that it must have."""
        tally = f"tally/plan-{number}"
        members = range(len(plan.committee_member_public_keys))
        files = {member: _read(directory, f"{tally}/share-{member}.json", _share) for member in members}
        return cls(
            encrypted=_read(directory, VOTE_PLANS, lambda answer: _encrypted(answer, plan)),
            shares={member: share for member, share in files.items() if share is not None},
            merged=_read(directory, f"{tally}/merged.json", lambda value: tuple(map(_share, _list(value)))),
            results=_read(directory, f"{tally}/result.json", _results),
        )


def check_private_plans(
    directory: Path, manifest: Manifest, progress: Progress = lambda _read, _size: None
) -> Iterator[Check]:
    """Check the tallies of an archive's private plans; its chain, found right before, and its files are in *directory*.

    It takes 0.5 ms for each ballot of three options, and 0.3 ms for each option of a member's share.
    """
    with (directory / "block0.bin").open("rb", buffering=_BUFFER_BYTES) as stream:
        if not summarise(stream).private_plans:
            return
    try:
        counted, votes = sum_ballots(directory / "blocks.bin", progress)
    except (OSError, ValueError) as error:
        yield Check("encrypted votes", ok=False, detail=f"the ballots in the blocks cannot be added up: {error}")
        return
    for number, plan, entry, tally in private_tallies(manifest, counted):
        try:
            files = TallyFiles.read(directory, number, plan)
        except UnreadableError as error:
            yield Check(f"tally of plan {plan.id}", ok=False, detail=str(error))
        else:
            yield from check_private_plan(files, plan, votes.of(plan), entry, tally)


def private_tallies(
    manifest: Manifest, counted: Recount
) -> Iterator[tuple[int, PlanCertificate, ResultEntry | None, TallyFound | None]]:
    """The private plans with their numbers in block 0, what the manifest says of each, and the tally that it names."""
    entries = {entry.plan_id: entry for entry in manifest.results or ()}
    tallies = {(tally.plan_id, tally.fragment_id): tally for tally in counted.tallies}
    for number, plan in counted.block0.private_plans:
        entry = entries.get(plan.id)
        yield number, plan, entry, tallies.get((plan.id, entry.fragment_id or "")) if entry else None


def sum_ballots(blocks: Path, progress: Progress) -> tuple[Recount, EncryptedVotes]:
    """Count a chain and sum its ballots; OSError, ValueError."""
    votes = EncryptedVotes()
    with blocks.open("rb", buffering=_BUFFER_BYTES) as stream:
        return recount(Watched(stream, blocks.stat().st_size, progress), on_ballot=votes.add), votes


def check_private_plan(
    files: TallyFiles,
    plan: PlanCertificate,
    sums: tuple[EncryptedTally, ...],
    entry: ResultEntry | None,
    tally: TallyFound | None,
) -> Iterator[Check]:
    """Check the tally of a private plan: the manifest says *entry* of it, *tally* is the one in the blocks."""
    yield _check_encrypted(files, plan, sums)
    proofs = _Proofs(plan, tuple(each.printed() for each in sums), files, tally)
    held, said = proofs.outcome()
    yield Check(f"shares of plan {plan.id}", held, said)
    if entry and held:
        problem = proofs.problem_of(entry.votes)
        said = (
            problem or f"the shares open the encrypted votes to just this{', and so it is in the blocks' * bool(tally)}"
        )
        yield Check(f"decryption of plan {plan.id}", not problem, said)


def shares_of(files: TallyFiles, tally: TallyFound | None) -> dict[int, Share]:
    """The members' shares of a plan, from its files and else from the *tally* in the blocks."""
    on_chain = _on_chain(tally)
    is_even = len({*map(len, on_chain)}) == 1
    return {**dict(enumerate(zip(*on_chain, strict=True)) if is_even else ()), **files.shares}


def _on_chain(tally: TallyFound | None) -> tuple[Share, ...]:
    """The shares in a tally, by proposal and member."""
    merged = (tally and tally.shares) or ()
    return tuple(tuple(b64encode(share).decode() for share in of_proposal) for of_proposal in merged)


class _Proofs:
    """The shares of a plan, from the files or from the tally in the blocks, and what they prove."""

    def __init__(
        self, plan: PlanCertificate, encrypted: tuple[str, ...], files: TallyFiles, tally: TallyFound | None
    ) -> None:
        self._members = plan.committee_member_public_keys
        self._encrypted = encrypted
        self._files = files
        self._tally = tally
        self._on_chain = _on_chain(tally)
        self.shares = shares_of(files, tally)

    def outcome(self) -> tuple[bool, str]:
        """Whether each share that is there holds and stands everywhere alike, and what is to be said of that."""
        for member, share in self.shares.items():
            if member >= len(self._members):
                return (
                    False,
                    f"the tally in the blocks has more shares than the plan has members ({len(self._members)})",
                )
            if problem := share_problem(self._encrypted, self._members[member], share, self._members):
                return False, f"the share of member {member} ({self._members[member]}) {problem}"
        missing = [f"{member} ({key})" for member, key in enumerate(self._members) if member not in self.shares]
        if self._files.merged is not None and (missing or self._files.merged != self._merged()):
            return False, "merged.json is not made of the members' shares"
        if self._tally and not missing and self._on_chain != self._merged():
            return False, "the tally in the blocks has other shares"
        if missing:
            return True, f"{len(self.shares)} of {len(self._members)} hold; missing: member {', '.join(missing)}"
        return True, f"all {len(self._members)} hold, by the proofs that they carry"

    def problem_of(self, votes: Results) -> str | None:
        """Why the shares do not prove that these are the results; None when they do."""
        if len(self.shares) != len(self._members):
            return "not all members' shares are there, so nothing proves it"
        if self._files.results is not None and self._files.results != votes:
            return "result.json has other figures"
        if self._tally and self._tally.results != votes:
            return "the tally in the blocks gives other figures"
        members = [self.shares[member] for member in range(len(self._members))]
        return result_problem(self._encrypted, members, votes)

    def _merged(self) -> tuple[Share, ...]:
        if len(self.shares) != len(self._members):
            return ()
        return tuple(zip(*(self.shares[member] for member in range(len(self._members))), strict=True))


def _check_encrypted(files: TallyFiles, plan: PlanCertificate, sums: tuple[EncryptedTally, ...]) -> Check:
    name = f"encrypted votes of plan {plan.id}"
    if files.encrypted is None:
        return Check(name, ok=True, detail=f"{VOTE_PLANS} has none; they are summed from the ballots in the blocks")
    try:
        same = tuple(map(read_encrypted_tally, files.encrypted)) == sums
    except ValueError as error:
        return Check(name, ok=False, detail=f"{VOTE_PLANS}: {error}")
    return Check(name, same, "the ballots in the blocks add up to " + ("the same" if same else "others"))


def read_results(file: Path) -> Results:
    """The votes in what jcli made of a plan; UnreadableError."""
    results: Results | None = _read(file.parent, file.name, _results)
    if results is None:
        raise UnreadableError(f"{file.name} is missing")
    return results


def _read(directory: Path, name: str, parse: Any) -> Any:
    path = directory / name
    if not path.exists():
        return None
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise UnreadableError(f"{name} has more than {MAX_DOCUMENT_BYTES} bytes")
        return parse(json.loads(path.read_bytes()))
    except (OSError, *NOT_AS_EXPECTED) as error:
        raise UnreadableError(f"{name} is not what it should be: {error!r}") from error


def _encrypted(answer: Any, plan: PlanCertificate) -> tuple[str, ...] | None:
    found = next((printed for printed in answer if printed["id"] == plan.id), None)
    if found is None:
        return None
    tallies = encrypted_tallies(found)
    encrypted = tuple(sums for sums in tallies if sums is not None)
    return encrypted if len(encrypted) == len(tallies) else None  # the tally was on the chain when the node was asked


def _share(value: Any) -> Share:
    share = read_share(value)
    if share is None:
        raise ValueError("expected a list of texts")
    return share


def _results(value: Any) -> Results:
    results = VotePlanStatus.parse(value).results
    if results is None:
        raise ValueError("expected a decrypted plan")
    return results


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("expected a list")
    return value
