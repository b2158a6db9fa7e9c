"""Votes that one node cannot bring into a block go to others; what is not counted in the end is on record."""

import json

import pytest
from loguru import logger

from node_fsm.core.model import SignedFragment, UncountedVote
from node_fsm.steps.lost_votes import EXCHANGE_SECONDS, LATE_SLOTS, LostVotes
from node_fsm.steps.resubmission import STUCK_BLOCKS, YOUNG_BLOCKS
from states.archiving import Archiving
from states.running import Running
from states.tallying import Tallying
from tests.chain import build
from tests.phases.small_election import VOTING_END, VOTING_START, account
from tests.phases.test_archiving import manifest
from tests.phases.test_resubmission import Following, log, vote, votes_cast
from tests.phases.test_running import height
from tests.phases.world import World
from tests.support.genesis_encoder import fragment_id
from tests.support.memory_database import DATABASE_AWAY


@pytest.fixture
async def voting(world: World) -> World:
    """A chain with two votes in its mempool."""
    await world.run_chain()
    world.node.posted.clear()
    return world


def reported(world: World) -> dict[str, UncountedVote]:
    """What nodes report to be lost, by fragment id."""
    return {id_: one for votes in world.database.lost_votes.values() for id_, one in votes.items()}


class Telling(Following):
    """One that also tells of what it cannot bring into a block."""

    def __init__(self, world: World, *, alone: bool = False) -> None:
        super().__init__(world)
        self.lost = LostVotes(world.ctx, world.chain, self.votes)
        self.parted_behind: int | None = None
        self.alone = alone

    async def look(self, blocks: int = 1) -> list[bytes]:
        posted = []
        for _ in range(blocks):
            posted += await super().look()
            await self.lost.exchange(self.copy, self.parted_behind, alone=self.alone)
        return posted


async def test_votes_that_a_node_keeps_to_itself_are_handed_to_the_others(voting: World) -> None:
    telling = Telling(voting)
    voting.node.swallowing = True
    await telling.look()
    await telling.look(5 + int(EXCHANGE_SECONDS))
    offered = await voting.database.handed_over(voting.hash, "leader1", (), 10)
    assert [one.raw for one in offered] == [vote(voting, voter, choice=voter) for voter in range(2)]
    assert await voting.database.handed_over(voting.hash, "leader0", (), 10) == ()
    voting.node.swallowing = False
    assert voting.node.restarts == []
    voting.node.kill()
    await telling.look(2 + int(EXCHANGE_SECONDS))
    assert votes_cast(voting) == 2
    assert await voting.database.handed_over(voting.hash, "leader1", (), 10) == (), "they are in blocks"


async def test_what_others_hand_over_is_posted_here(voting: World) -> None:
    telling = Telling(voting)
    await telling.look(2)
    raw = vote(voting, 5)
    given = [SignedFragment(fragment_id(raw), raw), SignedFragment("0" * 64, b"by hand")]
    await voting.database.hand_over(voting.hash, "leader1", given)
    assert await telling.look(4 + 2 * int(EXCHANGE_SECONDS)) == [raw]


async def test_for_votes_that_others_were_given_the_node_is_not_restarted(
    voting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are given as soon as they are stuck: the next exchange would come too late for it."""
    monkeypatch.setattr("node_fsm.steps.lost_votes.LATE_SLOTS", -100)  # all of voting is late here
    telling = Telling(voting)
    await telling.look()
    await voting.node.post_fragment(vote(voting, 5))
    voting.node.swallowing = True
    await telling.look()
    voting.node.swallowing = False
    await telling.look(2 * STUCK_BLOCKS)
    assert await handed(voting) == [vote(voting, 5)]
    assert voting.node.restarts == []


async def test_where_nobody_else_makes_blocks_the_node_is_restarted_instead(voting: World) -> None:
    telling = Telling(voting, alone=True)
    voting.node.swallowing = True
    await telling.look()
    voting.node.swallowing = False
    await telling.look(2 * STUCK_BLOCKS)
    assert len(voting.node.restarts) == 1
    assert votes_cast(voting) == 2
    assert await handed(voting) == []


async def test_so_it_is_where_the_database_is_away(voting: World) -> None:
    telling = Telling(voting)
    voting.node.swallowing = True
    await telling.look()
    voting.node.swallowing = False
    voting.database.failure = DATABASE_AWAY
    await telling.look(2 * STUCK_BLOCKS)
    assert len(voting.node.restarts) == 1
    assert votes_cast(voting) == 2


@pytest.fixture
async def following(voting: World) -> World:
    """The same of a node without a key: its peers alone make blocks."""
    voting.ctx.signing_key = None
    return voting


async def handed(world: World) -> list[bytes]:
    """What leaders are to post."""
    return [one.raw for one in await world.database.handed_over(world.hash, "leader1", (), 100)]


async def test_a_node_without_blocks_of_its_own_hands_over_what_its_peers_have_put_into_none(following: World) -> None:
    """What it passed on got lost on the way, and it says "Pending" for ever."""
    telling = Telling(following)
    await telling.look(2)
    lost = [vote(following, voter) for voter in (5, 6)]
    for raw in lost:
        await following.node.post_fragment(raw)
    following.node.swallowing = True
    await telling.look()
    following.node.swallowing = False
    await telling.look(YOUNG_BLOCKS)
    height = telling.copy.tip.height
    assert [one.raw for one in telling.votes.stuck(height, makes_blocks=False)] == lost
    assert telling.votes.stuck(height, makes_blocks=True) == []
    await telling.look(int(EXCHANGE_SECONDS))
    assert await handed(following) == lost


async def test_a_node_without_blocks_of_its_own_posts_nothing_for_others(following: World) -> None:
    telling = Telling(following)
    await telling.look(2)
    raw = vote(following, 5)
    await following.database.hand_over(following.hash, "leader1", [SignedFragment(fragment_id(raw), raw)])
    assert await telling.look(4 + 2 * int(EXCHANGE_SECONDS)) == []


async def test_just_before_the_end_what_waits_there_is_handed_over_at_once(following: World) -> None:
    telling = Telling(following)
    await telling.look(2)
    end, late = following.ctx.block0_in_work().dates.vote_end_time, LATE_SLOTS + 2 * int(EXCHANGE_SECONDS)
    await telling.look(int((end - following.clock.now()).total_seconds()) - late - 2)
    following.node.swallowing = True
    await following.node.post_fragment(vote(following, 5))
    await telling.look()
    assert await handed(following) == []
    await telling.look(2)
    assert await handed(following) == [vote(following, 5)]


async def test_a_vote_that_expires_is_told_while_voting_is_open(voting: World) -> None:
    telling = Telling(voting)
    date = voting.node.state.tip_date
    assert date is not None
    expired = vote(voting, 0, proposal=1, expiry=date)
    without_power = vote(voting, 200, expiry=date)
    log(voting, expired, without_power)
    await telling.look(1)
    ((told, entry),) = reported(voting).items()
    assert told == fragment_id(expired)
    assert (entry.account, entry.why, entry.raw) == (account(0).hex(), "expired", expired)
    assert entry.weight > 0
    (lost,) = (await voting.database.overview([])).lost
    assert (lost.count, lost.weight) == (1, entry.weight)


async def test_who_voted_again_has_lost_nothing(voting: World) -> None:
    telling = Telling(voting)
    date = voting.node.state.tip_date
    assert date is not None
    log(voting, vote(voting, 0, proposal=1, expiry=date))
    await telling.look(1)
    assert len(reported(voting)) == 1
    await voting.node.post_fragment(vote(voting, 0, proposal=1, choice=1, counter=1))
    await telling.look(1 + int(EXCHANGE_SECONDS))
    assert reported(voting) == {}
    voting.node.turn(4)
    await telling.look(1 + int(EXCHANGE_SECONDS))
    assert votes_cast(voting) == 2 + 1, "it is posted again, so nothing is lost for long"


async def test_many_votes_that_the_node_refuses_are_one_line_in_the_log(voting: World) -> None:
    telling = Telling(voting)
    voting.node.kill()
    log(voting, *[vote(voting, voter) for voter in range(5, 25)])
    voting.node.refusals.extend(["FragmentInvalid"] * 22)
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING", format="{message}")
    await telling.look(1)
    logger.remove(sink)
    assert lines == ["22 votes are in no block, since the node refuses them: FragmentInvalid\n"]


async def test_once_a_split_is_seen_all_votes_since_are_handed_over_and_none_is_settled_by_a_block(
    voting: World,
) -> None:
    telling = Telling(voting)
    await telling.look(2)
    before = telling.copy.tip.height
    for voter in range(5, 8):
        await voting.node.post_fragment(vote(voting, voter))
        await telling.look(1)
    late = vote(voting, 8)
    await voting.node.post_fragment(late)
    telling.parted_behind = before
    await telling.look(2)
    offered = [one.raw for one in await voting.database.handed_over(voting.hash, "leader1", (), 10)]
    assert offered == [vote(voting, voter) for voter in range(5, 9)]
    telling.parted_behind = None
    await telling.look(1 + int(EXCHANGE_SECONDS))
    assert await voting.database.handed_over(voting.hash, "leader1", (), 10) == ()


async def test_what_is_handed_over_is_posted_at_once_while_the_chain_is_split(voting: World) -> None:
    telling = Telling(voting)
    await telling.look(1 + int(EXCHANGE_SECONDS))
    telling.parted_behind = 1
    given = vote(voting, 5)
    await voting.database.hand_over(voting.hash, "leader1", [SignedFragment(fragment_id(given), given)])
    assert await telling.look(2) == [given]


async def test_what_was_handed_over_is_settled_when_it_expires_and_when_voting_ends(voting: World) -> None:
    telling = Telling(voting)
    date = voting.node.state.tip_date
    assert date is not None
    voting.node.rejections.extend(["the ledger says no"] * 10)
    given = [vote(voting, 5, expiry=(date.epoch, date.slot + 3)), vote(voting, 6), b"by hand"]
    signed = [SignedFragment(fragment_id(raw), raw) for raw in given[:2]] + [SignedFragment("0" * 64, given[2])]
    await voting.database.hand_over(voting.hash, "leader1", signed)
    await telling.look(5 + int(EXCHANGE_SECONDS))
    open_ = await voting.database.handed_over(voting.hash, "leader2", (), 10)
    assert [one.raw for one in open_] == given[1:2]
    voting.clock.advance(seconds=VOTING_END)
    await voting.look()
    await voting.finish(Tallying())
    assert await voting.database.handed_over(voting.hash, "leader2", (), 10) == ()


async def test_a_database_that_is_away_holds_nothing_up(voting: World) -> None:
    telling = Telling(voting)
    voting.database.failure = DATABASE_AWAY
    date = voting.node.state.tip_date
    assert date is not None
    log(voting, vote(voting, 0, proposal=1, expiry=date))
    await telling.look(2)
    assert votes_cast(voting) == 2
    voting.database.failure = None
    await telling.look(1 + int(EXCHANGE_SECONDS))
    assert len(reported(voting)) == 1


async def test_what_is_not_counted_is_on_record_with_the_reason(voting: World) -> None:
    """Refused, in no block; not a second vote on what was voted on, whichever counter it spends."""
    voting.clock.advance(seconds=1)
    await voting.node.post_fragment(vote(voting, 0, choice=2, expiry=(9, 8)))
    await voting.node.post_fragment(vote(voting, 1, choice=2, counter=8))
    voting.node.rejections.extend(["already voted"] * 2)
    voting.clock.advance(seconds=1)
    voting.node.grow()
    lost = vote(voting, 0, proposal=1, counter=7)
    await voting.node.post_fragment(lost)
    voting.node.rejections.extend(["the ledger says no"] * 3)
    voting.clock.advance(seconds=1)
    voting.node.grow()
    kept = vote(voting, 1, proposal=1, counter=9)
    log(voting, kept)
    voting.clock.advance(seconds=VOTING_END)
    await voting.look()
    await voting.finish(Tallying())
    assert {entry.raw: entry.why for entry in reported(voting).values()} == {
        lost: "refused: the ledger says no",
        kept: "in no block",
    }


async def test_votes_come_into_blocks_while_a_tally_waits_for_the_end_of_voting(voting: World) -> None:
    voting.node.kill()
    await voting.finish(Tallying())
    assert votes_cast(voting) == 2
    assert reported(voting) == {}


async def test_the_archive_has_the_votes_that_are_not_counted(voting: World) -> None:
    lost = vote(voting, 0, proposal=1, counter=7)
    voting.clock.advance(seconds=VOTING_END)
    log(voting, lost)
    await voting.look()
    await voting.finish(Tallying())
    await voting.node.stop()
    await voting.finish(Archiving())
    (note,) = manifest(voting)["notes"]
    assert note.startswith("1 votes of weight ")
    (kept,) = json.loads((voting.chain.record / "uncounted-votes.json").read_bytes())
    assert (kept["raw"], kept["why"]) == (lost.hex(), "in no block")


async def test_what_others_reported_and_the_chain_has_is_forgotten(world: World) -> None:
    await world.end_voting()
    counted = build.vote(world.plans[0].id, account(0), choice=0, expiry=(9, 9))
    both = [
        UncountedVote(fragment_id(counted), account(0).hex(), 1, "in no block", counted),
        UncountedVote("1" * 64, account(1).hex(), 1, "in no block", b""),
    ]
    await world.database.report_uncounted(1, "small", world.hash, "leader1", both)
    await world.finish(Tallying())
    assert set(reported(world)) == {"1" * 64}


async def test_another_node_tells_what_it_had_once_the_counted_block_has_settled(leader1: World) -> None:
    leader1.node.tells(peers_connected=1)
    async with leader1.doing(Running()) as failures:
        await leader1.until(lambda: height(leader1) > VOTING_START + 1)
        leader1.node.rejections.append("the ledger says no")
        raw = vote(leader1, 0)
        await leader1.node.post_fragment(raw)
        await leader1.until(lambda: height(leader1) > VOTING_END - 1)
        assert reported(leader1) == {}
        await leader1.until(lambda: len(reported(leader1)) > 0)
        assert {entry.raw: entry.why for entry in reported(leader1).values()} == {raw: "refused: the ledger says no"}
    assert failures == []
