"""What the tests on chain data share."""

import base64
from collections.abc import Callable
from pathlib import Path

from node_fsm.chain.errors import ChainDataError

DATA = Path(__file__).parent / "data"


def stored(name: str) -> bytes:
    """The bytes of a base64 file in the data directory."""
    return base64.b64decode((DATA / name).read_text())


def refusal(read: Callable[[bytes], object], data: bytes) -> ChainDataError | None:
    """The error with which *read* refuses *data*, None when it does not. Any other error is passed on."""
    try:
        read(data)
    except ChainDataError as error:
        return error
    return None
