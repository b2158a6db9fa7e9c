"""Transactions: what every fragment but a block 0's configuration carries around its certificate."""

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from node_fsm.chain.address import KEY_SIZE, TEST_BIT
from node_fsm.chain.cursor import Cursor
from node_fsm.chain.fragments import Fragment
from node_fsm.core.block_date import BlockDate

# Expiry (epoch, slot), number of inputs, number of outputs.
SPINE = Struct(">IIBB")
_INPUT = Struct(f">BQ{KEY_SIZE}s")
_ACCOUNT_INPUT = 0xFF

# By kind, the bytes of an address: one with a group key has two keys, any other one key or hash.
ADDRESS_SIZES = {0x03: 1 + KEY_SIZE, 0x04: 1 + 2 * KEY_SIZE, 0x05: 1 + KEY_SIZE, 0x06: 1 + KEY_SIZE, 0x07: 1 + KEY_SIZE}

_SIGNATURE_SIZE = 64
_LANE_BITS = 29
_MULTISIG_ENTRY_SIZE = 2 + KEY_SIZE + _SIGNATURE_SIZE


class WitnessKind(IntEnum):
    """What a witness proves the right to spend."""

    OLD_UTXO = 0
    UTXO = 1
    ACCOUNT = 2
    MULTISIG = 3


class Input(NamedTuple):
    """What is spent: of an account (its public key), or of an output (its fragment's id) when ``account`` is None."""

    account: bytes | None
    output: tuple[str, int] | None
    value: int


class Output(NamedTuple):
    """Who gets how much; the address as raw bytes, the first of which is its kind."""

    address: bytes
    value: int


class Witness(NamedTuple):
    """The signature that goes with an input; lane and counter are those of an account, else None."""

    kind: WitnessKind
    lane: int | None
    counter: int | None


class Transaction(NamedTuple):
    """A transaction without its certificate; ``valid_until`` is the last date at which it can be in a block."""

    valid_until: BlockDate
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    witnesses: tuple[Witness, ...]


def read_transaction(cursor: Cursor) -> Transaction:
    """Read the part between a fragment's certificate and its authentication; MalformedError."""
    epoch, slot, input_count, output_count = cursor.unpack(SPINE, "expiry date and numbers of inputs and outputs")
    return Transaction(
        BlockDate(epoch, slot),
        tuple([_read_input(cursor) for _ in range(input_count)]),
        tuple([_read_output(cursor) for _ in range(output_count)]),
        tuple([_read_witness(cursor) for _ in range(input_count)]),
    )


def decode_transaction(fragment: Fragment) -> Transaction:
    """Decode a fragment of kind TRANSACTION; MalformedError."""
    cursor = fragment.content()
    transaction = read_transaction(cursor)
    cursor.expect_end("the transaction")
    return transaction


def _read_input(cursor: Cursor) -> Input:
    index, value, pointer = cursor.unpack(_INPUT, "input")
    if index == _ACCOUNT_INPUT:
        return Input(pointer, None, value)
    return Input(None, (pointer.hex(), index), value)


def _read_output(cursor: Cursor) -> Output:
    start = cursor.position
    kind = cursor.u8("output's address") & ~TEST_BIT
    if kind not in ADDRESS_SIZES:
        raise cursor.malformed(f"unknown kind {kind} of an output's address")
    cursor.take(ADDRESS_SIZES[kind] - 1, "output's address")
    return Output(cursor.since(start), cursor.u64("output's value"))


def _read_witness(cursor: Cursor) -> Witness:
    kind = cursor.u8("witness")
    match kind:
        case WitnessKind.ACCOUNT:
            spending_counter = cursor.u32("spending counter")
            cursor.take(_SIGNATURE_SIZE, "account's signature")
            lane, counter = divmod(spending_counter, 1 << _LANE_BITS)
            return Witness(WitnessKind.ACCOUNT, lane, counter)
        case WitnessKind.UTXO:
            cursor.take(_SIGNATURE_SIZE, "signature")
        case WitnessKind.OLD_UTXO:
            cursor.take(2 * KEY_SIZE + _SIGNATURE_SIZE, "signature with its key")
        case WitnessKind.MULTISIG:
            cursor.u32("spending counter")
            cursor.take(cursor.u8("number of signatures") * _MULTISIG_ENTRY_SIZE, "signatures")
        case _:
            raise cursor.malformed(f"unknown kind {kind} of witness")
    return Witness(WitnessKind(kind), None, None)
