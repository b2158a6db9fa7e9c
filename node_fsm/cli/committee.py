"""``node-fsm committee``: what the members of a committee do for private votes, with keys that never leave them."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node_fsm.chain.address import COMMUNICATION_KEY_PREFIX, COMMUNICATION_SECRET_PREFIX, MEMBER_SECRET_PREFIX
from node_fsm.cli.database import on_database
from node_fsm.cli.output import Column, Output, OutputOption, print_json, say

if TYPE_CHECKING:
    from node_fsm.core.committee import PostedShare
    from node_fsm.database.session import Session
    from node_fsm.programs.jcli import Jcli

CHECKED = (
    Column("election", None, "The election's name."),
    Column("members", None, "Each member: `index`, `public_key`, `yours` (whether the key in the file is this one's)."),
    Column("election_key", None, "What the members' keys give, and votes are encrypted with."),
    Column("block0_hash", None, "The published chain; null before there is one."),
    Column("plans", None, "How many private plans it has, all with this key."),
)
STANDING = (
    Column("election", None, "The election's name."),
    Column("at", None, "The moment, by the database's clock."),
    Column("tallying_end", None, "Until when shares are taken."),
    Column(
        "plans",
        None,
        "Each private plan: `plan` (its id), `snapshot` (the hash of the sums), and `members` with `index`,"
        " `public_key`, `posted_at` (of the share that counts; null when none does) and `problem` (what is wrong with"
        " the one that was posted; null otherwise).",
    ),
    Column("missing", None, "The indexes of the members of whom a share is missing."),
)

app = typer.Typer(
    no_args_is_help=True,
    help="Members of a committee: their keys, and their shares of the decryption of private votes.",
)

CRS = "node-fsm"
"""A text that all members take the same of; no key that comes of it depends on it."""

Election = Annotated[str, typer.Option("--election", help="The election's name.")]
KeyFile = Annotated[
    Path, typer.Option("--key-file", help="File of your member key, which nobody but you may read (mode 0600).")
]


@app.command("keygen")
def keygen(
    key_file: Annotated[Path, typer.Option("--key-file", help="The new file; one that is there is not overwritten.")],
    communication_keys: Annotated[
        list[str] | None,
        typer.Argument(help="Second step: the public communication keys of all members, in the order of the members."),
    ] = None,
    communication_key_file: Annotated[
        Path | None,
        typer.Option("--communication-key-file", help="Second step: the file that the first step wrote."),
    ] = None,
) -> None:
    """Make a member's keys, in two steps; each prints the public key, the secret one stays in its file (mode 0600).

    1. Every member makes a communication key (--key-file alone), and gives its public key to all others.

    2. When all have been given, every member makes the member key of the public communication keys of all members.

    Yours is among them, and they are in the order that the members agreed on. Whoever imports the election gets the
    public key that the second step prints.
    """
    from node_fsm.storage.named_files import read_key, require_new, write_new

    jcli = _jcli()
    require_new(key_file)
    if not communication_keys:
        if communication_key_file:
            raise typer.BadParameter(
                "give the public communication keys of all members with it", param_hint="--communication-key-file"
            )
        secret = asyncio.run(jcli.new_communication_key())
        public = asyncio.run(jcli.communication_public_key(secret))
        note = "this is your public communication key: give it to all other members, and keep the file until step 2"
    else:
        _check_communication_keys(communication_keys)
        if communication_key_file is None:
            raise typer.BadParameter(
                "name the file of your own communication key, which says who of the members you are",
                param_hint="--communication-key-file",
            )
        own = asyncio.run(jcli.communication_public_key(read_key(communication_key_file, COMMUNICATION_SECRET_PREFIX)))
        if own not in communication_keys:
            raise typer.BadParameter(
                f"your own public communication key {own} is not among those given", param_hint="COMMUNICATION_KEYS"
            )
        index, members = communication_keys.index(own), len(communication_keys)
        secret = asyncio.run(jcli.new_member_key(members, CRS, index, communication_keys))
        public = asyncio.run(jcli.member_public_key(secret))
        note = (
            f"this is your member_public_key, of the member with member_index {index} of {members}: give it to whoever"
            f" imports the election. Without {key_file} no private vote of it can ever be counted: keep copies"
        )
    write_new(key_file, secret.reveal() + "\n")
    say(public)
    say(note, err=True)


@app.command("check")
def check(
    election: Election,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="Also check that this key is a member's of the election.")
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Check that every member's public key stands in the database, and that they give the key votes are encrypted with.

    What was published is compared with what the keys give now. Do it before voting begins.
    """
    from node_fsm.cli.shares import require_member
    from node_fsm.core.errors import PermanentError
    from node_fsm.database.committee import committee_election
    from node_fsm.importing.keys import member_key
    from node_fsm.storage.named_files import read_key

    jcli = _jcli()
    secret = read_key(key_file, MEMBER_SECRET_PREFIX) if key_file else None
    found = on_database(lambda session: committee_election(session, election))
    if not found.members:
        raise PermanentError("CommitteeIncomplete", f"election {election!r} has no committee")
    keys = []
    for index, key in found.members.items():
        if key is None:
            raise PermanentError(
                "CommitteeIncomplete", f"member {index} of election {election!r} has no member_public_key; import it"
            )
        try:
            keys.append(member_key(key))
        except ValueError as error:
            raise PermanentError(
                "CommitteeIncomplete", f"the member_public_key of member {index} of election {election!r} {error}"
            ) from None
    election_key = asyncio.run(jcli.election_key(keys))
    for plan in found.plans:
        if plan.encryption_key != election_key:
            raise PermanentError(
                "ElectionKeyDiffers",
                f"plan {plan.id} of election {election!r} was published with the key {plan.encryption_key}, but the"
                f" members' keys in the table committee give {election_key}: whose keys are published is not known, so"
                " the operator must cancel the election before anybody votes",
            )
    if secret and key_file:
        own = asyncio.run(jcli.member_public_key(secret))
        require_member(own, keys, f"election {election!r}", f"the key in {key_file}")
    else:
        own = ""
    if output is Output.JSON:
        members = [{"index": index, "public_key": key, "yours": key == own} for index, key in found.members.items()]
        values = (found.name, members, election_key, found.block0_hash, len(found.plans))
        print_json({column.name: value for column, value in zip(CHECKED, values, strict=True)})
        return
    for index, key in found.members.items():
        say(f"member {index}: {key}" + ("  (yours)" if key == own else ""))
    say(f"election key: {election_key}")
    if found.plans:
        say(f"all {len(found.plans)} private plans of block 0 {found.block0_hash} have this key")
    elif found.block0_hash:
        say(f"block 0 {found.block0_hash} has no private plans")
    else:
        say("block 0 is not published yet; check again when it is", err=True)


@app.command("snapshot")
def snapshot(
    election: Election, out: Annotated[Path, typer.Option("--out", help="The new file; nothing is overwritten.")]
) -> None:
    """Write the sums of the encrypted votes to a file, for a machine that has your key and no database."""
    from node_fsm.cli.shares import snapshots_of
    from node_fsm.database.committee import committee_election
    from node_fsm.importing.committee_files import SnapshotFile
    from node_fsm.storage.named_files import require_new, write_new

    require_new(out)
    found = on_database(lambda session: committee_election(session, election))
    snapshots = snapshots_of(found)
    write_new(out, SnapshotFile(found.name, str(found.block0_hash), snapshots).text())
    say(f"{out} has the sums of {len(snapshots)} private plans of {election}")
    _print_snapshots({each.plan_id: each.hash for each in snapshots})


@app.command("share")
def share(
    key_file: KeyFile,
    election: Annotated[str | None, typer.Option("--election", help="The election; the shares are posted.")] = None,
    snapshot_file: Annotated[
        Path | None,
        typer.Option("--snapshot", help="Instead of an election: what `committee snapshot` wrote, with --out."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="With --snapshot: the new file with the shares, for `committee post`.")
    ] = None,
) -> None:
    """Make your share of the decryption of every private plan after voting, and post it. The key stays here.

    With --election the shares are posted at once. With --snapshot and --out this needs no database at all.
    """
    from node_fsm.cli.shares import make_shares, post, require_one_snapshot, snapshots_of, valid_share
    from node_fsm.database.committee import committee_election
    from node_fsm.database.shares import Shares
    from node_fsm.importing.committee_files import SharesFile, read_snapshot_file
    from node_fsm.storage.named_files import read_key, require_new, write_new

    jcli = _jcli()
    if (election is None) == (snapshot_file is None) or (snapshot_file is None) != (out is None):
        raise typer.BadParameter("give either --election, or --snapshot with --out")
    secret = read_key(key_file, MEMBER_SECRET_PREFIX)
    if snapshot_file and out:
        require_new(out)
        given = read_snapshot_file(snapshot_file)
        made = asyncio.run(make_shares(jcli, given.snapshots, secret, key_file))
        write_new(out, SharesFile(given.election, given.block0_hash, tuple(made)).text())
        say(f"{out} has your shares of {len(made)} private plans of {given.election}; post it where the database is")
        _print_snapshots({each.plan_id: each.snapshot_hash for each in made})
        return

    async def make_and_post(session: "Session") -> "tuple[list[PostedShare], int]":
        found = await committee_election(session, str(election))
        snapshots = snapshots_of(found)
        standing = await Shares(session).shares(str(found.block0_hash))
        member = await jcli.member_public_key(secret)
        require_one_snapshot(found.plans, standing, member)
        missing = [each for each in snapshots if valid_share(each, member, standing) is None]
        made = await make_shares(jcli, missing, secret, key_file)
        return await post(session, found, made), len(snapshots)

    _say_posted(*on_database(make_and_post), str(election))


@app.command("post")
def post_file(
    file: Annotated[Path, typer.Argument(help="What `committee share --snapshot … --out FILE` wrote.")],
) -> None:
    """Post shares that were made on a machine without a database. They are checked first."""
    from node_fsm.cli.shares import post
    from node_fsm.core.errors import PermanentError
    from node_fsm.database.committee import committee_election
    from node_fsm.importing.committee_files import read_shares_file
    from node_fsm.importing.errors import InputFileError

    given = read_shares_file(file)

    async def check_and_post(session: "Session") -> "list[PostedShare]":
        found = await committee_election(session, given.election)
        if found.block0_hash != given.block0_hash:
            raise PermanentError(
                "SnapshotUnknown",
                f"{file} is of block 0 {given.block0_hash}, but election {given.election!r} has"
                f" {found.block0_hash or 'none'}; take the sums anew with `node-fsm committee snapshot`",
            )
        plans, of_file = {plan.id for plan in found.plans}, {share.plan_id for share in given.shares}
        if of_file < plans:
            lacking = ", ".join(sorted(plans - of_file))
            raise InputFileError([f"{file}: lacks your share of plan {lacking}; nothing was posted, make it anew"])
        return await post(session, found, given.shares)

    _say_posted(on_database(check_and_post), len(given.shares), given.election)


@app.command("status")
def status(election: Election, output: OutputOption = Output.TEXT) -> None:
    """Show whose shares are there and right, whose are missing, and how much time is left."""
    from node_fsm.cli.shares import standing_of
    from node_fsm.cli.times import utc, when

    found = on_database(lambda session: standing_of(session, election))
    if output is Output.JSON:
        print_json(found)
        return
    ends = "ends" if found["tallying_end"] > found["at"] else "ended"
    say(f"tallying {ends} at {utc(found['tallying_end'])}, {when(found['tallying_end'], found['at'])}")
    for number, plan in enumerate(found["plans"]):
        say(f"plan {plan['plan']} ({number + 1} of {len(found['plans'])})")
        for member in plan["members"]:
            state = f"posted at {utc(member['posted_at'])}" if member["posted_at"] else "MISSING"
            wrong = f": the share that was posted {member['problem']}" if member["problem"] else ""
            say(f"  member {member['index']} {member['public_key']}: {state}{wrong}")
    who = ", ".join(map(str, found["missing"]))
    say(f"shares are missing of these members: {who}" if who else "all shares are there")


def _check_communication_keys(keys: list[str]) -> None:
    """They go into jcli's arguments, so nothing that might be secret is among them. Raises BadParameter."""
    from node_fsm.chain import bech32

    for place, key in enumerate(keys):
        try:
            prefix, _ = bech32.decode(key)
        except ValueError as error:
            raise typer.BadParameter(f"number {place} is mistyped: {error}", param_hint="COMMUNICATION_KEYS") from None
        if prefix != COMMUNICATION_KEY_PREFIX:
            raise typer.BadParameter(
                f"number {place} is no public communication key ({COMMUNICATION_KEY_PREFIX}1…); if it was a secret one,"
                " regard it as known to others",
                param_hint="COMMUNICATION_KEYS",
            )
        if key in keys[:place]:
            raise typer.BadParameter(f"number {place} is given twice", param_hint="COMMUNICATION_KEYS")


def _say_posted(posted: "list[PostedShare]", plans: int, election: str) -> None:
    if posted:
        say(f"posted your shares of {len(posted)} of {plans} private plans of {election}")
        _print_snapshots({each.plan_id: each.snapshot_hash for each in posted})
    if there := plans - len(posted):
        say(f"your shares of {there} of {plans} private plans of {election} were there already, and stay")


def _print_snapshots(hashes: dict[str, str]) -> None:
    for plan, hash_ in hashes.items():
        say(f"  plan {plan}: made of snapshot {hash_}")


def _jcli() -> "Jcli":
    from node_fsm.programs.jcli import Jcli
    from node_fsm.settings.model import CommandSettings, load_settings

    return Jcli(load_settings(os.environ, CommandSettings).jcli_path)
