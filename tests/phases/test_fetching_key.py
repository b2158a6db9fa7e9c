"""FetchingKey: which node needs a key, and where a published block 0 leads."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.model import NodeRow
from node_fsm.core.phases import Role
from states.fetching_key import FetchingKey
from tests.phases.small_election import LEADER0, LEADER1
from tests.phases.world import KEY_URI, World
from tests.support.memory_database import DATABASE_AWAY
from tests.support.memory_store import S3_AWAY


async def refused(world: World) -> ServiceError:
    with pytest.raises(ServiceError) as refusal:
        await world.finish(FetchingKey())
    return refusal.value


async def test_leader_0_goes_on_to_build_when_nothing_is_published(world: World) -> None:
    await world.begin()
    decision = await world.finish(FetchingKey())
    assert decision.event is Event.KEY_FETCHED
    assert world.ctx.signing_key == LEADER0
    assert LEADER0.reveal() not in decision.why


async def test_leader_0_goes_on_to_run_what_is_published(published: World) -> None:
    published.ctx.signing_key = None  # another life
    block0 = published.ctx.block0_in_work()
    published.ctx.work = replace(published.ctx.election_in_work(), block0=None)
    decision = await published.finish(FetchingKey())
    assert decision.event is Event.BLOCK0_FOUND
    assert published.ctx.block0_in_work() == block0
    assert published.ctx.signing_key == LEADER0


async def test_a_leader_fetches_its_own_key(leader1: World) -> None:
    decision = await leader1.finish(FetchingKey())
    assert decision.event is Event.KEY_FETCHED
    assert leader1.ctx.signing_key == LEADER1


async def test_a_follower_needs_none_and_forgets_what_it_had(leader1: World) -> None:
    leader1.ctx.signing_key = LEADER1  # fetched while its row still said leader
    leader1.database.nodes = [replace(node, leader_id=None) for node in leader1.database.nodes]
    decision = await leader1.finish(FetchingKey())
    assert decision.event is Event.KEY_NOT_NEEDED
    assert leader1.store.requests == []
    assert leader1.ctx.signing_key is None


async def test_leader_0_without_leader_id_says_what_to_do(world: World) -> None:
    world.database.nodes = [NodeRow("leader0", None, None)]
    await world.begin()
    failure = await refused(world)
    assert failure.reason == "LeaderIdMissing"
    assert "node-fsm node add leader0 --leader-id" in failure.message


@pytest.mark.parametrize("role", list(Role))
async def test_a_node_without_a_row_says_what_to_do(new_world: Callable[..., World], role: Role) -> None:
    world = new_world(role)
    world.database.nodes = []
    await world.begin()
    failure = await refused(world)
    assert failure.reason == "NodeUnknown"
    assert f"node-fsm node add {world.ctx.settings.hostname}" in failure.message


async def test_a_leader_without_the_setting_says_which(world: World) -> None:
    world.ctx.settings = replace(world.ctx.settings, signing_key_uri=None)
    await world.begin()
    failure = await refused(world)
    assert failure.reason == "SettingMissing"
    assert "NODE_FSM_SIGNING_KEY_S3_URI" in failure.message


async def test_a_wrong_key_is_refused_until_it_is_replaced(world: World) -> None:
    world.store.objects[KEY_URI] = LEADER1.reveal().encode()
    await world.begin()
    assert (await refused(world)).reason == "KeyNotThisNodes"
    assert world.ctx.signing_key is None
    world.store.objects[KEY_URI] = LEADER0.reveal().encode()
    await world.finish(FetchingKey())
    assert world.ctx.signing_key == LEADER0


async def test_a_missing_key_is_for_a_person_and_s3_that_is_away_is_not(world: World) -> None:
    await world.begin()
    world.store.objects.clear()
    assert isinstance(await refused(world), PermanentError)
    world.store.failure = S3_AWAY
    assert isinstance(await refused(world), TemporaryError)


async def test_it_waits_for_the_database(world: World) -> None:
    await world.begin()
    world.database.failure = DATABASE_AWAY
    assert (await refused(world)).reason == "DatabaseUnavailable"
