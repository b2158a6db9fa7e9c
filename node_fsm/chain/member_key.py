"""The public keys of a committee's members, of which the key that votes are encrypted with is the sum."""

from node_fsm.chain import bech32, ristretto
from node_fsm.chain.address import MEMBER_KEY_PREFIX


def member_key_problem(text: str) -> str | None:
    """Why *text* is no member's public key, as the end of a sentence; None when it is one."""
    try:
        prefix, data = bech32.decode(text)
    except ValueError as error:
        return f"is no member key ({error})"
    if prefix != MEMBER_KEY_PREFIX or len(data) != ristretto.POINT_SIZE:
        return f"is no member key ({MEMBER_KEY_PREFIX}1…)"
    if not ristretto.is_point(data) or data == ristretto.IDENTITY:
        return "is no member key that any secret key makes"
    return None
