"""A chain that the real node made is one that the stand-in takes, block by block, to the same end."""

import io
import json

import pytest
from node_fsm_sandbox.formats import ballots
from node_fsm_sandbox.node import plans, views
from node_fsm_sandbox.node.chain import Arrival, Chain
from node_fsm_sandbox.node.store import BlockStore

from node_fsm.chain.blocks import read_blocks
from tests.chain.helpers import DATA, stored
from tests.sandbox_node.world import header


def ciphertexts(_: bytes, __: bytes, ballot: bytes) -> bytes:
    """What is in a real ballot, whose proof the stand-in does not understand."""
    return ballot[1 : 1 + ballot[0] * ballots.CIPHERTEXT_SIZE]


def raw_blocks(data: bytes) -> list[bytes]:
    blocks = []
    for block in read_blocks(io.BytesIO(data)):
        block.skip()
        blocks.append(data[block.offset : block.end])
    return blocks


def test_recorded_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every signature, counter and window holds; only the proofs of private ballots are not looked at."""
    monkeypatch.setattr(plans, "open_ballot", ciphertexts)
    block0, *later = raw_blocks(stored("blocks.b64"))
    store = BlockStore(None)
    store.append(header(block0).id, block0)
    chain = Chain(next(read_blocks(io.BytesIO(block0))), store)
    assert [chain.add(raw) for raw in later] == [Arrival.TIP] * len(later)
    votes = chain.ledger.plans
    recorded = {plan["id"]: plan for plan in json.loads((DATA / "plans.json").read_text())}
    assert {plan.id: views.plan(votes, plan) for plan in votes.all()} == recorded
