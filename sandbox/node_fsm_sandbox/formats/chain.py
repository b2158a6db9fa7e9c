"""Writing what a chain consists of, byte for byte as the node does: the counterpart of `node_fsm.chain`, which reads.

A fragment that carries a certificate is, inside its frame: the certificate's content, the transaction (expiry,
inputs, outputs, one witness for each input) and, for a vote plan or a tally, who authorises it. Witnesses sign
the hash of all before them; the authority signs everything before itself.
"""

from collections.abc import Iterable, Sequence
from struct import Struct, pack

from node_fsm.chain.fragments import HASH_SIZE, LENGTH, FragmentKind
from node_fsm.chain.transactions import SPINE, Input, Output, WitnessKind
from node_fsm.core.block_date import BlockDate
from node_fsm_sandbox.formats.crypto import SigningKey, blake2b_256

"""Independent spending counters of an account."""

COUNTERS = 1 << 29
"""Spending counters of a lane."""

_ACCOUNT_INPUT = 0xFF
_HEADER = Struct(f">BIIII{HASH_SIZE}s{HASH_SIZE}s")
_FUNDS_EXPIRY = BlockDate(0, 0)
_CERTIFICATES_EXPIRY = BlockDate(1, 0)


def fragment(kind: FragmentKind, content: bytes) -> bytes:
    """A fragment as it stands in a block and is posted to a node."""
    return LENGTH.pack(2 + len(content)) + bytes([0, kind]) + content


def unsigned_transaction(
    certificate: bytes, valid_until: BlockDate, inputs: Sequence[Input] = (), outputs: Sequence[Output] = ()
) -> bytes:
    """A transaction up to its witnesses; *certificate* is the content of the one it carries, empty without one."""
    spine = SPINE.pack(*valid_until, len(inputs), len(outputs))
    return certificate + spine + b"".join(map(_input, inputs)) + b"".join(map(_output, outputs))


def spending_counter(lane: int, counter: int) -> int:
    """The counter of a lane in one number, as witnesses have it."""
    return lane * COUNTERS + counter


def account_witness_message(block0_hash: bytes, transaction_hash: bytes, spending_counter: int) -> bytes:
    """What an account signs to spend; *transaction_hash* is that of the unsigned transaction."""
    # Little endian here, although it is big endian in the witness itself.
    return bytes([WitnessKind.ACCOUNT]) + block0_hash + transaction_hash + pack("<I", spending_counter)


def account_witness(spending_counter: int, signature: bytes) -> bytes:
    """A witness of an account."""
    return bytes([WitnessKind.ACCOUNT]) + pack(">I", spending_counter) + signature


def plan_proof(key: SigningKey, signed: bytes) -> bytes:
    """The authority of a vote plan; *signed* is everything before it."""
    return key.public_key + key.sign(signed)


def tally_proof(key: SigningKey, signed: bytes, *, private: bool) -> bytes:
    """The authority of a tally; *signed* is everything before it."""
    return bytes([private]) + key.public_key + key.sign(signed)


def fund(outputs: Sequence[Output]) -> bytes:
    """A fragment of block 0 that gives funds."""
    return fragment(FragmentKind.TRANSACTION, unsigned_transaction(b"", _FUNDS_EXPIRY, (), outputs))


def block0_certificate(certificate: bytes) -> bytes:
    """The unsigned transaction with which block 0 carries a certificate."""
    return unsigned_transaction(certificate, _CERTIFICATES_EXPIRY)


def block0(fragments: Iterable[bytes]) -> bytes:
    """The first block of a chain."""
    return _block(None, BlockDate(0, 0), 0, None, fragments)


def bft_block(key: SigningKey, date: BlockDate, height: int, parent: str, fragments: Iterable[bytes]) -> bytes:
    """A block minted by the leader with *key*, after the one with the id *parent*."""
    return _block(key, date, height, parent, fragments)


def _block(
    key: SigningKey | None, date: BlockDate, height: int, parent: str | None, fragments: Iterable[bytes]
) -> bytes:
    # Imported here because the commands that make transactions shall not wait for it.
    from node_fsm.chain.blocks import NO_PARENT, BlockVersion

    version = BlockVersion.BFT if key else BlockVersion.UNSIGNED
    content = b"".join(fragments)
    parent_hash = bytes.fromhex(parent or NO_PARENT)
    header = _HEADER.pack(version, len(content), *date, height, blake2b_256(content), parent_hash)
    if key:
        header += key.public_key
        header += key.sign(header)
    return bytes([version]) + header + content


def _input(source: Input) -> bytes:
    if source.account is not None:
        return pack(">BQ", _ACCOUNT_INPUT, source.value) + source.account
    assert source.output is not None, "an input is an account's or an output"
    fragment_id, index = source.output
    return pack(">BQ", index, source.value) + bytes.fromhex(fragment_id)


def _output(output: Output) -> bytes:
    return output.address + pack(">Q", output.value)
