"""More kinds of values: the keys of those who open private votes. All raise ValueError with jcli's message."""

from node_fsm_sandbox.formats import ristretto
from node_fsm_sandbox.jcli.values import bech32_data


def element_key(text: str, prefix: str) -> bytes:
    """A public key of those who open private votes."""
    data = bech32_data(text, prefix, ristretto.ELEMENT_SIZE)
    try:
        ristretto.decode(data)
    except ValueError:
        raise ValueError("Failed to parse data decoded from bech32") from None
    return data


def scalar_key(text: str, prefix: str) -> int:
    """A secret key of those who open private votes."""
    data = bech32_data(text, prefix, ristretto.SCALAR_SIZE)
    try:
        return ristretto.read_scalar(data)
    except ValueError:
        raise ValueError("Failed to parse data decoded from bech32") from None
