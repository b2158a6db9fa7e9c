"""``node-fsm node keygen``: a leader's signing key, made and put where its service looks for it."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from node_fsm.cli.object_store import command_settings, object_store

if TYPE_CHECKING:
    from node_fsm.ports import ObjectStore
    from node_fsm.settings.model import CommandSettings


def keygen(
    uri: Annotated[
        str,
        typer.Argument(metavar="URI", help="s3://BUCKET/KEY, the node's NODE_FSM_SIGNING_KEY_S3_URI; a new object."),
    ],
) -> None:
    """Make a leader's signing key, put it into S3 and print its public key, which `node add --leader-id` takes.

    The secret key is written nowhere else. An object that is there already is not overwritten.
    """
    from node_fsm.settings.types import s3_object

    try:
        s3_object(uri)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="URI") from None
    typer.echo(asyncio.run(_make(uri, command_settings())))


async def _make(uri: str, settings: "CommandSettings") -> str:
    from node_fsm.core.errors import PermanentError
    from node_fsm.programs.jcli import Jcli

    jcli = Jcli(settings.jcli_path)
    secret = await jcli.new_signing_key()
    public = await jcli.public_key(secret)
    line = secret.reveal().encode() + b"\n"
    async with object_store(settings) as store:
        if not await store.write_once(uri, line) and not await _holds(store, uri, line):
            raise PermanentError("S3ObjectExists", f"{uri} is there already, and is not overwritten; name a new object")
    return public


async def _holds(store: "ObjectStore", uri: str, line: bytes) -> bool:
    """Whether the object that is there is ours: the answer to a first try may have been lost."""
    from node_fsm.core.errors import PermanentError

    try:
        return await store.read(uri, len(line)) == line
    except PermanentError:  # it is larger, or who may put keys may not read them
        return False
