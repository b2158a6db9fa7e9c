"""The names on the chain of proposals that were given none."""

import json
from hashlib import blake2b


def derived_external_id(*path: str | int) -> bytes:
    """The 32 bytes that name a proposal whose row or entry names none: a blake2b-256 of *path* as compact JSON."""
    return blake2b(json.dumps(path, separators=(",", ":")).encode(), digest_size=32).digest()
