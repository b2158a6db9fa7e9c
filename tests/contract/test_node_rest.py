"""What the node answers over REST: the shapes of its answers, and how it refuses."""

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from node_fsm.chain.blocks import read_blocks
from tests.contract.binaries import Binaries
from tests.contract.chains import POWER, TOKEN, Chain, Plan, Wallet, make_chain, vote
from tests.contract.nodes import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "ff" * 32
VOTER = Wallet()

Shape = Any
"""A type, a value that must be just that, a list of one shape, or a dictionary of shapes with just those keys."""

STATS = {
    "version": str,
    "state": "Running",
    "blockRecvCnt": int,
    "lastBlockContentSize": int,
    "lastBlockDate": str,
    "lastBlockFees": int,
    "lastBlockHash": str,
    "lastBlockHeight": str,
    "lastBlockSum": int,
    "lastBlockTime": str,
    "lastBlockTx": int,
    "lastReceivedBlockTime": "1970-01-01T00:00:00Z",
    "blockContentSizeAvg": float,
    "peerAvailableCnt": 0,
    "peerConnectedCnt": 0,
    "peerQuarantinedCnt": 0,
    "peerTotalCnt": 0,
    "txRecvCnt": 1,
    "mempoolUsageRatio": 0.0,
    "mempoolTotalSize": 0,
    "txRejectedCnt": 0,
    "votesCast": 1,
    "uptime": int,
}
SETTINGS = {
    "block0Hash": str,
    "block0Time": str,
    "currSlotStartTime": str,
    "consensusVersion": "bft",
    "fees": {"constant": 0, "coefficient": 0, "certificate": 0},
    "blockContentMaxSize": 102400,
    "epochStabilityDepth": 102400,
    "slotDuration": 1,
    "slotsPerEpoch": 60,
    "treasuryTax": {"fixed": 0, "ratio": {"numerator": 0, "denominator": 1}},
    "rewardParams": {
        "initialValue": 0,
        "compoundingRatio": {"numerator": 0, "denominator": 1},
        "compoundingType": "Linear",
        "epochRate": 4294967295,
        "epochStart": 0,
        "rewardDrawingLimitMax": "None",
        "poolParticipationCapping": None,
    },
    "discrimination": "test",
    "txMaxExpiryEpochs": 1,
}
ACCOUNT = {
    "delegation": {"pools": []},
    "value": 1000,
    "counters": [lane << 29 | (lane == 0) for lane in range(8)],
    "tokens": {TOKEN: POWER},
    "last_rewards": {"epoch": 0, "reward": 0},
}
RESULT = {"results": [0, POWER, 0], "options": {"start": 0, "end": 3}}
PLAN = {
    "id": str,
    "payload": "public",
    "vote_start": "0.0",
    "vote_end": "1000.0",
    "committee_end": "2000.0",
    "committee_member_keys": [],
    "proposals": [
        {
            "index": 0,
            "proposal_id": "00" * 32,
            "options": {"start": 0, "end": 3},
            "tally": {"Public": {"result": RESULT}},
            "votes_cast": 1,
        }
    ],
    "voting_token": TOKEN,
}
FRAGMENT_LOG = {
    "fragment_id": str,
    "received_from": "Rest",
    "received_at": str,
    "last_updated_at": str,
    "status": {"InABlock": {"date": str, "block": str}},
}
LEADER_LOG = {
    "created_at_time": str,
    "scheduled_at_time": str,
    "scheduled_at_date": str,
    "wake_at_time": str,
    "finished_at_time": str,
    "status": {"Block": {"block": str, "parent": str, "chain_length": int}},
}
SHAPES: dict[str, Shape] = {
    "v0/node/stats": STATS,
    "v0/settings": SETTINGS,
    f"v0/account/{VOTER.id}": ACCOUNT,
    "v0/vote/active/plans": [PLAN],
    "v0/vote/active/committees": [str],
    "v0/fragment/logs": [FRAGMENT_LOG],
    "v1/fragments/logs": [FRAGMENT_LOG],
    "v0/leaders/logs": [LEADER_LOG],
    "v0/network/stats": [],
    "v0/network/p2p/available": [],
    "v0/network/p2p/quarantined": [],
    "v0/network/p2p/non_public": [],
    "v0/network/p2p/view": [],
    "v0/diagnostic": {"open_files_limit": int, "cpu_usage_limit": int},
    "v0/stake": None,
    "v0/stake_pools": [],
    "v0/rewards/remaining": 0,
    "v0/rewards/history/3": [],
    f"v1/votes/plan/account-votes/{VOTER.id}": [{"vote_plan_id": str, "votes": [0]}],
    "v1/votes/plan/accounts-votes-all": {VOTER.id: [{"vote_plan_id": str, "votes": [0]}]},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chain(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return await make_chain(
        binaries.jcli, tmp_path_factory.mktemp("chain"), voters=[VOTER], plans={"plan": Plan(proposals=1)}, age=3
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(binaries: Binaries, chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """A node with a vote in a block."""
    node = Node(binaries, chain, tmp_path_factory.mktemp("node"))
    await node.start()
    await node.running()
    cast = vote(chain, VOTER)
    assert await node.post(cast) == {cast.id: None}
    await node.outcomes(cast)
    yield node
    await node.kill()


def fault(shape: Shape, value: Any, place: str = "answer") -> str | None:
    """Where *value* is not of *shape*."""
    if isinstance(shape, type):
        return None if type(value) is shape else f"{place} is {value!r}, not of type {shape.__name__}"
    if isinstance(shape, dict):
        if not isinstance(value, dict) or (list(value) != list(shape) and set(value) != set(shape)):
            return f"{place} has other keys than {list(shape)}: {value!r}"
        return next((found for key in shape if (found := fault(shape[key], value[key], f"{place}.{key}"))), None)
    if isinstance(shape, list) and len(shape) == 1 and isinstance(value, list) and value:
        return next((found for item in value if (found := fault(shape[0], item, f"{place}[]"))), None)
    return None if value == shape and type(value) is type(shape) else f"{place} is {value!r}, not {shape!r}"


@pytest.mark.parametrize("path", SHAPES, ids=[path.replace(VOTER.id, "VOTER") for path in SHAPES])
async def test_shapes(node: Node, path: str) -> None:
    answer = await node.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert fault(SHAPES[path], answer.json()) is None


async def test_tip_and_settings_are_of_the_chain(node: Node, chain: Chain) -> None:
    tip = await node.get("v0/tip")
    assert (tip.headers["content-type"], len(tip.text)) == ("text/plain; charset=utf-8", 64)
    settings = (await node.get("v0/settings")).json()
    assert settings["block0Hash"] == chain.block0_hash
    assert settings["block0Time"] == chain.clock.start.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (await node.get("v0/vote/active/committees")).json() == [chain.leaders[0].id]
    stats = await node.stats()
    assert stats is not None
    assert stats.last_block_time == chain.clock.time_at(stats.tip_date)


async def test_blocks_by_id(node: Node, chain: Chain) -> None:
    """The chain can be walked from block 0 to the tip."""
    await node.height(3)
    assert (await node.get(f"v0/block/{chain.block0_hash}")).content == chain.block0.read_bytes()
    ids, start = [], chain.block0_hash
    while following := (await node.get(f"v0/block/{start}/next_id", params={"count": 2})).content:
        ids += [following[place : place + 32].hex() for place in range(0, len(following), 32)]
        start = ids[-1]
    assert len(ids) >= 3
    parent = chain.block0_hash
    for number, block_id in enumerate(ids):
        answer = await node.get(f"v0/block/{block_id}")
        assert answer.headers["content-type"] == "application/octet-stream"
        (header,) = [block.header for block in read_blocks(io.BytesIO(answer.content))]
        assert (header.id, header.parent, header.height) == (block_id, parent, number + 1)
        assert header.leader == chain.leaders[0].public_key
        parent = block_id
    assert len((await node.get(f"v0/block/{chain.block0_hash}/next_id")).content) == 32
    assert (await node.get(f"v0/block/{chain.block0_hash}/next_id", params={"count": 0})).content == b""
    assert (await node.get(f"v0/block/{(await node.get('v0/tip')).text}/next_id")).status_code == 200


REFUSALS: dict[tuple[str, str], tuple[int, str]] = {
    ("GET", "v0/account/zz"): (400, "hex encoding malformed"),
    ("GET", "v0/account/ff"): (400, "invalid public key data"),
    ("GET", f"v0/account/{UNKNOWN}"): (404, ""),
    ("GET", f"v0/utxo/{UNKNOWN}/0"): (404, ""),
    ("GET", "v0/utxo/zz/0"): (400, "invalid hex encoding for hash value"),
    ("GET", "v0/block/zz"): (400, "invalid hex encoding for hash value"),
    ("GET", "v0/block/ff"): (400, "invalid hash size, expected 32 but received 1 bytes."),
    ("GET", f"v0/block/{UNKNOWN}"): (404, ""),
    ("GET", f"v0/block/{UNKNOWN}/next_id"): (404, ""),
    ("GET", f"v0/block/{UNKNOWN}/next_id?count=x"): (400, "Invalid query string"),
    ("GET", "v1/fragments/statuses"): (400, "Invalid query string"),
    ("GET", "v1/fragments/statuses?fragment_ids="): (400, "invalid hash size, expected 32 but received 0 bytes."),
    ("GET", "v1/fragments/statuses?fragment_ids=zz"): (400, "invalid hex encoding for hash value"),
    ("GET", f"v1/fragments/statuses?fragment_ids={UNKNOWN}"): (200, "{}"),
    ("GET", "v1/votes/plan/account-votes/zz"): (400, "hex encoding malformed"),
    ("GET", f"v1/votes/plan/{UNKNOWN}/account-votes/{UNKNOWN}"): (404, ""),
    ("GET", f"v1/votes/plan/zz/account-votes/{UNKNOWN}"): (404, ""),
    ("GET", "v0/network/p2p/view/nowhere"): (500, "Internal server error: Invalid topic"),
    ("GET", "v0/nothing"): (404, ""),
    ("GET", "v0"): (404, ""),
    ("GET", "v0//tip"): (404, ""),
    ("GET", "v2/tip"): (404, ""),
    ("POST", "v0/tip"): (405, "HTTP method not allowed"),
    ("GET", "v0/message"): (405, "HTTP method not allowed"),
    ("GET", "v1/fragments"): (405, "HTTP method not allowed"),
    ("DELETE", "v0/settings"): (405, "HTTP method not allowed"),
}


@pytest.mark.parametrize(("method", "path"), REFUSALS)
async def test_refused_requests(node: Node, method: str, path: str) -> None:
    answer = await node.request(method, path)
    assert (answer.status_code, answer.text.rstrip("\n")) == REFUSALS[method, path]


@pytest.mark.parametrize("body", [b"", b"hello", b"\x00\x00\x00\x02\x00\x63"])
async def test_malformed_message(node: Node, body: bytes) -> None:
    answer = await node.request("POST", "v0/message", content=body)
    assert answer.status_code == 500
    assert answer.text.startswith("Internal server error: ")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"fail_fast": false, "fragments": []}', 200),
        ("{bad", 400),
        ('{"fail_fast": false}', 400),
        ('{"fail_fast": 1, "fragments": []}', 400),
        ('{"fail_fast": false, "fragments": ["zz"]}', 400),
        ('{"fail_fast": false, "fragments": ["0000"]}', 400),
    ],
)
async def test_batches(node: Node, body: str, code: int) -> None:
    json, text = {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}
    answer = await node.request("POST", "v1/fragments", content=body, headers=json)
    assert answer.status_code == code
    if code == 200:
        assert answer.json() == {"accepted": [], "rejected": []}
    else:
        assert answer.text.startswith("Request body deserialize error: ")
    assert (await node.request("POST", "v1/fragments", content=body, headers=text)).status_code == 415
