"""The key that the node gets at each start: the one in S3 if the chain knows it, else the one in memory."""

import io
from dataclasses import replace

import pytest

from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import TemporaryError
from node_fsm.core.model import NodeRow
from node_fsm.core.secret import Secret
from node_fsm.steps.adopt import adopt_block0
from node_fsm.steps.wiring import require_node
from tests.phases.small_election import LEADER0, LEADER1
from tests.phases.world import KEY_URI, World
from tests.support.fake_jcli import new_secret, public_key
from tests.support.memory_database import DATABASE_AWAY
from tests.support.memory_store import S3_AWAY

ROTATED = new_secret("leader 0, rotated")


@pytest.fixture
async def running(published: World) -> World:
    chain, head = await adopt_block0(published.ctx)
    await require_node(published.ctx, chain, head.leader_ids)
    return published


async def key_for_a_start(world: World) -> Secret | None:
    """What the supervisor is given when it starts the node now."""
    await world.look()
    return await world.node.required[-1].secret()


def put_key(world: World, key: Secret) -> None:
    world.store.objects[KEY_URI] = key.reveal().encode()


def set_leader_id(world: World, key: Secret | None) -> None:
    first, *others = world.database.nodes
    world.database.nodes = [replace(first, leader_id=public_key(key) if key else None), *others]


async def test_it_is_read_anew_for_each_start(running: World) -> None:
    for _ in range(2):
        before = len(running.store.requests)
        assert await key_for_a_start(running) == LEADER0
        assert running.store.requests[before:] == [f"read {KEY_URI}"]
    assert running.condition(ConditionType.KEY_NOT_IN_CHAIN) is None


async def test_a_rotated_key_takes_effect_at_the_next_election(running: World) -> None:
    put_key(running, ROTATED)
    set_leader_id(running, ROTATED)
    assert await key_for_a_start(running) == LEADER0
    assert running.ctx.signing_key == LEADER0, "it signs this election's tally too"
    assert running.condition(ConditionType.KEY_NOT_IN_CHAIN) == "LeaderIdNotInBlock0"
    assert "leader0" in running.message(ConditionType.KEY_NOT_IN_CHAIN)
    put_key(running, LEADER0)
    set_leader_id(running, LEADER0)
    assert await key_for_a_start(running) == LEADER0
    assert running.condition(ConditionType.KEY_NOT_IN_CHAIN) is None


async def test_a_service_that_only_has_the_rotated_key_says_that_it_makes_no_blocks(running: World) -> None:
    put_key(running, ROTATED)
    set_leader_id(running, ROTATED)
    running.ctx.signing_key = ROTATED  # FetchingKey of a later life
    assert await key_for_a_start(running) == ROTATED
    assert running.condition(ConditionType.KEY_NOT_IN_CHAIN) == "LeaderIdNotInBlock0"
    assert "makes no blocks" in running.message(ConditionType.KEY_NOT_IN_CHAIN)


async def test_a_key_that_the_chain_knows_is_taken_over(running: World) -> None:
    put_key(running, LEADER1)
    running.database.nodes = [NodeRow("leader0", public_key(LEADER1), None)]
    assert await key_for_a_start(running) == LEADER1
    assert running.ctx.signing_key == LEADER1


@pytest.mark.parametrize("what", ["S3 away", "no object", "another's key", "no key", "jcli fails"])
async def test_the_key_in_memory_is_used_when_none_can_be_read(running: World, what: str, log: io.StringIO) -> None:
    match what:
        case "S3 away":
            running.store.failure = S3_AWAY
        case "no object":
            running.store.objects.clear()
        case "another's key":
            put_key(running, ROTATED)
        case "no key":
            running.store.objects[KEY_URI] = f"{ROTATED.reveal()}\n{LEADER0.reveal()}".encode()
        case "jcli fails":
            running.jcli.failures["public_key"] = TemporaryError("CommandTimeout", "jcli did not end")
    assert await key_for_a_start(running) == LEADER0
    assert running.condition(ConditionType.KEY_NOT_IN_CHAIN) is None
    assert "the key could not be read anew" in log.getvalue()
    assert not any(key.reveal() in log.getvalue() for key in (LEADER0, ROTATED))


@pytest.mark.parametrize("what", ["away", "no row"])
async def test_the_key_in_memory_is_used_while_the_database_says_nothing(running: World, what: str) -> None:
    if what == "away":
        running.database.failure = DATABASE_AWAY
    else:
        running.database.nodes = []
    put_key(running, ROTATED)
    assert await key_for_a_start(running) == LEADER0


async def test_a_leader_whose_row_says_follower_keeps_its_key_for_this_chain(running: World) -> None:
    set_leader_id(running, None)
    assert await key_for_a_start(running) == LEADER0
    assert running.condition(ConditionType.KEY_NOT_IN_CHAIN) == "LeaderIdNotInBlock0"


async def test_a_follower_gets_none(running: World) -> None:
    running.ctx.signing_key = None
    assert await key_for_a_start(running) is None
