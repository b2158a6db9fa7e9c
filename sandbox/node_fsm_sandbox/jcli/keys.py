"""``jcli key``: ed25519 keys, plain ones for leaders and nodes, extended ones for wallets."""

from node_fsm.chain import bech32
from node_fsm.chain.address import PUBLIC_KEY_PREFIX, ed25519_public_key_text
from node_fsm_sandbox.formats.crypto import EXTENDED_SIZE, PLAIN_SIZE, PUBLIC_KEY_SIZE, SigningKey
from node_fsm_sandbox.jcli import files
from node_fsm_sandbox.jcli.arguments import Argument, Command, Option, Values
from node_fsm_sandbox.jcli.errors import CommandError
from node_fsm_sandbox.jcli.seeds import random_bytes, seed
from node_fsm_sandbox.jcli.values import ANY_VARIANT, bech32_data, from_hex

PLAIN_PREFIX = "ed25519_sk"
EXTENDED_PREFIX = "ed25519e_sk"

_SECRET_SIZES = {PLAIN_PREFIX: PLAIN_SIZE, EXTENDED_PREFIX: EXTENDED_SIZE}
_TYPES = {"ed25519": PLAIN_PREFIX, "ed25519extended": EXTENDED_PREFIX}
_ALL_TYPES = "Ed25519, Ed25519Bip32, Ed25519Extended, SumEd25519_12, RistrettoGroup2HashDh"


def read_signing_key(text: str) -> SigningKey:
    """The secret key in a file's line; ValueError when it is none."""
    if text.startswith(f"{EXTENDED_PREFIX}1"):
        return SigningKey(bech32_data(text, EXTENDED_PREFIX, EXTENDED_SIZE))
    return SigningKey(bech32_data(text, PLAIN_PREFIX, PLAIN_SIZE))


def _key_type(text: str) -> str:
    """The bech32 prefix of a type of secret keys."""
    try:
        return _TYPES[text.lower()]
    except KeyError:
        raise ValueError(f"valid values: {_ALL_TYPES}") from None


def _generate(values: Values) -> None:
    prefix = values["type"]
    data = bytearray(random_bytes(values["seed"])(_SECRET_SIZES[prefix]))
    if prefix == EXTENDED_PREFIX:
        data[0] &= 0b1111_1000
        data[31] = data[31] & 0b0011_1111 | 0b0100_0000
    files.write_key(values["output_file"], bech32.encode(prefix, bytes(data)))


def _to_public(values: Values) -> None:
    prefix, data = _read_bech32(values["input"])
    if prefix not in _SECRET_SIZES:
        raise CommandError(f"unrecognized private key bech32 HRP: '{prefix}'")
    if len(data) != _SECRET_SIZES[prefix]:
        raise CommandError("invalid secret key", "Invalid Secret Key size")
    files.write_key(values["output_file"], ed25519_public_key_text(SigningKey(data).public_key))


def _to_bytes(values: Values) -> None:
    prefix, data = _read_bech32(values["input_file"])
    if prefix not in (*_SECRET_SIZES, PUBLIC_KEY_PREFIX):
        raise CommandError(f"unrecognized private key bech32 HRP: '{prefix}'")
    files.write_key(values["output_file"], data.hex())


def _from_bytes(values: Values) -> None:
    try:
        data = from_hex(files.read_line(values["input_bytes"], _io_error))
    except ValueError as error:
        raise CommandError("invalid Hexadecimal", str(error)) from None
    if values["public"]:
        prefix, size, kind = PUBLIC_KEY_PREFIX, PUBLIC_KEY_SIZE, "Public"
    else:
        prefix, size, kind = values["type"], _SECRET_SIZES[values["type"]], "Secret"
    if len(data) != size:
        raise CommandError(f"invalid {kind.lower()} key", f"Invalid {kind} Key size")
    files.write_key(values["output_file"], bech32.encode(prefix, data))


def _read_bech32(path: str | None) -> tuple[str, bytes]:
    try:
        return bech32.decode(files.read_line(path, _io_error), ANY_VARIANT)
    except ValueError as error:
        raise CommandError("invalid Bech32", "Failed to parse bech32, invalid data format", str(error)) from None


def _io_error(reason: str) -> CommandError:
    return CommandError("I/O error", reason)


_OUTPUT = Argument("OUTPUT_FILE")
_TYPE = Option("type", "key-type", _key_type, required=True)

COMMANDS = {
    "from-bytes": Command(_from_bytes, (_TYPE, Option("public"), Argument("INPUT_BYTES"), _OUTPUT)),
    "generate": Command(_generate, (_TYPE, Option("seed", "SEED", seed, short="s"), _OUTPUT)),
    "to-bytes": Command(_to_bytes, (_OUTPUT, Argument("INPUT_FILE"))),
    "to-public": Command(_to_public, (Option("input", "input-key"), _OUTPUT)),
}
