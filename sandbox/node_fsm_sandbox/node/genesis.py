"""Block 0: from a file, from the store, or from a peer."""

import asyncio
import io
from pathlib import Path

from node_fsm.chain.blocks import Block, BlockHeader, BlockVersion, read_blocks
from node_fsm.chain.errors import MalformedError, TruncatedError
from node_fsm_sandbox.formats.crypto import blake2b_256
from node_fsm_sandbox.node.address import Address
from node_fsm_sandbox.node.bootstrap import fetch_block0
from node_fsm_sandbox.node.chain import Chain
from node_fsm_sandbox.node.errors import ExitCode, NodeError, RejectedError, system_reason
from node_fsm_sandbox.node.settings import Settings
from node_fsm_sandbox.node.store import BlockStore

_TOO_SHORT = "failed to fill whole buffer"


async def load_chain(settings: Settings, store: BlockStore, trusted: list[Address]) -> Chain:
    """The chain of the block 0 that *settings* name, with all its blocks in *store*; NodeError.

    A large one takes seconds; they are spent in a thread, so that the node can say meanwhile that it is not ready.
    """
    stored = await asyncio.to_thread(lambda: list(store.load()))
    raw = await _find_block0(settings, store, trusted)
    return await asyncio.to_thread(_restore, settings, store, raw, stored)


def _restore(settings: Settings, store: BlockStore, raw: bytes, stored: list[BlockHeader]) -> Chain:
    block0 = _first_block(raw)
    expected = settings.block0_hash
    if expected and block0.header.id != expected:
        raise NodeError(
            ExitCode.BLOCK0_MISMATCH, f"Block 0 mismatch. expecting hash: {expected} but got : {block0.header.id}"
        )
    try:
        chain = Chain(block0, store)
    except MalformedError as error:
        raise _unreadable(str(error)) from error
    except RejectedError as error:
        raise _unusable(str(error)) from error
    if block0.header.id not in store:
        store.append(block0.header.id, raw)
    elif stored[-1].id != block0.header.id:
        for header in stored:
            chain.restore(header)
        if stored[-1].id not in chain:  # another chain was the last to run on this storage
            raise _unusable("cannot iterate between the 2 given blocks")
    return chain


async def _find_block0(settings: Settings, store: BlockStore, trusted: list[Address]) -> bytes:
    if settings.block0:
        return _read(settings.block0)
    assert settings.block0_hash, "make_settings wants one or the other"
    if settings.block0_hash in store:
        return store.read(settings.block0_hash)
    return await fetch_block0(trusted, settings.block0_hash)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NodeError(ExitCode.FILES, "I/O Error with Block0", system_reason(error)) from error


def _first_block(raw: bytes) -> Block:
    """The block that *raw* begins with, whole and of the content that its header says; NodeError."""
    try:
        block = next(read_blocks(io.BytesIO(raw)), None)
    except TruncatedError:
        block = None
    except MalformedError as error:
        raise _unreadable(str(error) if raw[0] in set(BlockVersion) else f"unknown tag: {raw[0]}") from error
    if block is None or len(raw) < block.header.size:
        raise _unreadable(_TOO_SHORT)
    header = block.header
    found = blake2b_256(raw[header.size - header.content_size : header.size]).hex()
    if found != header.content_hash:
        hashes = f"block {found} header {header.content_hash}"
        raise _unreadable(f"invalid structure: Inconsistent block content hash in header: {hashes}")
    return block


def _unreadable(cause: str) -> NodeError:
    return NodeError(ExitCode.BLOCK0, "Parsing error on Block0", cause)


def _unusable(cause: str) -> NodeError:
    return NodeError(ExitCode.LEDGER, "Error while loading the legacy blockchain state", cause)
