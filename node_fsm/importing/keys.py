"""Keys as people give them: in hex; for what else they give there is the hint that mends it.

No error repeats what was given unless it is public: it may be a secret key in the wrong place.
"""

import re

from node_fsm.chain import bech32
from node_fsm.chain.address import (
    KEY_SIZE,
    MEMBER_KEY_PREFIX,
    PUBLIC_KEY_PREFIX,
    ed25519_public_key,
    parse_account_address,
)
from node_fsm.chain.member_key import member_key_problem

_DIGITS = 2 * KEY_SIZE
_WANTED = f"must be {KEY_SIZE} bytes in hex: {_DIGITS} digits, 0x before them is allowed"

_BECH32_PREFIX = re.compile(r"ed25519[a-z0-9]{0,6}_[a-z]{2,10}|ristretto255_[a-z]{8,9}|[a-z]{2,5}(_[a-z]{2,4})?")
"""Those of keys and addresses: no more than that is repeated of a text that may be anything."""


def hex_of_32_bytes(text: str) -> str:
    """64 lower-case hex digits, from upper or lower case, with or without ``0x``; ValueError otherwise."""
    digits = text.strip().lower().removeprefix("0x")
    if len(digits) != _DIGITS or set(digits) - set("0123456789abcdef"):
        raise ValueError(f"{_WANTED}; {_hint(text.strip(), digits)}")
    return digits


def member_key(text: str) -> str:
    """A member's public key, unchanged; ValueError when it is none."""
    try:
        prefix, data = bech32.decode(text)
    except ValueError as error:
        raise ValueError(f"is not a member's public key ({MEMBER_KEY_PREFIX}1…): {error}") from None
    if prefix != MEMBER_KEY_PREFIX or len(data) != KEY_SIZE:
        raise ValueError(f"is not a member's public key ({MEMBER_KEY_PREFIX}1…), but {_kind(prefix)}")
    if problem := member_key_problem(text):
        raise ValueError(problem)
    return text


def _hint(text: str, digits: str) -> str:
    if not text:
        return "it is empty"
    if re.fullmatch(r"\d+([.,]\d+)?e\+?\d+", text, re.IGNORECASE):
        return "a spreadsheet made a number of it: give that column the format Text, and export it again"
    if not set(digits) - set("0123456789abcdef"):
        return f"these are {len(digits)} digits"
    for decode in (ed25519_public_key, lambda address: parse_account_address(address).public_key):
        try:
            return f"this is the key in bech32, which is {decode(text).hex()} in hex"
        except ValueError:
            continue
    prefix, _, _ = text.lower().rpartition("1")
    if _BECH32_PREFIX.fullmatch(prefix):
        return f"this is {_kind(prefix)}"
    wrong = next((place for place, digit in enumerate(digits, 1) if digit not in "0123456789abcdef"), 0)
    return f"the character at place {wrong} is none"


def _kind(prefix: str) -> str:
    """What a text in bech32 with *prefix* is, and what to give instead."""
    if re.search("sk$|_sk|secret|prv", prefix):
        return (
            f"a secret key ({prefix}1…): give the public one, as `jcli key to-public` prints it, and regard this one as"
            " known to others"
        )
    if prefix == PUBLIC_KEY_PREFIX:
        return f"a mistyped {prefix}1…; `jcli key to-bytes` prints the hex of a good one"
    return f"a {prefix}1… in bech32; give the public key itself"
