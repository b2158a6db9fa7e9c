"""Bech32 text (BIP-173), and its later variant bech32m (BIP-350), of any length, in both directions.

The checksum is a polynomial over 5-bit symbols. Two symbols are taken at a time through tables of 1024
entries, because voter imports encode addresses by the million.
"""

from collections.abc import Collection
from functools import lru_cache

BECH32 = 1
BECH32M = 0x2BC830A3
"""What the checksum of a text comes to, by variant."""

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_LENGTH = 6

# int(text, 32) turns symbols into one number at once, when each is spelled as int spells that digit.
_DIGITS = b"0123456789abcdefghijklmnopqrstuv"
_TO_DIGITS = bytes(
    _DIGITS[_ALPHABET.index(char)] if (char := chr(code)) in _ALPHABET else ord("!") for code in range(256)
)


def _reduce_symbol(top: int) -> int:
    value = 0
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            value ^= generator
    return value


_REDUCE_SYMBOL = [_reduce_symbol(top) for top in range(32)]


def _add_symbol(state: int, symbol: int) -> int:
    return (state & 0x1FFFFFF) << 5 ^ symbol ^ _REDUCE_SYMBOL[state >> 25]


_REDUCE_PAIR = [_add_symbol(_add_symbol(top << 20, 0), 0) for top in range(1024)]
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


@lru_cache(maxsize=64)
def _prefix_state(prefix: str) -> int:
    """The checksum's state after the human-readable part; ValueError when *prefix* cannot be one."""
    if not prefix:
        raise ValueError("bech32 text has no human-readable part before its separator '1'")
    if not prefix.isascii() or not prefix.isprintable() or " " in prefix or prefix != prefix.lower():
        raise ValueError("the human-readable part of bech32 text must be printable ASCII in lower case, no spaces")
    state = 1
    for char in prefix:
        state = _add_symbol(state, ord(char) >> 5)
    state = _add_symbol(state, 0)
    for char in prefix:
        state = _add_symbol(state, ord(char) & 31)
    return state


def _checksum(prefix: str, number: int, symbols: int) -> tuple[int, str, list[int]]:
    """The state after *symbols* symbols of *number*, its first symbol when that count is odd, and its pairs."""
    state = _prefix_state(prefix)
    head = ""
    if symbols & 1:
        first = number >> (symbols - 1) * 5
        state = _add_symbol(state, first)
        head = _ALPHABET[first]
    pairs = [number >> shift & 1023 for shift in range((symbols & ~1) * 5 - 10, -1, -10)]
    for pair in pairs:
        state = (state & 0xFFFFF) << 10 ^ pair ^ _REDUCE_PAIR[state >> 20]
    return state, head, pairs


def encode(prefix: str, data: bytes, variant: int = BECH32) -> str:
    """*data* as bech32 text with the human-readable part *prefix*; ValueError when the prefix cannot be one."""
    bits = len(data) * 8
    symbols = -(-bits // 5)
    state, head, pairs = _checksum(prefix, int.from_bytes(data) << (symbols * 5 - bits), symbols)
    for _ in range(_CHECKSUM_LENGTH // 2):
        state = (state & 0xFFFFF) << 10 ^ _REDUCE_PAIR[state >> 20]
    state ^= variant
    body = "".join([_PAIRS[pair] for pair in pairs])
    return f"{prefix}1{head}{body}{_PAIRS[state >> 20]}{_PAIRS[state >> 10 & 1023]}{_PAIRS[state & 1023]}"


def decode(text: str, variants: Collection[int] = (BECH32,)) -> tuple[str, bytes]:
    """The human-readable part (in lower case) and the data of bech32 *text*, of one of *variants*.

    ValueError says what is wrong, without repeating the text, which may be a secret key.
    """
    if not text.isascii():
        raise ValueError("bech32 text has characters beyond ASCII")
    lower = text.lower()
    if text != lower and text != text.upper():
        raise ValueError("bech32 text mixes upper and lower case")
    prefix, separator, rest = lower.rpartition("1")
    if not separator:
        raise ValueError("bech32 text has no separator '1'")
    if len(rest) < _CHECKSUM_LENGTH:
        raise ValueError(f"bech32 text ends {_CHECKSUM_LENGTH - len(rest)} characters too early for its checksum")
    digits = rest.encode().translate(_TO_DIGITS)
    if (wrong := digits.find(b"!")) >= 0:
        raise ValueError(f"character {len(prefix) + 2 + wrong} of the bech32 text is not one of its alphabet")
    number = int(digits, 32)
    state, _, _ = _checksum(prefix, number, len(rest))
    if state not in variants:
        raise ValueError("bech32 text has a wrong checksum: a character is mistyped, missing or too many")
    size, padding = divmod((len(rest) - _CHECKSUM_LENGTH) * 5, 8)
    number >>= _CHECKSUM_LENGTH * 5
    if padding > 4 or number & ((1 << padding) - 1):
        raise ValueError("bech32 text has padding that is not zero or too long")
    return prefix, (number >> padding).to_bytes(size)
