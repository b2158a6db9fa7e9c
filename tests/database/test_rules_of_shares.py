"""What every database must do, the real one and that of the phase tests: what private votes are opened with."""

import asyncio
import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from node_fsm.core.committee import PostedShare, Share
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import Publication
from node_fsm.database import shares as module
from node_fsm.database.adapter import PostgresDatabase
from tests.database.stands import Stand
from tests.database.world import add_share, publish, results_of, until_somebody_waits_for_a_lock
from tests.support.fakes import FACT

OTHER = "b" * 64


async def published(stand: Stand, tmp_path: Path) -> Publication:
    publication, _ = await publish(stand.database, await stand.add_election(), tmp_path)
    return publication


def account(plan_id: str, *votes: int) -> dict[str, Any]:
    """A node's account of a plan, as far as it matters to whoever keeps it."""
    return {"id": plan_id, "votes": list(votes), "committee_member_keys": ["member0", "member1"]}


async def snapshots(stand: Stand, publication: Publication) -> dict[str, str]:
    """The hash of each plan's snapshot, stored now."""
    printed = {plan.id: account(plan.id, 2**53 + 1, plan.index) for plan in publication.plans}
    await stand.database.save_tally_snapshot(publication.hash, printed)
    saved = await stand.database.tally_snapshots(publication.hash)
    assert {snapshot.plan_id: snapshot.printed for snapshot in saved} == printed
    assert [snapshot.plan_id for snapshot in saved] == [plan.id for plan in publication.plans]
    return {snapshot.plan_id: snapshot.hash for snapshot in saved}


async def without_times(stand: Stand, block0_hash: str) -> list[PostedShare]:
    shares = await stand.database.shares(block0_hash)
    assert all(share.posted_at for share in shares)
    return [PostedShare(s.plan_id, s.snapshot_hash, s.member_key, s.share) for s in shares]


async def test_shares_are_added_side_by_side(stand: Stand, tmp_path: Path) -> None:
    publication = await published(stand, tmp_path)
    plan_id = publication.plans[0].id
    hash_ = (await snapshots(stand, publication))[plan_id]
    first = PostedShare(plan_id, hash_, "member0", ("YQ==", "Yg=="))
    better = PostedShare(plan_id, hash_, "member0", ("Yw==", "Yg=="))
    other = PostedShare(plan_id, hash_, "member1", ("YQ==", "Yg=="))
    await stand.database.post_shares(publication.hash, [first])
    await stand.database.post_shares(publication.hash, [])
    await stand.database.post_shares(publication.hash, [first, better])
    await stand.database.post_shares(publication.hash, [other])
    assert (await without_times(stand, publication.hash))[0] == first
    assert set(await without_times(stand, publication.hash)) == {first, better, other}
    assert await stand.database.shares(OTHER) == ()


async def test_no_share_before_a_snapshot_or_of_another(stand: Stand, tmp_path: Path) -> None:
    publication = await published(stand, tmp_path)
    plan_id = publication.plans[0].id
    assert await stand.database.tally_snapshots(publication.hash) == ()
    with pytest.raises(PermanentError, match="none stands there") as refusal:
        await stand.database.post_shares(publication.hash, [PostedShare(plan_id, OTHER, "member0", ("YQ==",))])
    assert refusal.value.reason == "SnapshotUnknown"
    hash_ = (await snapshots(stand, publication))[plan_id]
    good = PostedShare(plan_id, hash_, "member0", ("YQ==",))
    for wrong in (PostedShare(plan_id, OTHER, "member0", ("YQ==",)), PostedShare(OTHER, hash_, "member0", ("YQ==",))):
        with pytest.raises(PermanentError, match="committee snapshot"):
            await stand.database.post_shares(publication.hash, [good, wrong])
    assert await stand.database.shares(publication.hash) == ()


async def test_what_was_decrypted_stays(stand: Stand, tmp_path: Path) -> None:
    publication = await published(stand, tmp_path)
    first, second = (plan.id for plan in publication.plans[:2])
    assert await stand.database.decrypted(publication.hash) == {}
    votes = ((2**53 + 1, 0), (3, 4))
    await stand.database.save_decrypted(publication.hash, {first: votes})
    await stand.database.save_decrypted(publication.hash, {first: votes, second: ((1,),)})
    with pytest.raises(PermanentError, match="other results") as refusal:
        await stand.database.save_decrypted(publication.hash, {first: ((1, 0), (3, 4))})
    assert refusal.value.reason == "ResultsDiffer"
    assert await stand.database.decrypted(publication.hash) == {first: votes, second: ((1,),)}
    assert await stand.database.decrypted(OTHER) == {}


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}", "[" * 100_000, "null"])
async def test_whatever_a_member_writes_is_at_worst_a_share_that_fails(
    database: PostgresDatabase, election: int, sql: asyncpg.Connection, tmp_path: Path, text: str
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await database.save_tally_snapshot(publication.hash, {plan.id: account(plan.id) for plan in publication.plans})
    await add_share(sql, text)
    assert {share.share for share in await database.shares(publication.hash)} == {()}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"snapshot_hash": OTHER}, "no tally_snapshot with the hash"),
        ({"member": "member2"}, "member2 is no member"),
        ({"text": "x" * 131_073}, "share_is_not_too_large"),
        ({"sha256": OTHER}, "sha256_is_the_shares"),
    ],
)
async def test_what_can_be_no_share_is_refused_whoever_writes_it(
    database: PostgresDatabase,
    election: int,
    sql: asyncpg.Connection,
    tmp_path: Path,
    wrong: dict[str, str],
    said: str,
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    with pytest.raises(asyncpg.CheckViolationError, match="no tally_snapshot with the hash"):
        await add_share(sql, "[]", snapshot_hash=OTHER)  # voting has not ended
    await database.save_tally_snapshot(publication.hash, {plan.id: account(plan.id) for plan in publication.plans})
    with pytest.raises(asyncpg.CheckViolationError, match=said):
        await add_share(sql, **{"text": "[]"} | wrong)
    await add_share(sql, "x" * 131_072)


async def test_a_role_may_post_a_few_shares_in_each_name_and_takes_none_from_other_roles(
    database: PostgresDatabase, election: int, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await database.save_tally_snapshot(publication.hash, {plan.id: account(plan.id) for plan in publication.plans})
    for number in range(8):
        await add_share(sql, f"[{number}]")
    with pytest.raises(asyncpg.CheckViolationError, match=r"has posted 8 shares .* in the name of member0"):
        await add_share(sql, "[8]")
    await add_share(sql, "[8]", member="member1")
    await sql.execute("UPDATE decryption_share SET posted_by = 'another'")
    await add_share(sql, "[8]")


async def test_the_most_that_a_role_may_post_is_not_read_on_the_event_loop(
    database: PostgresDatabase,
    election: int,
    sql: asyncpg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await database.save_tally_snapshot(publication.hash, {plan.id: account(plan.id) for plan in publication.plans})
    threads, parse = set[int](), module._parse

    def parse_noting_the_thread(text: str) -> Share:
        threads.add(threading.get_ident())
        return parse(text)

    monkeypatch.setattr(module, "_parse", parse_noting_the_thread)
    texts = [json.dumps([str(number), *[""] * 32_000]) for number in range(8)]
    for member in ("member0", "member1"):
        for text in texts:
            await add_share(sql, text, member=member)
    shares = await database.shares(publication.hash)
    assert threads
    assert threading.get_ident() not in threads
    assert {len(share.share) for share in shares} == {32_001}
    assert len(shares) == 2 * 8 * len(publication.plans)


async def test_who_does_not_end_posting_a_share_holds_up_nothing_and_no_snapshot_takes_the_place_of_theirs(
    database: PostgresDatabase, election: int, sql: asyncpg.Connection, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    printed = {plan.id: account(plan.id) for plan in publication.plans}
    await database.save_tally_snapshot(publication.hash, printed)
    async with sql.transaction():
        await add_share(sql, "[]")
        other = {plan.id: account(plan.id, 1) for plan in publication.plans}
        assert await database.save_tally_snapshot(publication.hash, other, anew=True) == printed
        await database.save_decrypted(publication.hash, {publication.plans[0].id: ((1,),)})
        await database.post_results(publication.election_id, publication.hash, results_of(publication), FACT)
    assert len(await database.shares(publication.hash)) == len(publication.plans)


async def test_a_share_of_a_snapshot_that_is_replaced_meanwhile_is_refused(
    database: PostgresDatabase, election: int, sql: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    publication, _ = await publish(database, election, tmp_path)
    await database.save_tally_snapshot(publication.hash, {plan.id: account(plan.id) for plan in publication.plans})
    operator = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    async with operator.transaction():
        await operator.execute("SELECT FROM vote_plan FOR UPDATE")  # as for a snapshot that is made anew
        await operator.execute("UPDATE vote_plan SET tally_snapshot_hash = 'another'")
        posting = asyncio.create_task(add_share(sql, "[]"))
        await until_somebody_waits_for_a_lock(operator)
    with pytest.raises(asyncpg.CheckViolationError, match="no tally_snapshot with the hash"):
        await posting
    await operator.close()


async def test_results_of_a_part_are_taken_when_the_rest_is_named(stand: Stand, tmp_path: Path) -> None:
    publication = await published(stand, tmp_path)
    first, second = (plan.id for plan in publication.plans)
    results = results_of(publication)[:1]
    post = partial(stand.database.post_results, publication.election_id, publication.hash)
    with pytest.raises(PermanentError, match="PlansDiffer"):
        await post(results, FACT)
    with pytest.raises(PermanentError, match="PlansDiffer"):
        await post(results, FACT, untallied=[first, second])
    for _ in range(2):
        await post(results, FACT, untallied=[second])
        assert await stand.database.results(publication.hash) == tuple(results)
    with pytest.raises(PermanentError, match="ResultsDiffer"):
        await post(results_of(publication), FACT)
    assert await stand.database.results(publication.hash) == tuple(results)


async def test_a_snapshot_is_made_anew_until_a_share_was_posted_of_it(stand: Stand, tmp_path: Path) -> None:
    publication = await published(stand, tmp_path)
    plan_id = publication.plans[0].id
    before = await snapshots(stand, publication)
    other, third = ({plan.id: account(plan.id, number) for plan in publication.plans} for number in (1, 2))
    assert await stand.database.save_tally_snapshot(publication.hash, other) != other
    assert await stand.database.save_tally_snapshot(publication.hash, other, anew=True) == other
    with pytest.raises(PermanentError, match="SnapshotUnknown"):
        await stand.database.post_shares(
            publication.hash, [PostedShare(plan_id, before[plan_id], "member0", ("YQ==",))]
        )
    hash_ = next(saved.hash for saved in await stand.database.tally_snapshots(publication.hash))
    await stand.database.post_shares(publication.hash, [PostedShare(plan_id, hash_, "member0", ("YQ==",))])
    assert await stand.database.save_tally_snapshot(publication.hash, third, anew=True) == other
    await stand.database.post_results(
        publication.election_id, publication.hash, results_of(publication), FACT, disputed="leader 1 is missing"
    )
    assert await stand.database.save_tally_snapshot(publication.hash, third) == other
