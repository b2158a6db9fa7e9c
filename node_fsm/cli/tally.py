"""``node-fsm tally``: the results of an archive whose private plans were left closed."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node_fsm.chain.address import MEMBER_SECRET_PREFIX
from node_fsm.cli.object_store import command_settings, object_store
from node_fsm.cli.output import say
from node_fsm.cli.progress import progress_stages

if TYPE_CHECKING:
    from node_fsm.archive.manifest import Manifest
    from node_fsm.core.committee import Share
    from node_fsm.core.progress import Stages
    from node_fsm.settings.model import CommandSettings

_MAX_SHARE_BYTES = 256 * 2**20


def tally(
    archive: Annotated[
        str,
        typer.Option(metavar="URI|DIR", help="s3://BUCKET/PREFIX of an archive, or a directory with its two objects."),
    ],
    key_files: Annotated[
        list[Path] | None,
        typer.Option("--key-file", metavar="FILE", help="A member's secret key. May be repeated."),
    ] = None,
    share_files: Annotated[
        list[Path] | None,
        typer.Option(
            "--share", metavar="FILE", help="A member's shares, of `committee share` or jcli. May be repeated."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the results here too, with the shares that prove them: a new file."),
    ] = None,
) -> None:
    """Open the private plans of an archive that says untallied, from the archive, keys and shares alone.

    Prints the results as JSON. The archive is checked first, and stays as it is. Keys reach jcli over standard input.
    """
    import json

    from node_fsm.storage.named_files import require_new, write_new

    if out:
        require_new(out)
    reports = asyncio.run(_tally(archive, key_files or (), share_files or ()))
    shown = [{name: value for name, value in report.items() if name not in {"members", "shares"}} for report in reports]
    if out:
        write_new(out, json.dumps(reports, indent=1) + "\n")
    typer.echo(json.dumps(shown, indent=1))


async def _tally(archive: str, key_files: Sequence[Path], share_files: Sequence[Path]) -> list[dict[str, Any]]:
    from node_fsm.archive.late_tally import closed_plans, make_up
    from node_fsm.archive.manifest import archive_named
    from node_fsm.programs.jcli import Jcli
    from node_fsm.storage.named_files import read_key

    keys = {str(file): read_key(file, MEMBER_SECRET_PREFIX) for file in key_files}
    shares = {name: share for file in share_files for name, share in _read_shares(file).items()}
    settings = command_settings()
    with tempfile.TemporaryDirectory(prefix="node-fsm-tally-") as name:
        directory = Path(name)
        target = archive_named(archive)
        with progress_stages() as stages:
            manifest = await _unpack(target, directory, settings, stages)
            tip = manifest.tip
            say(
                f"opening the private votes of {manifest.election.name}, block 0 {manifest.block0_hash}, as they stand"
                f" at block {tip.hash} of height {tip.height}",
                err=True,
            )
            plans = await closed_plans(directory, manifest, stages("adding up the encrypted votes"))
            jcli = Jcli(settings.jcli_path)
            await make_up(plans, directory, jcli, keys=keys, shares=shares, progress=stages("decrypting"))
    for plan in plans:
        if not plan.made_up:
            say(f"plan {plan.plan.id} is tallied in the archive, and proven: nothing was made up", err=True)
    return [plan.report() for plan in plans]


async def _unpack(target: str, directory: Path, settings: "CommandSettings", stages: "Stages") -> "Manifest":
    """Unpack the parts of an archive that are needed, after checking all of it; PermanentError when it is not whole."""
    from node_fsm.archive.manifest import Manifest
    from node_fsm.archive.verify import tally_files, unpack_verified
    from node_fsm.core.errors import PermanentError

    async with _opened(target, settings) as (text, tar):
        try:
            named = tally_files(Manifest.parse(text))
        except ValueError as error:
            raise PermanentError("ArchiveNotVerified", f"{target}: {error}; ask for another copy of it") from None
        async for check in unpack_verified(text, tar, directory, named, stages):
            if not check.ok:
                raise PermanentError(
                    "ArchiveNotVerified", f"{target}: {check.name}: {check.detail}; ask for another copy of it"
                )
    return Manifest.parse(text)


@asynccontextmanager
async def _opened(target: str, settings: "CommandSettings") -> AsyncIterator[tuple[bytes, AsyncIterator[bytes]]]:
    from node_fsm.archive.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, TAR_NAME
    from node_fsm.archive.verify import read_manifest, read_tar

    if not target.startswith("s3://"):
        yield await read_manifest(Path(target)), read_tar(Path(target))
        return
    async with object_store(settings) as store:
        text = await store.read(f"{target}/{MANIFEST_NAME}", MAX_MANIFEST_BYTES)
        yield text, store.download(f"{target}/{TAR_NAME}")


def _read_shares(file: Path) -> "dict[str, Share]":
    """The shares in a file, by what they are called: jcli's of one plan, or ours of all plans of a member."""
    import json

    from node_fsm.core.committee import read_share
    from node_fsm.importing.committee_files import read_shares_file

    try:
        document = json.loads(_read(file, _MAX_SHARE_BYTES))
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return {f"{file}, plan {share.plan_id},": share.share for share in read_shares_file(file).shares}
    if not (share := read_share(document)):
        raise _refused(
            f"{file} is no share: give what `node-fsm committee share --out FILE` wrote, or what"
            " `jcli votes tally decryption-shares` printed"
        )
    return {str(file): share}


def _read(file: Path, limit: int) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise _refused(f"{file} cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise _refused(f"{file} is far too large for what it should be")
    return data


def _refused(problem: str) -> Exception:
    from node_fsm.core.errors import InvalidInputError

    return InvalidInputError("SharesRefused", [problem])
