"""Where keys come from: the system's randomness, or a seed that gives the same key as with jcli."""

import os
from collections.abc import Callable

from node_fsm_sandbox.jcli.values import from_hex

_SEED_SIZE = 32

RandomBytes = Callable[[int], bytes]


def seed(text: str) -> bytes:
    """The value of ``--seed``; ValueError when it is none."""
    try:
        data = from_hex(text)
    except ValueError:
        raise ValueError("invalid Hexadecimal") from None
    if len(data) != _SEED_SIZE:
        raise ValueError(f"invalid seed length, expected {_SEED_SIZE} bytes but received {len(data)}")
    return data


def random_bytes(seed: bytes | None) -> RandomBytes:
    """What gives random bytes: the keystream of ChaCha20 under *seed*, or the system when there is none."""
    if seed is None:
        return os.urandom
    # Imported here because seeds are rare and the import is not cheap.
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

    keystream = Cipher(ChaCha20(seed, bytes(16)), mode=None).encryptor()
    return lambda size: keystream.update(bytes(size))
