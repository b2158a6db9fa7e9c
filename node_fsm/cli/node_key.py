"""``node-fsm node keygen``: a leader's signing key, made and put where its service looks for it."""

import asyncio
import os
from typing import TYPE_CHECKING, Annotated

import typer

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
    from node_fsm.settings.model import CommandSettings, load_settings
    from node_fsm.settings.types import s3_object

    try:
        s3_object(uri)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="URI") from None
    typer.echo(asyncio.run(_make(uri, load_settings(os.environ, CommandSettings))))


async def _make(uri: str, settings: "CommandSettings") -> str:
    from node_fsm.core.errors import PermanentError
    from node_fsm.programs.jcli import Jcli
    from node_fsm.s3.store import S3Store

    jcli = Jcli(settings.jcli_path)
    secret = await jcli.new_signing_key()
    public = await jcli.public_key(secret)
    line = secret.reveal().encode() + b"\n"
    store = S3Store(settings.s3_endpoint_url, credentials=settings.aws_credentials())
    try:
        if not await store.write_once(uri, line) and not await _holds(store, uri, line):
            raise PermanentError("S3ObjectExists", f"{uri} is there already, and is not overwritten; name a new object")
    finally:
        await store.close()
    return public


async def _holds(store: "ObjectStore", uri: str, line: bytes) -> bool:
    """Whether the object that is there is ours: the answer to a first try may have been lost."""
    from node_fsm.core.errors import PermanentError

    try:
        return await store.read(uri, len(line)) == line
    except PermanentError:  # it is larger, or who may put keys may not read them
        return False
