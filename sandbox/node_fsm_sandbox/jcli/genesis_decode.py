"""``jcli genesis decode`` and ``hash``: what a block 0 says."""

import io
from typing import Any

from node_fsm.chain import bech32
from node_fsm.chain.address import ACCOUNT_KIND, TEST_BIT
from node_fsm.chain.blocks import Block, read_blocks
from node_fsm.chain.certificates import decode_minted_token, decode_vote_plan
from node_fsm.chain.configuration import decode_configuration
from node_fsm.chain.errors import ChainDataError, TruncatedError
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.chain.transactions import SPINE, decode_transaction
from node_fsm_sandbox.formats.signatures import signed_parts
from node_fsm_sandbox.jcli import genesis_files
from node_fsm_sandbox.jcli.arguments import Command, Values
from node_fsm_sandbox.jcli.certificate_texts import Certificate, Kind
from node_fsm_sandbox.jcli.errors import CommandError
from node_fsm_sandbox.jcli.files import say
from node_fsm_sandbox.jcli.genesis_configuration import FIELDS
from node_fsm_sandbox.jcli.output_format import yaml_text

_PREFIX = "ca"


def _decode(values: Values) -> None:
    genesis_files.write(values, yaml_text(_document(_block(values))).encode())


def _hash(values: Values) -> None:
    block = _block(values)
    try:
        block.skip()
    except ChainDataError as error:
        raise _corrupted(error) from None
    say(block.header.id)


def _block(values: Values) -> Block:
    """The block in the file, its fragments yet to be read; CommandError."""
    try:
        block = next(read_blocks(io.BytesIO(genesis_files.read(values))), None)
    except ChainDataError as error:
        raise _corrupted(error) from None
    if block is None:
        raise CommandError("block file corrupted", "failed to fill whole buffer")
    return block


def _document(block: Block) -> dict[str, Any]:
    """The document that describes the block; CommandError when it is no block 0 of an election."""
    try:
        first, *others = block.fragments()
        if first.kind is not FragmentKind.INITIAL:
            raise _not_block0("Invalid block, expecting the first block fragment to be an special Init fragment")
        values = decode_configuration(first)
        kind = ACCOUNT_KIND | (TEST_BIT if values["discrimination"] == "test" else 0)
        return {
            "blockchain_configuration": {name: values[name] for name in FIELDS if name in values},
            "initial": [_initial(fragment, kind) for fragment in others],
        }
    except ChainDataError as error:
        raise _corrupted(error) from None


def _initial(fragment: Fragment, account_kind: int) -> dict[str, Any]:
    match fragment.kind:
        case FragmentKind.TRANSACTION:
            outputs = decode_transaction(fragment).outputs
            return {"fund": [{"address": bech32.encode(_PREFIX, raw), "value": value} for raw, value in outputs]}
        case FragmentKind.MINT_TOKEN:
            token = decode_minted_token(fragment)
            address = bech32.encode(_PREFIX, bytes([account_kind]) + token.account)
            return {"token": {"token_id": token.token_id, "to": [{"address": address, "value": token.value}]}}
        case FragmentKind.VOTE_PLAN:
            decode_vote_plan(fragment)
            parts = signed_parts(fragment, 0)
            assert parts.authority is not None, "vote plans are authorised"
            content = parts.unsigned[: -SPINE.size]
            return {"cert": Certificate(Kind.VOTE_PLAN, content, b"".join(parts.authority)).text()}
        case _:
            raise _not_block0("Invalid fragments", "non-first message of block 0 has unexpected type")


def _corrupted(error: ChainDataError) -> CommandError:
    cause = "failed to fill whole buffer" if isinstance(error, TruncatedError) else str(error)
    return CommandError("block file corrupted", cause)


def _not_block0(*causes: str) -> CommandError:
    return CommandError("failed to build genesis from block 0", *causes)


DECODE = Command(_decode, (genesis_files.INPUT, genesis_files.OUTPUT))
HASH = Command(_hash, (genesis_files.INPUT,))
