"""More kinds of values: addresses and dates on the chain. All raise ValueError with jcli's message."""

from node_fsm.chain import bech32
from node_fsm.chain.address import TEST_BIT
from node_fsm.chain.transactions import ADDRESS_SIZES
from node_fsm.core.block_date import BlockDate
from node_fsm_sandbox.jcli.values import ANY_VARIANT, unsigned

_BLOCK_DATE_FORMAT = "expected block date format EPOCH.SLOT"


def block_date(text: str) -> BlockDate:
    """A date on the chain."""
    epoch, dot, slot = text.partition(".")
    if not dot:
        raise ValueError(_BLOCK_DATE_FORMAT)
    numbers = []
    for name, part in (("epoch", epoch), ("slot", slot)):
        try:
            numbers.append(unsigned(32)(part))
        except ValueError:
            raise ValueError(f"invalid {name} ID, {_BLOCK_DATE_FORMAT}") from None
    return BlockDate(*numbers)


def address(text: str) -> bytes:
    """The raw bytes of an address, whatever its prefix."""
    try:
        _, data = bech32.decode(text, ANY_VARIANT)
    except ValueError:
        raise ValueError("invalid internal encoding") from None
    if not data:
        raise ValueError("empty address")
    size = ADDRESS_SIZES.get(data[0] & ~TEST_BIT)
    if size is None:
        raise ValueError("invalid kind")
    if len(data) != size:
        raise ValueError("invalid address")
    return data
