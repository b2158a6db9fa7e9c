"""Account addresses and public keys in the texts that jcli prints and reads."""

from typing import NamedTuple

from node_fsm.chain import bech32

PUBLIC_KEY_PREFIX = "ed25519_pk"
MEMBER_KEY_PREFIX = "ristretto255_memberpk"
COMMUNICATION_KEY_PREFIX = "ristretto255_vcommpk"
ELECTION_KEY_PREFIX = "ristretto255_votepk"
MEMBER_SECRET_PREFIX = "ristretto255_membersk"  # noqa: S105 - no secret, but how the texts of such begin
COMMUNICATION_SECRET_PREFIX = "ristretto255_vcommsk"  # noqa: S105 - as above
KEY_SIZE = 32

# The first byte of an address: its kind, and in the highest bit whether it is for a test chain.
ACCOUNT_KIND = 0x05
TEST_BIT = 0x80
_ACCOUNT_PRODUCTION = bytes([ACCOUNT_KIND])
_ACCOUNT_TEST = bytes([ACCOUNT_KIND | TEST_BIT])


class AccountAddress(NamedTuple):
    """What an account address says: the account's public key (32 bytes) and the kind of chain it is for."""

    public_key: bytes
    production: bool


def account_address(public_key: bytes, *, production: bool) -> str:
    """The address of the account of *public_key*: ``ca1…`` on a production chain, ``ta1…`` on a test chain.

    ValueError unless the key has 32 bytes.
    """
    if len(public_key) != KEY_SIZE:
        raise ValueError(f"an account's public key has {KEY_SIZE} bytes, not {len(public_key)}")
    if production:
        return bech32.encode("ca", _ACCOUNT_PRODUCTION + public_key)
    return bech32.encode("ta", _ACCOUNT_TEST + public_key)


def parse_account_address(text: str) -> AccountAddress:
    """Read an account address, whatever its prefix: jcli itself prints test addresses with ``ca`` at times.

    ValueError when the text is no bech32 or another kind of address.
    """
    _, data = bech32.decode(text)
    if len(data) != 1 + KEY_SIZE or data[0] & ~TEST_BIT != ACCOUNT_KIND:
        raise ValueError("not the address of an account")
    return AccountAddress(data[1:], production=not data[0] & TEST_BIT)


def ed25519_public_key(text: str) -> bytes:
    """The 32 bytes of an ``ed25519_pk1…`` text; ValueError when it is not one."""
    prefix, data = bech32.decode(text)
    if prefix != PUBLIC_KEY_PREFIX:
        raise ValueError(f"expected a public key ({PUBLIC_KEY_PREFIX}1…), not a text of kind {prefix}")
    if len(data) != KEY_SIZE:
        raise ValueError(f"an ed25519 public key has {KEY_SIZE} bytes, this text holds {len(data)}")
    return data


def ed25519_public_key_text(public_key: bytes) -> str:
    """*public_key* (32 bytes) as ``ed25519_pk1…``."""
    return bech32.encode(PUBLIC_KEY_PREFIX, public_key)
