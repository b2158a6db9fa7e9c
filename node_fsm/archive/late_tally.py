"""The tally of an archive whose private plans were left closed, made up from the archive alone.

Nothing of it is put anywhere: the chain has ended. What comes of it is proven by shares, as in any archive.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node_fsm.aio.beside import side_by_side
from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.archive.manifest import Manifest
from node_fsm.archive.private_tally import (
    VOTE_PLANS,
    EncryptedVotes,
    TallyFiles,
    UnreadableError,
    check_private_plan,
    private_tallies,
    read_results,
    shares_of,
    sum_ballots,
)
from node_fsm.chain.certificates import PlanCertificate
from node_fsm.chain.decryption import result_problem, share_problem
from node_fsm.chain.recount import Recount
from node_fsm.core.committee import Results, Share
from node_fsm.core.errors import InvalidInputError, PermanentError
from node_fsm.core.progress import Progress
from node_fsm.core.secret import Secret
from node_fsm.ports import Jcli
from node_fsm.storage.files import write_private

_DECRYPT_SECONDS = 24 * 3600.0
"""A person waits for it, and may end it; this is for who forgot."""


@dataclass(slots=True)
class ClosedPlan:
    """A private plan of an archive: its *shares* by member; *results* are None as long as it is not tallied."""

    plan: PlanCertificate
    encrypted: tuple[str, ...]
    shares: dict[int, Share]
    results: Results | None
    made_up: bool = field(default=False)

    @property
    def members(self) -> tuple[str, ...]:
        return self.plan.committee_member_public_keys

    @property
    def missing(self) -> list[str]:
        """The members whose shares are not there, for a person."""
        return [f"{index} ({key})" for index, key in enumerate(self.members) if index not in self.shares]

    def report(self) -> dict[str, Any]:
        """What came of it, with the shares that prove it."""
        votes = zip(self.plan.proposals, self.results or (), strict=True)
        return {
            "plan_id": self.plan.id,
            "made_up": self.made_up,
            "proposals": [{"external_id": proposal.external_id, "votes": list(each)} for proposal, each in votes],
            "members": list(self.members),
            "shares": [list(self.shares[index]) for index in range(len(self.members))],
        }


async def closed_plans(directory: Path, manifest: Manifest, progress: Progress) -> list[ClosedPlan]:
    """The private plans of an archive whose chain and files were found right and are in *directory*.

    PermanentError when their tallies do not hold, or there are none.
    """
    try:
        counted, votes = await in_thread(LONG, sum_ballots, directory / "blocks.bin", progress)
    except (OSError, ValueError) as error:
        raise PermanentError(
            "ArchiveNotVerified", f"the ballots in the blocks cannot be added up: {error}; ask for another copy"
        ) from error
    plans = await in_thread(LONG, lambda: list(_read_plans(directory, manifest, counted, votes)))
    if not plans:
        raise PermanentError("NothingToTally", "the archive has no private vote plan; others are counted by the chain")
    return plans


async def make_up(
    plans: Sequence[ClosedPlan],
    directory: Path,
    jcli: Jcli,
    *,
    keys: Mapping[str, Secret],
    shares: Mapping[str, Share],
    progress: Progress,
) -> None:
    """Open the plans of an archive that are not tallied, with members' *keys* and *shares*, each by its file's name.

    InvalidInputError for each file that is no use, and for shares that are missing. PermanentError when jcli refuses.
    """
    closed = [plan for plan in plans if plan.results is None]
    problems = []
    for name, share in shares.items():
        if problem := await in_thread(LONG, _take, name, share, plans):
            problems.append(problem)
    for name, key in keys.items():
        if problem := await _share_with(jcli, name, key, plans, directory):
            problems.append(problem)
    problems += [
        f"plan {plan.plan.id} cannot be opened without the shares of member {', '.join(plan.missing)}; hand in"
        " their keys (--key-file) or shares (--share)"
        for plan in closed
        if plan.missing and not problems
    ]
    if problems:
        raise InvalidInputError("SharesRefused", problems)
    progress(0, len(closed))
    done = 0

    async def one(numbered: tuple[int, ClosedPlan]) -> None:
        nonlocal done
        number, plan = numbered
        await _open(plan, directory, directory / f"opened-{number}", jcli)
        done += 1
        progress(done, len(closed))

    await side_by_side(one, enumerate(closed))


def _read_plans(directory: Path, manifest: Manifest, counted: Recount, votes: EncryptedVotes) -> list[ClosedPlan]:
    plans = []
    for number, plan, entry, tally in private_tallies(manifest, counted):
        try:
            files = TallyFiles.read(directory, number, plan)
        except UnreadableError as error:
            raise PermanentError("ArchiveNotVerified", f"{error}; ask for another copy of the archive") from error
        sums = votes.of(plan)
        for check in check_private_plan(files, plan, sums, entry, tally):
            if not check.ok:
                raise PermanentError("ArchiveNotVerified", f"{check.name}: {check.detail}; ask for another copy of it")
        if entry is None and files.encrypted is None:
            raise PermanentError(
                "NothingToTally", f"{VOTE_PLANS} in the archive does not have the encrypted votes of plan {plan.id}"
            )
        encrypted = tuple(each.printed() for each in sums)
        plans.append(ClosedPlan(plan, encrypted, shares_of(files, tally), entry.votes if entry else None))
    return plans


def _take(name: str, share: Share, plans: Sequence[ClosedPlan]) -> str | None:
    """Give a share to the plan and member that it is of; why it is of none."""
    for plan in plans:
        for index, member in enumerate(plan.members):
            if share_problem(plan.encrypted, member, share) is None:
                plan.shares.setdefault(index, share)
                return None
    nearest = next((plan for plan in plans if len(plan.encrypted) == len(share)), plans[0])
    problem = share_problem(nearest.encrypted, nearest.members[0], share)
    return f"{name} is no share of a member for a plan of this archive; of plan {nearest.plan.id} it {problem}"


async def _share_with(jcli: Jcli, name: str, key: Secret, plans: Sequence[ClosedPlan], directory: Path) -> str | None:
    """Make a member's shares of all plans that lack them; why the key makes none."""
    public = await jcli.member_public_key(key)
    own = [(plan, plan.members.index(public)) for plan in plans if public in plan.members]
    if not own:
        return f"{name} is the key of {public}, who is no member of the committee of a plan of this archive"
    for plan, index in own:
        if plan.results is None and index not in plan.shares:
            share = await jcli.decryption_shares(directory / VOTE_PLANS, plan.plan.id, key)
            if problem := await in_thread(LONG, share_problem, plan.encrypted, public, share):
                return f"the share that jcli made with {name} for plan {plan.plan.id} {problem}"
            plan.shares[index] = share
    return None


async def _open(plan: ClosedPlan, directory: Path, scratch: Path, jcli: Jcli) -> None:
    """Have jcli open a plan, and prove what it says."""
    members = [scratch / f"share-{index}.json" for index in range(len(plan.members))]
    await in_thread(DISK, scratch.mkdir)
    for index, file in enumerate(members):
        await in_thread(DISK, write_private, file, json.dumps(plan.shares[index]).encode())
    merged, result = scratch / "merged.json", scratch / "result.json"
    await jcli.merge_shares(members, merged)
    await jcli.decrypt_results(
        directory / VOTE_PLANS, plan.plan.id, merged, result, members=len(members), timeout=_DECRYPT_SECONDS
    )
    try:
        votes = await in_thread(DISK, read_results, result)
    except UnreadableError as error:
        raise PermanentError("ResultNotProven", f"jcli printed what is no decrypted plan: {error}") from error
    shares = [plan.shares[index] for index in range(len(members))]
    if problem := await in_thread(LONG, result_problem, plan.encrypted, shares, votes):
        raise PermanentError("ResultNotProven", f"what jcli decrypted of plan {plan.plan.id} does not hold: {problem}")
    plan.results, plan.made_up = votes, True
