"""Private votes: opened with the shares of all members, and of nothing else, whatever happens between."""

import asyncio
import io
import json
import shutil
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from node_fsm_sandbox.formats import certificates

from node_fsm.archive.manifest import Manifest
from node_fsm.chain.block0 import Block0Summary
from node_fsm.core.committee import PostedShare, Results, SavedSnapshot
from node_fsm.core.conditions import ConditionType
from node_fsm.core.current import closing_time
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.model import VotePlan
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.phases import Phase, Role
from node_fsm.core.secret import Secret
from node_fsm.core.table import TABLES
from node_fsm.core.view import Decision
from node_fsm.database.results import hash_of
from states.archiving import Archiving
from states.running import Running
from states.tallying import Tallying
from tests.phases.small_election import LEADER0, MEMBERS, NAME, TALLYING_END, VOTING_END, VOTING_START
from tests.phases.world import World
from tests.support import private_jcli
from tests.support.fake_jcli import public_bytes
from tests.support.fakes import START
from tests.support.genesis_encoder import tally as tally_fragment
from tests.support.memory_database import DATABASE_AWAY
from tests.support.memory_store import S3_AWAY
from tests.support.private_jcli import member_public_key, new_member_secret

VOTES = ((1, 10, 0), (0, 0))
KEYS = tuple(map(member_public_key, MEMBERS))
KEYS_URI = "s3://keys/members"
GRACE = 60


@pytest.fixture
async def ended(new_world: Callable[..., World]) -> World:
    """A chain with a public and a private plan, whose voting has just ended."""
    world = new_world(groups=2, private=1)
    short_grace(world)
    await world.end_voting()
    return world


def short_grace(world: World) -> None:
    policy = replace(world.ctx.policy, close_grace_minutes=GRACE / 60)
    world.ctx.settings = replace(world.ctx.settings, policy=policy)


def private_plans(world: World) -> list[VotePlan]:
    return [plan for plan in world.plans if plan.payload_type is PayloadType.PRIVATE]


async def posted(world: World, members: Iterable[int] = (0, 1)) -> None:
    """The members post their shares, as soon as there is an account of the votes to make them of."""
    while not await world.database.tally_snapshots(world.hash):
        await asyncio.sleep(1)
    await world.database.post_shares(
        world.hash, [share(world, plan, member) for plan in private_plans(world) for member in members]
    )
    world.ctx.mailbox.database_changed()


def share(world: World, plan: VotePlan, member: int) -> PostedShare:
    """A member's share of a plan, of the account that stands."""
    return private_jcli.share_of(snapshot_of(world, plan), MEMBERS[member])


def snapshot_of(world: World, plan: VotePlan) -> SavedSnapshot:
    """The account of a plan that stands."""
    (snapshot,) = [saved for saved in world.database.snapshots_of(world.hash) if saved.plan_id == plan.id]
    return snapshot


def state_in_record(world: World, plan: VotePlan) -> set[str]:
    """Whether the sums in the record, which is archived, are encrypted."""
    record = json.loads((world.chain.record / "vote-plans.json").read_text())
    (shown,) = [one for one in record if one["id"] == plan.id]
    return {state for proposal in shown["proposals"] for state in proposal["tally"]["Private"]["state"]}


def with_keys(world: World, *members: Secret) -> None:
    """The operator is trusted with these members' keys."""
    world.ctx.settings = replace(world.ctx.settings, member_keys_uri=KEYS_URI)
    for index, secret in enumerate(members):
        world.store.objects[f"{KEYS_URI}/{NAME}/member{index}"] = f"{secret.reveal()}\n".encode()


async def tallied(world: World, *posting: Iterable[int]) -> Decision:
    """Tally, while members post."""
    async with asyncio.TaskGroup() as group:
        for members in posting or [(0, 1)]:
            group.create_task(posted(world, members))
        return await world.finish(Tallying())


def results(world: World) -> dict[str, tuple[object, bool]]:
    return {result.plan_id: (result.votes, result.on_chain) for result in world.results}


async def test_sums_that_a_restored_database_forgot_are_stored_again(ended: World) -> None:
    async def restore() -> None:
        while not ended.condition("shares_missing"):
            await asyncio.sleep(1)
        ended.database.snapshots.clear()
        ended.database.posted_shares.clear()
        ended.ctx.mailbox.database_changed()
        await asyncio.sleep(1)
        await posted(ended)

    async with asyncio.TaskGroup() as group:
        group.create_task(posted(ended, [0]))
        group.create_task(restore())
        failures = await ended.insist(Tallying())
    assert {failure.reason for failure in failures} <= {"SumsForgotten", "SharesMissing"}
    assert results(ended)[private_plans(ended)[0].id] == (VOTES, True)


async def test_votes_of_both_kinds_are_counted_and_on_the_chain(ended: World) -> None:
    decision = await tallied(ended)
    assert decision.event is Event.RESULTS_POSTED
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}
    assert ended.node.chain is not None
    assert sorted(found.plan_id for found in ended.node.chain.counted().tallies) == sorted(
        plan.id for plan in ended.plans
    )
    (plan,) = private_plans(ended)
    assert ended.database.opened[ended.hash] == {plan.id: VOTES}
    directory = ended.chain.tally / f"plan-{plan.index}"
    assert {path.name for path in directory.iterdir()} == {
        *("snapshot.json", "share-0.json", "share-1.json", "merged.json", "result.json")
    }
    for type_ in (ConditionType.SHARES_MISSING, ConditionType.SHARE_REFUSED, ConditionType.MEMBER_KEY_UNUSABLE):
        assert ended.condition(type_) is None


async def test_the_public_tally_does_not_wait_for_shares(ended: World) -> None:
    async with ended.doing(Tallying()):
        await ended.until(lambda: ended.condition(ConditionType.SHARES_MISSING) is not None)
        assert ended.node.chain is not None
        public = [plan.id for plan in ended.plans if plan.payload_type is PayloadType.PUBLIC]
        assert [found.plan_id for found in ended.node.chain.counted().tallies] == public


async def test_who_is_missing_is_said_and_a_share_wakes_the_tally(ended: World) -> None:
    async with ended.looking(), asyncio.TaskGroup() as group:
        tally = group.create_task(Tallying().run(ended.ctx))
        await ended.until(lambda: ended.condition(ConditionType.SHARES_MISSING) == "SharesMissing")
        message = ended.message(ConditionType.SHARES_MISSING)
        assert all(key in message for key in KEYS)
        assert ended.ctx.block0_in_work().dates.committee_end_time.isoformat() in message
        await posted(ended, [1])
        before = ended.clock.now()
        await ended.until(lambda: KEYS[1] not in ended.message(ConditionType.SHARES_MISSING))
        assert (ended.clock.now() - before).total_seconds() < 3, "it was told, not looked for"
        assert f"member 0 ({KEYS[0]})" in ended.message(ConditionType.SHARES_MISSING)
        progress = ended.ctx.tally_progress
        assert progress is not None
        assert [(member.index, member.public_key, member.plans) for member in progress.members] == [
            (0, KEYS[0], 0),
            (1, KEYS[1], 1),
        ]
        assert (progress.plans, progress.decrypted) == (1, 0)
        await posted(ended, [0])
        await tally
    assert ended.condition(ConditionType.SHARES_MISSING) is None
    assert ended.ctx.tally_progress is not None
    assert ended.ctx.tally_progress.decrypted == 1
    assert ended.ctx.metrics.registry.get_sample_value("node_fsm_private_plans_decrypted") == 1
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}


async def test_a_node_that_loses_the_others_while_shares_are_awaited_says_so_and_looks_for_them(ended: World) -> None:
    """A chain that goes on alone would have the tally for itself."""
    ended.node.tells(peers_connected=1)
    async with ended.doing(Tallying()):
        await ended.until(lambda: ended.condition(ConditionType.SHARES_MISSING) is not None)
        await asyncio.sleep(30)
        assert ended.condition(ConditionType.ISOLATED) is None
        ended.node.tells(peers_connected=0)
        await ended.until(lambda: ended.node.is_overtaken, 60)
        assert ended.condition(ConditionType.ISOLATED) == "NoPeers"
        ended.node.tells(peers_connected=1)
        await ended.until(lambda: not ended.node.is_overtaken, 30)
        assert ended.condition(ConditionType.ISOLATED) is None


FORGED = {
    "of another member": "foreign",
    "of another proposal": "swapped",
    "doubled": "doubled",
    "malformed": "malformed",
    "empty": "empty",
    "bent": "bent",
}


def forged(good: PostedShare, other: PostedShare, how: str) -> PostedShare:
    """*good* made wrong."""
    first, second = good.share
    raw = bytearray(b64decode(first))
    raw[40] ^= 1
    shares = {
        "foreign": other.share,
        "swapped": (second, first),
        "doubled": (first, first),
        "malformed": ("no base64!", second),
        "empty": (),
        "bent": (b64encode(bytes(raw)).decode(), second),
    }
    return replace(good, share=shares[how])


@pytest.mark.parametrize("how", FORGED.values())
async def test_a_share_that_does_not_hold_is_named_and_never_merged_and_posted_again_it_counts(
    ended: World, how: str
) -> None:
    async with ended.looking(), asyncio.TaskGroup() as group:
        tally = group.create_task(Tallying().run(ended.ctx))
        await ended.until(lambda: ended.condition(ConditionType.SHARES_MISSING) is not None)
        (plan,) = private_plans(ended)
        good, other = share(ended, plan, 1), share(ended, plan, 0)
        await ended.database.post_shares(ended.hash, [forged(good, other, how)])
        await posted(ended, [0])
        await ended.until(lambda: ended.condition(ConditionType.SHARE_REFUSED) == "ShareInvalid")
        message = ended.message(ConditionType.SHARE_REFUSED)
        assert all(text in message for text in (plan.id, f"member 1 ({KEYS[1]})"))
        await asyncio.sleep(20)
        assert not tally.done()
        assert ended.jcli.calls["merge_shares"] == 0
        await posted(ended, [1])
        await tally
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}
    assert ended.condition(ConditionType.SHARE_REFUSED) is None


async def test_a_share_of_another_account_is_not_merged_though_its_proof_holds(ended: World) -> None:
    """As it may stand in a table whose limits somebody took away."""
    async with ended.looking(), asyncio.TaskGroup() as group:
        tally = group.create_task(Tallying().run(ended.ctx))
        await ended.until(lambda: ended.condition(ConditionType.SHARES_MISSING) is not None)
        (plan,) = private_plans(ended)
        other = replace(share(ended, plan, 1), snapshot_hash="0" * 64, posted_at=ended.clock.now())
        ended.database.posted_shares.append((ended.hash, other))
        await posted(ended, [0])
        await ended.until(lambda: ended.condition(ConditionType.SHARE_REFUSED) == "ShareInvalid")
        assert "was made of another account of the votes" in ended.message(ConditionType.SHARE_REFUSED)
        await asyncio.sleep(20)
        assert ended.jcli.calls["merge_shares"] == 0
        await posted(ended, [1])
        await tally
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}


async def test_the_first_share_that_holds_counts_and_a_second_changes_nothing(ended: World) -> None:
    (plan,) = private_plans(ended)
    async with ended.looking(), asyncio.TaskGroup() as group:
        tally = group.create_task(Tallying().run(ended.ctx))
        await ended.until(lambda: ended.condition(ConditionType.SHARES_MISSING) is not None)
        first, second = share(ended, plan, 1), share(ended, plan, 1)
        assert first.share != second.share, "a proof has a random number"
        await ended.database.post_shares(ended.hash, [first, second])
        await posted(ended, [0])
        await tally
    file = ended.chain.tally / f"plan-{plan.index}" / "share-1.json"
    assert tuple(json.loads(file.read_text())) == first.share
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}


async def test_what_others_post_in_a_members_name_takes_nothing_from_a_share_that_holds(ended: World) -> None:
    async with ended.looking(), asyncio.TaskGroup() as group:
        tally = group.create_task(Tallying().run(ended.ctx))
        await ended.until(lambda: ended.condition(ConditionType.SHARES_MISSING) is not None)
        (plan,) = private_plans(ended)
        good, other = share(ended, plan, 1), share(ended, plan, 0)
        await posted(ended, [1])
        await ended.database.post_shares(ended.hash, [forged(good, other, how) for how in FORGED.values()])
        secret = new_member_secret()
        stranger = member_public_key(secret)
        own = private_jcli.share_of(snapshot_of(ended, plan), secret)
        await ended.database.post_shares(ended.hash, [replace(other, member_key=stranger), own])
        await ended.until(lambda: ended.condition(ConditionType.SHARE_REFUSED) is not None)
        assert stranger in ended.message(ConditionType.SHARE_REFUSED)
        assert KEYS[1] not in ended.message(ConditionType.SHARE_REFUSED), "theirs is there already"
        await posted(ended, [0])
        await tally
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}


async def test_shares_are_merged_in_the_order_of_the_plan_whoever_came_first(ended: World) -> None:
    await tallied(ended, [1], [0])
    (plan,) = private_plans(ended)
    directory = ended.chain.tally / f"plan-{plan.index}"
    shares = [json.loads((directory / f"share-{member}.json").read_text()) for member in (0, 1)]
    assert json.loads((directory / "merged.json").read_text()) == [list(pair) for pair in zip(*shares, strict=True)]
    assert shares == [list(share(ended, plan, member).share) for member in (0, 1)] or all(shares)


async def test_what_is_decrypted_is_kept_before_the_tally_is_posted(ended: World) -> None:
    ended.jcli.failures["private_tally_certificate"] = TemporaryError("CommandTimeout", "killed")
    async with ended.doing(Tallying()) as failures:
        await ended.until(lambda: ended.condition(ConditionType.SHARES_MISSING) is not None)
        await posted(ended)
        await ended.until(lambda: len(failures) > 0)
    (plan,) = private_plans(ended)
    assert ended.database.opened[ended.hash] == {plan.id: VOTES}
    assert (ended.chain.tally / f"plan-{plan.index}" / "share-0.json").stat().st_mode & 0o777 == 0o600
    assert ended.jcli.calls["decrypt_results"] == 1, "once is enough, whatever fails afterwards"


async def test_plans_are_decrypted_side_by_side_on_the_cores_there_are(
    new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    world = new_world(groups=4, private=4)
    await world.end_voting()
    now, most, original = 0, 0, world.jcli.decrypt_results

    async def decrypt_results(*arguments: Any, **options: Any) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        assert options == {"members": 2, "timeout": 1200.0}
        await asyncio.sleep(10)
        await original(*arguments, **options)
        now -= 1

    monkeypatch.setattr(world.jcli, "decrypt_results", decrypt_results)
    await tallied(world)
    assert most == 2
    assert results(world) == {plan.id: (VOTES, True) for plan in world.plans}


async def test_a_plan_that_cannot_be_decrypted_does_not_keep_the_others(
    new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world(groups=2, private=2)
    await world.end_voting()
    first, second = private_plans(world)
    original, refusals = world.jcli.decrypt_results, 3

    async def decrypt_results(plans: Path, plan_id: str, *arguments: Any, **options: Any) -> None:
        nonlocal refusals
        if plan_id == first.id and refusals:
            refusals -= 1
            raise TemporaryError("CommandTimeout", "killed")
        await original(plans, plan_id, *arguments, **options)

    monkeypatch.setattr(world.jcli, "decrypt_results", decrypt_results)
    async with asyncio.TaskGroup() as group:
        group.create_task(posted(world))
        failures = await world.insist(Tallying())
    assert [failure.reason for failure in failures] == ["CommandTimeout"] * 3
    assert world.jcli.calls["decrypt_results"] == 2, "the second plan was decrypted once"
    assert results(world) == {plan.id: (VOTES, True) for plan in (first, second)}


@pytest.mark.parametrize("votes", [((10, 1, 0), (0, 0)), ((1, 10, 0), (0, 12)), ((1, 10), (0, 0))])
async def test_a_result_that_the_shares_do_not_prove_goes_nowhere(
    ended: World, monkeypatch: pytest.MonkeyPatch, votes: Results
) -> None:
    original = ended.jcli.decrypt_results

    async def decrypt_results(plans: Path, plan_id: str, merged: Path, result: Path, **options: Any) -> None:
        await original(plans, plan_id, merged, result, **options)
        document = json.loads(result.read_text())
        for proposal, counted in zip(document["proposals"], votes, strict=True):
            proposal["tally"]["Private"]["state"]["Decrypted"]["result"]["results"] = list(counted)
        result.write_text(json.dumps(document))

    monkeypatch.setattr(ended.jcli, "decrypt_results", decrypt_results)
    async with ended.doing(Tallying()) as failures:
        await ended.until(lambda: ended.condition(ConditionType.SHARES_MISSING) is not None)
        await posted(ended)
        await ended.until(lambda: len(failures) > 2)
    assert {failure.reason for failure in failures} == {"ResultNotProven"}
    assert ended.database.opened == {}
    assert ended.database.posted == {}
    assert ended.jcli.calls["private_tally_certificate"] == 0


async def test_more_votes_than_block_0_gave_power_go_nowhere_though_the_shares_prove_them(
    new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world(private=1)
    await world.end_voting()
    monkeypatch.setattr(Block0Summary, "power_in", lambda _, __: 10)
    async with world.doing(Tallying()) as failures:
        await posted(world)
        await world.until(lambda: len(failures) > 0)
    assert failures[0].reason == "ResultNotProven"
    assert "has 11 votes, but block 0 gave only 10" in failures[0].message
    assert world.database.opened == {}
    assert world.database.posted == {}


async def test_a_result_in_the_database_that_the_shares_do_not_prove_is_not_taken(ended: World) -> None:
    (plan,) = private_plans(ended)
    ended.database.opened[ended.hash] = {plan.id: ((10, 1, 0), (0, 0))}
    async with asyncio.TaskGroup() as group:
        group.create_task(posted(ended))
        async with ended.doing(Tallying()) as failures:
            await ended.until(lambda: len(failures) > 0)
    assert failures[0].reason == "ResultNotProven"
    assert "vote_plan.decrypted" in failures[0].message
    assert ended.database.posted == {}


async def test_shares_that_come_in_the_grace_give_results_off_the_chain(ended: World) -> None:
    async with asyncio.TaskGroup() as group:
        tally = group.create_task(ended.finish(Tallying()))
        await ended.until(lambda: ended.clock.now() > ended.ctx.block0_in_work().dates.committee_end_time, 1e4)
        await posted(ended)
        await tally
    public, private = ended.results
    assert (public.votes, public.on_chain) == (VOTES, True)
    assert (private.votes, private.on_chain, private.fragment_id) == (VOTES, False, None)
    assert private.plan_id in ended.message(ConditionType.TALLY_WINDOW_MISSED)


async def test_without_all_shares_public_results_stand_alone_and_the_archive_has_what_there_is(ended: World) -> None:
    decision = await tallied(ended, [1])
    assert decision.event is Event.RESULTS_POSTED
    assert ended.clock.now() >= closing_time(ended.ctx.block0_in_work().dates.committee_end_time, ended.ctx.policy)
    (plan,) = private_plans(ended)
    (result,) = ended.results
    assert (result.votes, result.on_chain) == (VOTES, True)
    assert result.plan_id != plan.id
    assert plan.id in ended.database.journalled[-1].reason
    await ended.node.stop()
    ended.ctx.conditions.clear(ConditionType.SHARES_MISSING)
    await ended.finish(Archiving())
    (archive,) = ended.database.archives
    manifest = Manifest.parse(archive.manifest.encode())
    assert manifest.untallied
    assert plan.id in manifest.untallied
    assert manifest.results is not None
    assert [entry.plan_id for entry in manifest.results] == [result.plan_id]
    names = {file.name for file in manifest.files}
    assert f"tally/plan-{plan.index}/share-1.json" in names
    record = json.loads((ended.chain.record / "vote-plans.json").read_text())
    assert (
        "Encrypted" in next(one for one in record if one["id"] == plan.id)["proposals"][0]["tally"]["Private"]["state"]
    )


async def test_private_plans_alone_end_without_results(new_world: Callable[..., World]) -> None:
    world = new_world(private=1)
    short_grace(world)
    await world.end_voting()
    with pytest.raises(PermanentError, match="SharesMissing"):
        await world.finish(Tallying())
    committee_end = world.ctx.block0_in_work().dates.committee_end_time
    assert world.clock.now() >= closing_time(committee_end, world.ctx.policy)
    assert world.database.posted == {}


async def test_what_never_answers_ends_with_the_grace_too(ended: World) -> None:
    """Temporary failures alone, of jcli with the shares of all members there."""
    ended.jcli.failures["decrypt_results"] = TemporaryError("CommandTimeout", "killed")
    async with asyncio.TaskGroup() as group:
        group.create_task(posted(ended))
        async with ended.looking():
            while True:
                try:
                    await Tallying().run(ended.ctx)
                    break
                except TemporaryError:
                    await asyncio.sleep(10)
    (result,) = ended.results
    assert (result.votes, result.on_chain) == (VOTES, True)
    assert ended.clock.now() < START + timedelta(seconds=TALLYING_END + GRACE + 300)


async def test_a_plan_of_others_changes_nothing(ended: World) -> None:
    (plan,) = private_plans(ended)
    foreign = next(shown for shown in ended.node.plans() if shown["id"] == plan.id) | {"id": "cd" * 32}
    ended.node.foreign_plans += [foreign, {"id": "ef" * 32, "payload": "private", "proposals": []}]
    await tallied(ended)
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}
    assert ended.database.snapshots[ended.hash].keys() == {plan.id for plan in ended.plans}
    assert {shared.plan_id for _, shared in ended.database.posted_shares} == {plan.id}


async def test_a_node_that_has_the_tally_and_a_new_disk_end_the_same(ended: World) -> None:
    ended.database.refused["post_results"] = deque([DATABASE_AWAY])
    async with ended.doing(Tallying()) as failures:
        await posted(ended)
        await ended.until(lambda: len(failures) > 0)
        assert failures == [DATABASE_AWAY]
        ended.database.failure = DATABASE_AWAY
    ended.database.failure = None
    (plan,) = private_plans(ended)
    (shown,) = [shown for shown in ended.node.plans() if shown["id"] == plan.id]
    assert "Decrypted" in shown["proposals"][0]["tally"]["Private"]["state"], "the sums are gone from the node"
    files = {path.name: path.read_bytes() for path in (ended.chain.tally / f"plan-{plan.index}").iterdir()}
    shutil.rmtree(ended.chain.path)
    decrypted = ended.jcli.calls["decrypt_results"]
    await ended.finish(Tallying())
    assert ended.jcli.calls["decrypt_results"] == decrypted
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}
    again = {path.name: path.read_bytes() for path in (ended.chain.tally / f"plan-{plan.index}").iterdir()}
    assert again.keys() == files.keys()
    assert [again[name] for name in files if name != "result.json"] == [
        files[name] for name in files if name != "result.json"
    ]
    record = json.loads((ended.chain.record / "vote-plans.json").read_text())
    assert (
        "Encrypted" in next(one for one in record if one["id"] == plan.id)["proposals"][0]["tally"]["Private"]["state"]
    )


async def test_a_tally_by_hand_counts_without_any_share_in_the_database(ended: World) -> None:
    """The committee's wallets may tally too; a node takes only what the shares in the tally prove."""
    (plan,) = private_plans(ended)
    content = certificates.private_tally(
        bytes.fromhex(plan.id), [([bytes(3 * 96)], VOTES[0]), ([bytes(2 * 96)], VOTES[1])]
    )
    raw = tally_fragment(content, public_bytes(LEADER0))
    await ended.node.post_fragment(raw)
    ended.clock.advance(seconds=2)
    await ended.finish(Tallying())
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}
    assert ended.database.posted_shares == []


async def test_other_votes_than_those_that_shares_were_posted_of_stay_closed(ended: World) -> None:
    """The chain turned: two sums opened would show the votes between them."""
    async with ended.doing(Tallying()):
        await ended.until(lambda: ended.condition(ConditionType.SHARES_MISSING) is not None)
        await posted(ended, [0])
    (plan,) = private_plans(ended)
    saved = ended.database.snapshots[ended.hash][plan.id]
    before = json.dumps(saved)
    saved["proposals"][0]["tally"]["Private"]["state"]["Encrypted"]["encrypted_tally"] = saved["proposals"][1]["tally"][
        "Private"
    ]["state"]["Encrypted"]["encrypted_tally"]
    assert json.dumps(saved) != before
    await ended.finish(Tallying())
    assert [result.plan_id for result in ended.results] == [other.id for other in ended.plans if other.id != plan.id]
    assert not (ended.chain.tally / f"plan-{plan.index}").exists()


async def test_shares_of_all_members_do_not_open_other_votes_than_those_on_the_chain(ended: World) -> None:
    """They prove what they open; but the chain has turned since, and that is not what it has."""
    ended.jcli.failures["merge_shares"] = TemporaryError("CommandTimeout", "killed")
    async with ended.doing(Tallying()) as failures:
        await posted(ended)
        await ended.until(lambda: len(failures) > 0)
    del ended.jcli.failures["merge_shares"]
    (plan,) = private_plans(ended)
    file = ended.chain.record / "vote-plans.json"
    account = json.loads(file.read_text())
    (turned,) = [shown for shown in account if shown["id"] == plan.id]
    first, second = (proposal["tally"]["Private"]["state"]["Encrypted"] for proposal in turned["proposals"])
    first["encrypted_tally"] = second["encrypted_tally"]
    file.write_text(json.dumps(account))
    await ended.finish(Tallying())
    assert [result.plan_id for result in ended.results] == [other.id for other in ended.plans if other.id != plan.id]
    assert ended.database.opened == {}


async def test_other_votes_of_which_nobody_has_a_share_take_the_place_of_the_first(ended: World) -> None:
    async with ended.doing(Tallying()):
        await ended.until(lambda: ended.condition(ConditionType.SHARES_MISSING) is not None)
    (plan,) = private_plans(ended)
    saved = ended.database.snapshots[ended.hash][plan.id]
    sums = saved["proposals"][0]["tally"]["Private"]["state"]["Encrypted"]
    right = sums["encrypted_tally"]
    sums["encrypted_tally"] = saved["proposals"][1]["tally"]["Private"]["state"]["Encrypted"]["encrypted_tally"]
    async with ended.doing(Tallying()):
        await ended.until(lambda: ended.database.snapshots[ended.hash][plan.id] is not saved)
    await tallied(ended)
    assert ended.database.snapshots[ended.hash][plan.id]["proposals"][0]["tally"]["Private"]["state"] == {
        "Encrypted": {"encrypted_tally": right}
    }
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}


@pytest.mark.parametrize("groups", [2, 1], ids=["of both kinds", "private alone"])
async def test_nothing_is_asked_for_made_or_stored_before_voting_has_ended(
    new_world: Callable[..., World], groups: int
) -> None:
    """Also where the operator has all the keys, and Tallying were begun far too early."""
    world = new_world(groups=groups, private=1)
    with_keys(world, *MEMBERS)
    await world.run_chain()
    async with world.doing(Running()):
        await asyncio.sleep(5)
    async with world.doing(Tallying()):
        await asyncio.sleep(VOTING_END - VOTING_START - 10)
        assert world.ctx.block0_in_work().dates.vote_end_time > world.clock.now()
        assert world.database.snapshots == {}
        (plan,) = private_plans(world)
        for hash_ in ("0" * 64, hash_of(next(one for one in world.node.plans() if one["id"] == plan.id))):
            with pytest.raises(PermanentError, match="SnapshotUnknown"):
                await world.database.post_shares(world.hash, [PostedShare(plan.id, hash_, KEYS[0], ("share",))])
    assert not any(KEYS_URI in request for request in world.store.requests)
    for command in ("decryption_shares", "member_public_key", "merge_shares", "decrypt_results"):
        assert world.jcli.calls[command] == 0
    assert world.database.calls["shares"] == 0
    assert world.database.posted_shares == []


async def test_with_all_keys_at_hand_the_service_posts_the_shares_itself(ended: World, log: io.StringIO) -> None:
    with_keys(ended, *reversed(MEMBERS))
    await ended.finish(Tallying())
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}
    assert {shared.member_key for _, shared in ended.database.posted_shares} == set(KEYS)
    told = log.getvalue() + repr(ended.database) + str(list(ended.ctx.conditions))
    files = b"".join(path.read_bytes() for path in ended.ctx.workspace.root.rglob("*") if path.is_file())
    for secret in MEMBERS:
        assert secret.reveal() not in told
        assert secret.reveal().encode() not in files


async def test_a_jcli_whose_shares_do_not_hold_posts_one_and_keeps_no_member_from_posting(
    ended: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_keys(ended, MEMBERS[0])
    original = ended.jcli.decryption_shares

    async def decryption_shares(plans: Path, plan_id: str, secret: Secret) -> tuple[str, ...]:
        return (await original(plans, plan_id, secret))[::-1]

    monkeypatch.setattr(ended.jcli, "decryption_shares", decryption_shares)
    async with ended.looking(), asyncio.TaskGroup() as group:
        tally = group.create_task(Tallying().run(ended.ctx))
        await ended.until(lambda: ended.condition(ConditionType.SHARE_REFUSED) == "ShareInvalid")
        await posted(ended, [1])
        await asyncio.sleep(5)
        assert len(ended.database.posted_shares) == 2
        await posted(ended, [0])
        await tally
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}


async def test_members_post_what_the_operator_has_no_key_for(ended: World) -> None:
    with_keys(ended, MEMBERS[1], new_member_secret())
    ended.store.objects[f"{KEYS_URI}/{NAME}/readme"] = b"the keys of the committee"
    ended.store.objects[f"{KEYS_URI}/{NAME}/bad"] = b"ristretto255_membersk1qqqq"
    ended.store.objects[f"{KEYS_URI}/{NAME}er/member0"] = MEMBERS[0].reveal().encode()
    async with ended.looking(), asyncio.TaskGroup() as group:
        tally = group.create_task(Tallying().run(ended.ctx))
        await ended.until(lambda: ended.condition(ConditionType.MEMBER_KEY_UNUSABLE) is not None)
        assert ended.condition(ConditionType.MEMBER_KEY_UNUSABLE) == "MemberKeyMissing"
        message = ended.message(ConditionType.MEMBER_KEY_UNUSABLE)
        assert f"there is no key of member 0 ({KEYS[0]}) under {KEYS_URI}/{NAME}/" in message
        for name in ("readme", "bad", "member1"):
            assert f"{KEYS_URI}/{NAME}/{name} is" in message
        assert f"member 0 ({KEYS[0]})" in ended.message(ConditionType.SHARES_MISSING)
        assert KEYS[1] not in ended.message(ConditionType.SHARES_MISSING)
        await posted(ended, [0])
        await tally
    assert ended.condition(ConditionType.MEMBER_KEY_UNUSABLE) is None
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}


async def test_a_store_that_is_away_keeps_no_member_from_posting(ended: World) -> None:
    with_keys(ended, *MEMBERS)
    ended.store.failure = S3_AWAY
    async with ended.looking(), asyncio.TaskGroup() as group:
        tally = group.create_task(Tallying().run(ended.ctx))
        await ended.until(lambda: ended.condition(ConditionType.MEMBER_KEY_UNUSABLE) == S3_AWAY.reason)
        await posted(ended, [0])
        await ended.until(lambda: KEYS[0] not in ended.message(ConditionType.SHARES_MISSING))
        ended.store.failure = None
        await tally
    assert results(ended) == {plan.id: (VOTES, True) for plan in ended.plans}


def test_only_leader_0_tallies() -> None:
    assert Phase.TALLYING not in {row.target for row in TABLES[Role.NODE]}
