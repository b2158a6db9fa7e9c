"""``jcli address``: the addresses of accounts."""

from node_fsm.chain import bech32
from node_fsm.chain.address import ACCOUNT_KIND, TEST_BIT, ed25519_public_key_text
from node_fsm_sandbox.jcli import values as kinds
from node_fsm_sandbox.jcli.arguments import Argument, Command, Option, Values
from node_fsm_sandbox.jcli.chain_values import address
from node_fsm_sandbox.jcli.errors import CommandError, PanicError
from node_fsm_sandbox.jcli.files import say


def _account(values: Values) -> None:
    kind = ACCOUNT_KIND | TEST_BIT * values["testing"]
    try:
        say(bech32.encode(values["prefix"], bytes([kind]) + values["public_key"]))
    except ValueError as error:
        raise PanicError(str(error)) from None


def _info(values: Values) -> None:
    kind, *key = values["address"]
    if kind & ~TEST_BIT != ACCOUNT_KIND:
        raise CommandError("the sandbox knows the addresses of accounts only")
    say(f"discrimination: {'testing' if kind & TEST_BIT else 'production'}")
    say(f"account: {ed25519_public_key_text(bytes(key))}")


_PUBLIC_KEY = Argument("PUBLIC_KEY", kinds.public_key, required=True)

COMMANDS = {
    "account": Command(_account, (_PUBLIC_KEY, Option("testing"), Option("prefix", "prefix", default="ca"))),
    "info": Command(_info, (Argument("ADDRESS", address, required=True),)),
}
