"""``node-fsm archive``: which archives there are, and getting one out of S3."""

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node_fsm.cli.database import on_database
from node_fsm.cli.object_store import command_settings, object_store
from node_fsm.cli.output import (
    Column,
    Output,
    OutputOption,
    TableOption,
    TableOutput,
    print_json,
    print_table,
    say,
)
from node_fsm.cli.progress import progress_bar
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind

if TYPE_CHECKING:
    from node_fsm.archive.manifest import Manifest

app = typer.Typer(no_args_is_help=True, help="Archives of chains.")

ARCHIVES = (
    Column("election", "election", "The election's name."),
    Column("kind", "kind", f"Why it was archived: {', '.join(f'`{kind}`' for kind in ArchiveKind)}."),
    Column("verified_at", "verified", "When it was read back and found whole."),
    Column("bytes", "bytes", "The size of its `archive.tar.zst`."),
    Column("uri", "where", "Where its two objects are; `node-fsm verify` and `archive get` take it."),
    Column("block0_hash", None, "The chain."),
    Column("run_id", None, "The end of the URI."),
    Column("tip_hash", None, "The last block that is in it."),
    Column("sha256", None, "The sha256 of its `archive.tar.zst`."),
)
FETCHED = (
    Column("uri", None, "Where it came from."),
    Column("directory", None, "The directory that has `archive.tar.zst` and `manifest.json` now."),
    Column("election", None, "The election's name, as the manifest says it."),
    Column("kind", None, "Why it was archived."),
    Column("bytes", None, "The size of `archive.tar.zst`."),
    Column("sha256", None, "Its sha256."),
)


@app.command("list")
def list_(
    election: Annotated[str | None, typer.Argument(help="Only of this election.")] = None,
    output: TableOption = TableOutput.TEXT,
) -> None:
    """List the archives that the database knows, the oldest first."""
    from node_fsm.database.archives import list_archives

    rows = on_database(partial(list_archives, election=election))
    of = f" of {election}" if election else ""
    print_table(rows, ARCHIVES, output, empty=f"there are no archives{of} yet; a chain is archived when voting is over")


@app.command("get")
def get(
    archive: Annotated[str, typer.Argument(metavar="ELECTION|URI", help="An election, or s3://BUCKET/PREFIX.")],
    directory: Annotated[
        Path, typer.Argument(help="Where to put archive.tar.zst and manifest.json; nothing is overwritten.")
    ],
    kind: Annotated[ArchiveKind, typer.Option(help="Of an election: which archive.")] = ArchiveKind.FINAL,
    output: OutputOption = Output.TEXT,
) -> None:
    """Get an archive out of S3, and check that it came whole; `node-fsm verify DIRECTORY` then checks what it says.

    By the name of an election it also checks that the manifest is the one that the database has. By URI it needs no
    database.
    """
    from node_fsm.archive.manifest import archive_named

    uri, expected = archive_named(archive), None
    if not archive.startswith("s3://"):
        row = _recorded(archive, kind)
        uri, expected = row["uri"], row["manifest"]
    manifest = asyncio.run(_fetch(uri, directory, expected))
    if output is Output.JSON:
        values = (uri, directory, manifest.election.name, manifest.kind, manifest.tar.bytes, manifest.tar.sha256)
        print_json({column.name: value for column, value in zip(FETCHED, values, strict=True)})
        return
    say(f"{directory} has the {manifest.kind} archive of {manifest.election.name}, {manifest.tar.bytes} bytes")
    say(f"`node-fsm verify {directory}` checks what it says", err=True)


def _recorded(election: str, kind: ArchiveKind) -> dict[str, Any]:
    """The row of the one archive of this kind; PermanentError ``ArchiveUnknown`` says which there are."""
    from node_fsm.database.archives import list_archives

    rows = on_database(partial(list_archives, election=election))
    fitting = [row for row in rows if row["kind"] == kind]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(f"{row['kind']} at {row['uri']}" for row in rows)
    number = "more than one" if fitting else "no"
    raise PermanentError(
        "ArchiveUnknown",
        f"there is {number} {kind} archive of {election!r} in the database; "
        + (f"name one by its URI: {known}" if known else "`node-fsm archive list` shows all there are"),
    )


async def _fetch(uri: str, directory: Path, expected: str | None) -> "Manifest":
    from node_fsm.archive.fetch import fetch_archive

    async with object_store(command_settings()) as store:
        with progress_bar("getting archive.tar.zst") as progress:
            return await fetch_archive(store, uri, directory, progress, expected)
