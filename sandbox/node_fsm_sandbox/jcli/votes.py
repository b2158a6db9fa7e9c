"""``jcli votes``: the keys of those who open private votes; the tally itself is in a module of its own."""

from collections.abc import Callable

from node_fsm.chain import bech32
from node_fsm.chain.address import (
    COMMUNICATION_KEY_PREFIX,
    COMMUNICATION_SECRET_PREFIX,
    ELECTION_KEY_PREFIX,
    MEMBER_KEY_PREFIX,
    MEMBER_SECRET_PREFIX,
)
from node_fsm_sandbox.formats import ballots, ristretto
from node_fsm_sandbox.jcli import files
from node_fsm_sandbox.jcli.arguments import Argument, Command, Option, Values
from node_fsm_sandbox.jcli.committee_values import element_key, scalar_key
from node_fsm_sandbox.jcli.errors import CommandError
from node_fsm_sandbox.jcli.seeds import random_bytes, seed
from node_fsm_sandbox.jcli.values import unsigned

_WIDE = 2 * ristretto.SCALAR_SIZE


def _generate_communication_key(values: Values) -> None:
    scalar = ristretto.wide_scalar(random_bytes(values["seed"])(_WIDE))
    _write_scalar(values, COMMUNICATION_SECRET_PREFIX, scalar)


def _generate_member_key(values: Values) -> None:
    threshold, members = values["threshold"], len(values["keys"])
    if not 0 < threshold <= members:
        raise CommandError(f"threshold should be in range (0..{members}] and is {threshold}")
    if values["index"] >= members:
        raise CommandError("invalid committee member index")
    random = random_bytes(values["seed"])
    # Two polynomials are drawn, of as many coefficients each; the key is the constant of the second one.
    random(_WIDE * (threshold + 1))
    _write_scalar(values, MEMBER_SECRET_PREFIX, ristretto.wide_scalar(random(_WIDE)))


def _to_public(secret_prefix: str, public_prefix: str) -> Callable[[Values], None]:
    def run(values: Values) -> None:
        line = files.read_line(values["input"], lambda reason: CommandError("I/O error", reason))
        try:
            secret = scalar_key(line, secret_prefix)
        except ValueError as error:
            raise CommandError("bech32 error", str(error)) from None
        files.write_key(values["output_file"], bech32.encode(public_prefix, ballots.public_key(secret)))

    return run


def _election_key(values: Values) -> None:
    files.write_key(values["output_file"], bech32.encode(ELECTION_KEY_PREFIX, ballots.election_key(values["keys"])))


def _write_scalar(values: Values, prefix: str, scalar: int) -> None:
    files.write_key(values["output_file"], bech32.encode(prefix, ristretto.write_scalar(scalar)))


def _communication_key(text: str) -> bytes:
    return element_key(text, COMMUNICATION_KEY_PREFIX)


def _member_key(text: str) -> bytes:
    return element_key(text, MEMBER_KEY_PREFIX)


_SEED = Option("seed", "SEED", seed, short="s")
_INPUT = Option("input", "input-key")
_OUTPUT = Argument("OUTPUT_FILE")

COMMANDS = {
    "committee": {
        "communication-key": {
            "generate": Command(_generate_communication_key, (_SEED, _OUTPUT)),
            "to-public": Command(_to_public(COMMUNICATION_SECRET_PREFIX, COMMUNICATION_KEY_PREFIX), (_INPUT, _OUTPUT)),
        },
        "member-key": {
            "generate": Command(
                _generate_member_key,
                (
                    Option("threshold", "THRESHOLD", unsigned(64), short="t", required=True),
                    Option("crs", "Crs", required=True),
                    Option("keys", "COMMUNICATION_KEYS", _communication_key, short="k", required=True, many=True),
                    Option("index", "INDEX", unsigned(64), short="i", required=True),
                    _SEED,
                    _OUTPUT,
                ),
            ),
            "to-public": Command(_to_public(MEMBER_SECRET_PREFIX, MEMBER_KEY_PREFIX), (_INPUT, _OUTPUT)),
        },
    },
    "election-key": Command(
        _election_key, (Option("keys", "member-keys", _member_key, short="k", required=True, many=True), _OUTPUT)
    ),
    "tally": "tally:COMMANDS",
}
