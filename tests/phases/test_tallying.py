"""Tallying: the count is on the chain in a settled block, and the results in the database, whatever happens between."""

import io
import json
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node_fsm.chain.limits import LANES
from node_fsm.chain.recount import Recount, recount
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import ServiceError, TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.model import PlanResult
from node_fsm.steps.put_back import keep_publication
from node_fsm.steps.settling import SETTLING
from node_fsm.steps.tally import count
from node_fsm.storage.workspace import ChainDirectory
from states.tallying import Tallying
from tests.phases.small_election import ID, LEADER0, TALLYING_END
from tests.phases.world import World
from tests.support.fake_jcli import new_secret, public_bytes
from tests.support.genesis_encoder import fragment_id, public_tally_content, tally
from tests.support.memory_database import DATABASE_AWAY

VOTES = ((1, 10, 0), (0, 0))
"""Voter 0 chose the first option, voter 1, with ten times the power, the second."""


@pytest.fixture
async def ended(world: World) -> World:
    """A chain whose voting has just ended."""
    await world.end_voting()
    return world


def tallies(world: World) -> list[str]:
    """The plans tallied on the chain, in order."""
    assert world.node.chain is not None
    return [found.plan_id for found in world.node.chain.counted().tallies]


async def failing(world: World) -> ServiceError:
    """How an attempt at tallying fails."""
    with pytest.raises(ServiceError) as failure:
        await world.finish(Tallying())
    return failure.value


async def test_the_tally_is_put_on_the_chain_and_the_results_posted(ended: World) -> None:
    decision = await ended.finish(Tallying())
    assert decision.event is Event.RESULTS_POSTED
    (plan,) = ended.plans
    (result,) = ended.results
    assert tallies(ended) == [plan.id]
    assert (result.plan_id, result.votes, result.on_chain) == (plan.id, VOTES, True)
    assert result.fragment_id == fragment_id(ended.node.posted[-1])
    assert ended.database.snapshots[ended.hash][plan.id]["proposals"][0]["votes_cast"] == 2
    assert ended.condition(ConditionType.TALLY_WINDOW_MISSED) is None
    assert ended.ctx.mailbox.take_database_change()
    blocks = ended.chain.blocks.read_bytes()
    assert ended.node.chain is not None
    assert ended.node.chain.raw.startswith(blocks), "the copy has the tally"
    assert ended.node.posted[-1] in blocks


async def test_it_is_not_done_before_its_block_has_settled(ended: World) -> None:
    await ended.finish(Tallying())
    assert ended.node.chain is not None
    (found,) = ended.node.chain.counted().tallies
    made = ended.ctx.block0_in_work().dates.clock.time_at(found.block_date)
    assert ended.clock.now() >= made + SETTLING
    assert ended.database.posted.keys() == {ended.hash}


async def test_results_that_are_forgotten_before_they_are_archived_are_posted_again(
    ended: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a disputed count waits for the leaders the database may be restored to a copy of before."""
    post, posted = ended.database.post_results, []

    async def post_and_forget(*arguments: Any, **options: Any) -> None:
        await post(*arguments, **options)
        posted.append(dict(ended.database.posted))
        if len(posted) == 1:
            ended.database.posted.clear()

    monkeypatch.setattr(ended.database, "post_results", post_and_forget)
    with pytest.raises(TemporaryError) as caught:
        await ended.finish(Tallying())
    assert caught.value.reason == "ResultsForgotten"
    await ended.finish(Tallying())
    assert ended.database.posted == posted[0]


async def test_what_the_node_says_is_kept_before_the_tally(ended: World) -> None:
    await ended.finish(Tallying())
    kept = {path.name for path in ended.chain.record.iterdir()}
    assert kept == {"vote-plans.json", "node-stats.json", "results.json"}
    assert not ended.chain.record.with_name("record.partial").exists()
    before = (ended.chain.record / "vote-plans.json").read_bytes()
    ended.database.posted.clear()
    await ended.finish(Tallying())
    assert (ended.chain.record / "vote-plans.json").read_bytes() == before


async def test_results_that_stand_with_their_tally_in_the_copy_need_nothing_more(ended: World) -> None:
    await ended.finish(Tallying())
    before, posted = ended.results, len(ended.node.posted)
    ended.clock.advance(seconds=TALLYING_END)
    await ended.node.stop()
    decision = await ended.finish(Tallying())
    assert decision.event is Event.RESULTS_POSTED
    assert (ended.results, len(ended.node.posted)) == (before, posted)


async def test_results_that_stand_are_followed_until_the_copy_has_their_tally(ended: World) -> None:
    await ended.finish(Tallying())
    ended.chain.blocks.unlink()  # another life, on another disk
    decision = await ended.finish(Tallying())
    assert decision.event is Event.RESULTS_POSTED
    assert ended.node.posted[-1] in ended.chain.blocks.read_bytes()
    assert tallies(ended) == [ended.plans[0].id]


async def test_results_that_stand_off_the_chain_need_no_tally(ended: World) -> None:
    stands = PlanResult(ended.plans[0].id, VOTES, None, on_chain=False)
    ended.database.posted[ended.hash] = (stands,)
    decision = await ended.finish(Tallying())
    assert decision.event is Event.RESULTS_POSTED
    assert ended.results == (stands,)
    assert tallies(ended) == []
    assert ended.chain.record.exists()


async def test_a_tally_of_an_earlier_life_is_found_and_not_repeated(ended: World) -> None:
    ended.database.refused["post_results"] = deque([DATABASE_AWAY])
    await failing(ended)
    posted = len(ended.node.posted)
    decision = await ended.finish(Tallying())
    assert decision.event is Event.RESULTS_POSTED
    assert len(ended.node.posted) == posted
    assert tallies(ended) == [ended.plans[0].id]


async def test_results_whose_answer_was_lost_are_found(ended: World) -> None:
    ended.database.lost["post_results"] = deque([DATABASE_AWAY])
    await failing(ended)
    before = ended.results
    await ended.finish(Tallying())
    assert ended.results == before


async def test_several_plans_are_all_tallied(new_world: Callable[..., World]) -> None:
    world = new_world(groups=3)
    await world.end_voting()
    decision = await world.finish(Tallying())
    assert "6 proposals in 3 plans" in decision.why
    assert tallies(world) == [plan.id for plan in world.plans]
    assert [result.plan_id for result in world.results] == [plan.id for plan in world.plans]
    assert all(result.on_chain and result.votes == VOTES for result in world.results)
    assert len({result.fragment_id for result in world.results}) == 3


@pytest.mark.parametrize("refused", [0, 1, 3])
async def test_many_plans_are_tallied_together_in_few_blocks(new_world: Callable[..., World], refused: int) -> None:
    """More than the account has lanes; one by one they would take a block each."""
    world = new_world(groups=LANES + 2)
    await world.end_voting()
    world.node.rejections.extend(["another counter"] * refused)
    await world.finish(Tallying())
    assert all(result.on_chain for result in world.results)
    blocks = {found.height for found in recount(io.BytesIO(world.chain.blocks.read_bytes())).tallies}
    assert len(blocks) <= 1 + min(refused, 1)


async def test_only_the_missing_plans_are_tallied_after_a_crash(new_world: Callable[..., World]) -> None:
    world = new_world(groups=2)
    await world.end_voting()
    first, second = world.plans
    by_hand = tally(public_tally_content(first.id), public_bytes(LEADER0), counter=0)
    await world.node.post_fragment(by_hand)
    world.clock.advance(seconds=2)
    await world.finish(Tallying())
    assert tallies(world) == [first.id, second.id]
    assert world.results[0].fragment_id == fragment_id(by_hand)


async def test_plans_that_others_added_to_the_chain_are_ignored(ended: World) -> None:
    ended.node.foreign_plans.append({"id": "cd" * 32, "payload": "private", "proposals": []})
    await ended.finish(Tallying())
    assert [result.plan_id for result in ended.results] == [ended.plans[0].id]
    assert ended.database.snapshots[ended.hash].keys() == {ended.plans[0].id}


async def test_the_database_is_needed_only_at_the_end(ended: World) -> None:
    ended.database.failure = DATABASE_AWAY
    failure = await failing(ended)
    assert failure.reason == "DatabaseUnavailable"
    assert tallies(ended) == [ended.plans[0].id], "the time for that is short, so it is on the chain already"
    ended.database.failure = None
    await ended.finish(Tallying())
    assert ended.results[0].on_chain
    assert tallies(ended) == [ended.plans[0].id]


async def test_a_count_that_differs_from_the_nodes_is_not_posted(ended: World, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = ended.node.plans()
    plans[0]["proposals"][0]["tally"]["Public"]["result"]["results"] = [1, 11, 0]
    monkeypatch.setattr(ended.node, "plans", lambda: plans)  # a node that counts in another way
    failure = await failing(ended)
    assert failure.reason == "CountsDiffer"
    assert all(text in failure.message for text in (ended.plans[0].id, "[1, 10, 0]", "[1, 11, 0]"))
    assert ended.database.posted == {}
    assert tallies(ended) == []


async def test_more_votes_than_there_is_power_are_not_posted(ended: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the node counts the same."""

    async def with_less_power(chain: ChainDirectory) -> Recount:
        counted = await count(chain)
        tokens = {name: total._replace(value=total.value - 1) for name, total in counted.block0.tokens.items()}
        return replace(counted, block0=replace(counted.block0, tokens=tokens))

    monkeypatch.setattr("states.tallying.count", with_less_power)
    failure = await failing(ended)
    assert failure.reason == "CountExceedsPower"
    assert "has 11 votes, but block 0 gave only 10" in failure.message
    assert ended.database.posted == {}


async def recorded_wrongly(ended: World, document: object) -> ServiceError:
    """What a tally says when the node's account on this disk is *document*."""
    ended.database.failure = DATABASE_AWAY
    await failing(ended)
    ended.database.failure = None
    (ended.chain.record / "vote-plans.json").write_text(json.dumps(document))
    return await failing(ended)


@pytest.mark.parametrize("document", [[], {}, None, "text", [1], [{"id": "cd" * 32}], [{}]])
async def test_an_account_that_lacks_the_plan_is_refused_in_words(ended: World, document: object) -> None:
    failure = await recorded_wrongly(ended, document)
    assert failure.reason == "RecordDamaged"
    assert str(ended.chain.record) in failure.message
    assert "move" in failure.message
    assert ended.database.posted == {}
    ended.chain.record.rename(ended.chain.path / "moved away")
    await ended.finish(Tallying())
    assert ended.results[0].votes == VOTES


@pytest.mark.parametrize("field", ["proposals", "payload", "vote_end"])
async def test_so_is_one_whose_plan_is_not_whole(ended: World, field: str) -> None:
    (plan,) = ended.node.plans()
    del plan[field]
    failure = await recorded_wrongly(ended, [plan])
    assert failure.reason == "RecordDamaged"
    assert plan["id"] in failure.message
    assert field in failure.message


async def test_proposals_are_compared_by_their_index_whatever_their_order(ended: World) -> None:
    plans = ended.node.plans()
    plans[0]["proposals"].reverse()
    ended.node.plans = lambda: plans  # type: ignore[method-assign]
    await ended.finish(Tallying())
    assert ended.results[0].votes == VOTES


async def test_an_account_of_fewer_proposals_differs(ended: World) -> None:
    plans = ended.node.plans()
    plans[0]["proposals"].pop()
    ended.node.plans = lambda: plans  # type: ignore[method-assign]
    failure = await failing(ended)
    assert failure.reason == "CountsDiffer"
    assert "the node says nothing" in failure.message


async def test_an_answer_that_is_no_list_of_plans_is_not_kept(ended: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(ended.node, "plans", lambda: {"error": "busy"})
        failure = await failing(ended)
    assert failure.reason == "NodeAnswerUnknown"
    assert not ended.chain.record.exists()
    await ended.finish(Tallying())
    assert ended.results[0].votes == VOTES


async def test_other_results_are_never_overwritten(ended: World) -> None:
    other = (PlanResult(ended.plans[0].id, ((0, 0, 11), (0, 0)), None, on_chain=False),)
    ended.database.refused["results"] = deque([DATABASE_AWAY])  # so that they are not seen in time
    ended.database.posted[ended.hash] = other
    failure = await failing(ended)
    assert failure.reason == "ResultsDiffer"
    assert ended.results == other


async def test_the_account_that_tallies_must_be_on_the_chain(ended: World) -> None:
    ended.ctx.signing_key = new_secret("not funded")
    failure = await failing(ended)
    assert failure.reason == "AccountMissing"
    assert ended.database.posted == {}


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_database_of_before_the_publication_is_given_it_again_before_the_results(
    world: World, cancelled: bool
) -> None:
    """It was restored to an older copy when the chain had been followed and nothing was counted yet."""
    await world.end_voting()
    await keep_publication(world.ctx, world.chain)
    published = dict(world.database.published)
    world.database.forget(ID)
    world.row.cancelled = cancelled
    await world.finish(Tallying())
    assert world.row.block0 is not None
    assert [of.plans for of in world.database.published.values()] == [of.plans for of in published.values()]
    assert world.results[0].votes == ((1, 10, 0), (0, 0))
