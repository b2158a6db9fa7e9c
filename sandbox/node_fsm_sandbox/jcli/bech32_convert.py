"""``jcli utils bech32-convert``: the same data under another human-readable part."""

from node_fsm.chain import bech32
from node_fsm_sandbox.jcli.arguments import Argument, Command, Values
from node_fsm_sandbox.jcli.errors import CommandError
from node_fsm_sandbox.jcli.files import say


def _convert(values: Values) -> None:
    text, prefix = values["from_bech32"], values["new_prefix"]
    try:
        try:
            converted = _converted(text, prefix, bech32.BECH32)
        except ValueError:
            converted = _converted(text, prefix, bech32.BECH32M)
    except ValueError as error:
        raise CommandError("failed to convert bech32", str(error)) from None
    say(converted)


def _converted(text: str, prefix: str, variant: int) -> str:
    return bech32.encode(prefix, bech32.decode(text, (variant,))[1], variant)


COMMAND = Command(_convert, (Argument("FROM_BECH32", required=True), Argument("NEW_PREFIX", required=True)))
