"""``jcli rest``: asking a running node, and posting fragments to it."""

import json
from typing import Any

from node_fsm.chain import bech32
from node_fsm.chain.address import ACCOUNT_KIND, KEY_SIZE, TEST_BIT
from node_fsm_sandbox.jcli import rest_client
from node_fsm_sandbox.jcli.arguments import Argument, Command, Option, Values
from node_fsm_sandbox.jcli.errors import CommandError, UsageError
from node_fsm_sandbox.jcli.files import say
from node_fsm_sandbox.jcli.output_format import OPTION, formatted
from node_fsm_sandbox.jcli.rest_client import HOST
from node_fsm_sandbox.jcli.values import ANY_VARIANT, unsigned

_HASH_SIZE = 32


def _get_json(*segments: str) -> Command:
    """A command that prints what the node says at a path."""
    return Command(lambda values: _print_json(values, *segments), (HOST, OPTION))


def _get_text(*segments: str) -> Command:
    """A command that prints an answer as it stands."""
    return Command(lambda values: say(rest_client.request(values["host"], *segments).decode()), (HOST,))


def _print_json(values: Values, *segments: str) -> None:
    answer = rest_client.request(values["host"], *segments)
    try:
        document: Any = json.loads(answer)
    except ValueError as error:
        message = "error when trying to perform an HTTP request"
        raise CommandError(message, "could not deserialize the response as JSON", str(error)) from None
    say(formatted(document, values["output_format"]))


def _account(values: Values) -> None:
    _print_json(values, "v0", "account", values["account_id"])


def _account_votes(values: Values) -> None:
    plan = [values["vote_plan_id"]] if values["vote_plan_id"] else []
    _print_json(values, "v1", "votes", "plan", *plan, "account-votes", values["account_id"])


def _block(values: Values) -> None:
    path = ("v0", "block", values["block_id"])
    match values["subcommand"]:
        case ["get"]:
            say(rest_client.request(values["host"], *path).hex())
        case ["next-id", "get"]:
            count = values["count"]
            query = "" if count is None else f"count={count}"
            answer = rest_client.request(values["host"], *path, "next_id", query=query)
            for start in range(0, len(answer), _HASH_SIZE):
                say(answer[start : start + _HASH_SIZE].hex())
        case words:
            message = f"Found argument '{' '.join(words)}' which wasn't expected, or isn't valid in this context"
            raise UsageError(message, "jcli rest v0 block <block-id> <SUBCOMMAND>")


def _shutdown(values: Values) -> None:
    rest_client.request(values["host"], "v0", "shutdown")
    say("Success")


def _account_id(text: str) -> str:
    """An account, given as its address or its public key in bech32, as the hex that the node wants."""
    try:
        _, data = bech32.decode(text, ANY_VARIANT)
    except ValueError:
        data = b""
    if len(data) == 1 + KEY_SIZE and data[0] & ~TEST_BIT == ACCOUNT_KIND:
        return data[1:].hex()
    if len(data) != KEY_SIZE:
        raise ValueError(f"account parameter '{text}' isn't a valid address or publickey")
    return data.hex()


COMMANDS = {
    "v0": {
        "account": {"get": Command(_account, (HOST, OPTION, Argument("account-id", _account_id, required=True)))},
        "block": Command(
            _block,
            (
                Argument("block-id", required=True),
                Argument("SUBCOMMAND", required=True, many=True),
                HOST,
                Option("count", "count", unsigned(64), short="c"),
            ),
        ),
        "diagnostic": {"get": _get_text("v0", "diagnostic")},
        "leaders": {"logs": {"get": _get_json("v0", "leaders", "logs")}},
        "message": {
            "logs": _get_json("v0", "fragment", "logs"),
            "post": "rest_post:COMMAND",
        },
        "network": {"stats": {"get": _get_json("v0", "network", "stats")}},
        "node": {"stats": {"get": _get_json("v0", "node", "stats")}},
        "settings": {"get": _get_json("v0", "settings")},
        "shutdown": {"post": Command(_shutdown, (HOST,))},
        "tip": {"get": _get_text("v0", "tip")},
        "vote": {
            "active": {
                "committees": {"get": _get_json("v0", "vote", "active", "committees")},
                "plans": {"get": _get_json("v0", "vote", "active", "plans")},
            }
        },
    },
    "v1": {
        "vote": {
            "account-votes": Command(
                _account_votes,
                (
                    HOST,
                    OPTION,
                    Option("account-id", "account-id", _account_id, short="a", required=True),
                    Option("vote-plan-id", "vote-plan-id", short="v"),
                ),
            )
        }
    },
}
