"""The kinds of values on jcli's command lines, each read as jcli reads it. All raise ValueError with its message."""

from collections.abc import Callable

from node_fsm.chain import bech32
from node_fsm.chain.address import PUBLIC_KEY_PREFIX

ANY_VARIANT = (bech32.BECH32, bech32.BECH32M)
HASH_SIZE = 32


def unsigned(bits: int) -> Callable[[str], int]:
    """A reader of unsigned numbers of that many bits."""

    def read(text: str) -> int:
        digits = text.removeprefix("+")
        if not text:
            raise ValueError("cannot parse integer from empty string")
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError("invalid digit found in string")
        if (value := int(digits)) >> bits:
            raise ValueError("number too large to fit in target type")
        return value

    return read


def from_hex(text: str) -> bytes:
    """The bytes of hexadecimal *text*, refused with what is wrong in it."""
    if len(text) % 2:
        raise ValueError("Odd number of digits")
    for position, char in enumerate(text):
        if char not in "0123456789abcdefABCDEF":
            raise ValueError(f"Invalid character {char!r} at position {position}")
    return bytes.fromhex(text)


def digest(text: str) -> bytes:
    """The id of a vote plan or of a transaction's data."""
    return _hash(text, "digest")


def block_hash(text: str) -> bytes:
    """The id of a block."""
    return _hash(text, "hash")


def bech32_data(text: str, prefix: str, size: int) -> bytes:
    """The data of a bech32 text of fixed kind and size."""
    try:
        actual, data = bech32.decode(text, ANY_VARIANT)
    except ValueError:
        raise ValueError("Failed to parse bech32, invalid data format") from None
    if actual != prefix:
        raise ValueError(f"Parsed bech32 has invalid HRP prefix '{actual}', expected '{prefix}'")
    if len(data) != size:
        raise ValueError(f"parsed bech32 data has length {len(data)}, expected {size}")
    return data


def public_key(text: str) -> bytes:
    """An ed25519 public key."""
    return bech32_data(text, PUBLIC_KEY_PREFIX, HASH_SIZE)


def _hash(text: str, name: str) -> bytes:
    try:
        data = from_hex(text)
    except ValueError:
        raise ValueError(f"invalid hex encoding for {name} value") from None
    if len(data) != HASH_SIZE:
        raise ValueError(f"invalid {name} size, expected {HASH_SIZE} but received {len(data)} bytes.")
    return data
