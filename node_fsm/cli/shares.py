"""Making, checking and posting a member's shares of private votes: what the commands of a committee have in common."""

import json
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node_fsm.chain.decryption import share_problem
from node_fsm.cli.times import utc
from node_fsm.core.committee import PostedShare, SavedSnapshot
from node_fsm.core.errors import NOT_AS_EXPECTED, PermanentError, TemporaryError
from node_fsm.core.secret import Secret
from node_fsm.database.committee import CommitteeElection, CommitteePlan, committee_election
from node_fsm.database.results import hash_of
from node_fsm.database.session import Session
from node_fsm.database.shares import Shares, snapshot_unknown
from node_fsm.ports.answers import encrypted_tallies
from node_fsm.storage.files import write_private

if TYPE_CHECKING:
    from node_fsm.programs.jcli import Jcli


def snapshots_of(election: CommitteeElection) -> tuple[SavedSnapshot, ...]:
    """The sums to decrypt; ``SnapshotMissing`` says why there are none, and a TemporaryError when there will be."""
    name = repr(election.name)
    if election.block0_hash is None:
        raise TemporaryError(
            "SnapshotMissing", f"election {name} has no block 0, so there are no votes; {_voting_end(election)}"
        )
    if not election.plans:
        raise PermanentError("SnapshotMissing", f"election {name} has no private votes; there is nothing to decrypt")
    snapshots = tuple(plan.snapshot for plan in election.plans if plan.snapshot)
    if len(snapshots) < len(election.plans):
        raise TemporaryError(
            "SnapshotMissing",
            f"the sums of the votes of election {name} are not there yet: {_voting_end(election)}; leader 0 stores them"
            " after that, once more than half of the leaders have the same last block, mostly within a few minutes",
        )
    for snapshot in snapshots:
        if hash_of(snapshot.printed) != snapshot.hash:
            raise _damaged(snapshot)
    return snapshots


async def make_shares(
    jcli: "Jcli", snapshots: Sequence[SavedSnapshot], secret: Secret, key_file: Path
) -> list[PostedShare]:
    """The shares of all plans, each checked; PermanentError ``NotAMember``, ``ShareInvalid``, ``SnapshotDamaged``.

    Nothing of *secret* but its shares leaves this: jcli reads it from standard input.
    """
    member = await jcli.member_public_key(secret)
    for snapshot in snapshots:
        if hash_of(snapshot.printed) != snapshot.hash:
            raise _damaged(snapshot)
        require_member(member, members_of(snapshot), f"plan {snapshot.plan_id}", f"the key in {key_file}")
    made = []
    with tempfile.TemporaryDirectory(prefix="node-fsm-shares-") as directory:
        for snapshot in snapshots:
            plans = Path(directory) / f"{snapshot.plan_id}.json"
            write_private(plans, json.dumps([snapshot.printed]).encode())
            share = await jcli.decryption_shares(plans, snapshot.plan_id, secret)
            made.append(PostedShare(snapshot.plan_id, snapshot.hash, member, share))
            if problem := problem_of(made[-1], snapshot):
                raise PermanentError("ShareInvalid", f"the share that jcli made of plan {snapshot.plan_id} {problem}")
    return made


async def standing_of(session: Session, name: str) -> dict[str, Any]:
    """Whose shares of an election are there and right; raises what :func:`snapshots_of` does."""
    found = await committee_election(session, name)
    snapshots = snapshots_of(found)
    standing = await Shares(session).shares(str(found.block0_hash))
    plans, missing = [], set()
    for each in snapshots:
        members = []
        for index, member in enumerate(members_of(each)):
            posted = [share for share in standing if (share.plan_id, share.member_key) == (each.plan_id, member)]
            valid = valid_share(each, member, posted)
            if valid is None:
                missing.add(index)
            members.append(
                {
                    "index": index,
                    "public_key": member,
                    "posted_at": valid.posted_at if valid else None,
                    "problem": problem_of(posted[0], each) if posted and valid is None else None,
                }
            )
        plans.append({"plan": each.plan_id, "snapshot": each.hash, "members": members})
    return {
        "election": found.name,
        "at": found.now,
        "tallying_end": found.tallying_end,
        "plans": plans,
        "missing": sorted(missing),
    }


async def post(session: Session, election: CommitteeElection, shares: Sequence[PostedShare]) -> list[PostedShare]:
    """Post *shares* but for plans whose share of that member is there; what was posted.

    PermanentError ``SnapshotUnknown``, ``NotAMember``, ``SnapshotReplaced``, ``ShareInvalid``; nothing is posted then.
    """
    assert election.block0_hash, "there are snapshots"
    snapshots = {snapshot.plan_id: snapshot for snapshot in snapshots_of(election)}
    database = Shares(session)
    standing = await database.shares(election.block0_hash)
    new = []
    for share in shares:
        snapshot = snapshots.get(share.plan_id)
        if snapshot is None or share.snapshot_hash != snapshot.hash:
            raise snapshot_unknown(share, snapshot.hash if snapshot else None)
        require_member(share.member_key, members_of(snapshot), f"plan {share.plan_id}", "whoever made this share")
        require_one_snapshot(election.plans, standing, share.member_key)
        if problem := problem_of(share, snapshot):
            raise PermanentError("ShareInvalid", f"the share of plan {share.plan_id} {problem}; nothing was posted")
        if valid_share(snapshot, share.member_key, standing) is None:
            new.append(share)
    await database.post_shares(election.block0_hash, new)
    return new


def valid_share(snapshot: SavedSnapshot, member: str, standing: Sequence[PostedShare]) -> PostedShare | None:
    """The first share of *member* among the *standing* that is right: the one that counts."""
    of_member = [share for share in standing if share.plan_id == snapshot.plan_id and share.member_key == member]
    return next((share for share in of_member if problem_of(share, snapshot) is None), None)


def problem_of(share: PostedShare, snapshot: SavedSnapshot) -> str | None:
    """What is wrong with a share, as the end of a sentence."""
    if share.snapshot_hash != snapshot.hash:
        return f"was made of snapshot {share.snapshot_hash}, not of the one that stands there"
    return share_problem(_encrypted(snapshot), share.member_key, share.share, members_of(snapshot))


def require_one_snapshot(plans: Sequence[CommitteePlan], standing: Sequence[PostedShare], member: str) -> None:
    """PermanentError ``SnapshotReplaced`` when *member* has posted a share of other sums than stand there now.

    Votes are opened by all members together, so that one who keeps to this keeps two sums from being opened.
    """
    for plan in plans:
        own = {share.snapshot_hash for share in standing if (share.plan_id, share.member_key) == (plan.id, member)}
        if plan.snapshot and (others := own - {plan.snapshot.hash}):
            raise PermanentError(
                "SnapshotReplaced",
                f"a share of {member} stands there that was made of other sums of plan {plan.id}"
                f" ({', '.join(sorted(others))}) than there are now ({plan.snapshot.hash}). Who opens both sees the"
                " votes between them: nothing is posted, ask the operator what happened",
            )


def require_member(key: str, members: Sequence[str | None], of: str, whose: str) -> None:
    """PermanentError ``NotAMember`` unless *key* is one of the public keys of *members*."""
    if key not in members:
        known = ", ".join(member for member in members if member) or "none"
        raise PermanentError(
            "NotAMember",
            f"{whose} has the public key {key}, which is no member's of {of}; it may be the key of another election."
            f" The members' public keys are {known}",
        )


def members_of(snapshot: SavedSnapshot) -> tuple[str, ...]:
    """The public keys of the members in the plan's order; PermanentError ``SnapshotDamaged``."""
    try:
        return tuple(map(str, snapshot.printed["committee_member_keys"]))
    except NOT_AS_EXPECTED:
        raise _damaged(snapshot) from None


def _encrypted(snapshot: SavedSnapshot) -> list[str]:
    try:
        tallies = encrypted_tallies(snapshot.printed)
    except NOT_AS_EXPECTED:
        raise _damaged(snapshot) from None
    encrypted = [sums for sums in tallies if sums is not None]
    if len(encrypted) < len(tallies):
        raise _damaged(snapshot)
    return encrypted


def _damaged(snapshot: SavedSnapshot) -> PermanentError:
    return PermanentError(
        "SnapshotDamaged",
        f"the sums of plan {snapshot.plan_id} are not those that were stored with the hash {snapshot.hash}; take them"
        " anew with `node-fsm committee snapshot`, and if that says so too, have the operator restore"
        " vote_plan.tally_snapshot from a backup",
    )


def _voting_end(election: CommitteeElection) -> str:
    left = election.voting_end - election.now
    when = utc(election.voting_end)
    return f"voting ends at {when}, in {span(left)}" if left.total_seconds() > 0 else f"voting ended at {when}"


def span(time: timedelta) -> str:
    """*time* in the two largest units that it has."""
    minutes = int(time.total_seconds()) // 60
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {rest} min" if hours else f"{rest} min" if rest else "less than a minute"
