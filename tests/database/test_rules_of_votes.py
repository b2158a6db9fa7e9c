"""What every database must do, the real one and that of the phase tests: votes that are in no block."""

import pytest

from node_fsm.core.errors import PermanentError
from node_fsm.core.model import LostVotes, SignedFragment, UncountedVote
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.administration import acknowledge_lost_votes
from tests.database.stands import Stand

CHAIN, OTHER = "a" * 64, "b" * 64
FIRST, SECOND = SignedFragment("1" * 64, b"\x00one"), SignedFragment("2" * 64, b"\x00two")


def lost(fragment: SignedFragment, why: str = "expired", weight: int = 7) -> UncountedVote:
    return UncountedVote(fragment.id, "c" * 64, weight, why, fragment.raw)


async def test_what_is_handed_over_is_offered_to_the_others_until_it_is_in_a_block(stand: Stand) -> None:
    database = stand.database
    await database.hand_over(CHAIN, "leader0", [])
    await database.hand_over(CHAIN, "leader0", [FIRST])
    await database.hand_over(CHAIN, "leader0", [FIRST, SECOND])
    assert await database.handed_over(CHAIN, "leader1", (), 10) == (FIRST, SECOND)
    assert await database.handed_over(CHAIN, "leader1", (), 1) == (FIRST,)
    assert await database.handed_over(CHAIN, "leader1", {FIRST.id}, 10) == (SECOND,)
    assert await database.handed_over(CHAIN, "leader0", (), 10) == ()
    assert await database.handed_over(OTHER, "leader1", (), 10) == ()
    await database.resolve_handover(OTHER, {FIRST.id})
    await database.resolve_handover(CHAIN, {FIRST.id})
    assert await database.handed_over(CHAIN, "leader1", (), 10) == (SECOND,)
    await database.resolve_handover(OTHER)
    assert await database.handed_over(CHAIN, "leader1", (), 10) == (SECOND,)
    await database.resolve_handover(CHAIN)
    assert await database.handed_over(CHAIN, "leader1", (), 10) == ()
    await database.hand_over(CHAIN, "leader1", [SECOND])  # the chain has lost the block that it was in
    assert await database.handed_over(CHAIN, "leader1", (), 10) == ()
    assert await database.handed_over(CHAIN, "leader0", (), 10) == (SECOND,)


async def test_there_may_be_more_of_them_than_a_statement_has_parameters(database: PostgresDatabase) -> None:
    many = [SignedFragment(f"{number:064x}", b"") for number in range(33_000)]
    ids = {one.id for one in many}
    await database.hand_over(CHAIN, "leader0", many)
    assert await database.handed_over(CHAIN, "leader1", ids, 10) == ()
    await database.resolve_handover(CHAIN, ids)
    assert await database.handed_over(CHAIN, "leader1", (), 10) == ()
    for _ in range(2):
        await database.report_uncounted(1, "Fund 1", CHAIN, "leader0", [lost(one) for one in many])
    await database.forget_uncounted(CHAIN, ids)
    assert await database.uncounted(CHAIN) == ()


async def test_a_lost_vote_is_told_once_whoever_knows_of_it(stand: Stand) -> None:
    database = stand.database
    await database.report_uncounted(1, "Fund 1", CHAIN, "leader0", [lost(FIRST), lost(SECOND, weight=30)])
    await database.report_uncounted(1, "Fund 1", CHAIN, "leader1", [lost(FIRST, "in no block")])
    await database.report_uncounted(2, "Fund 2", OTHER, "leader0", [lost(FIRST, weight=1)])
    told = (LostVotes("Fund 1", CHAIN, 2, 37), LostVotes("Fund 2", OTHER, 1, 1))
    assert (await database.overview([])).lost == told
    assert await database.uncounted(CHAIN) == (lost(FIRST), lost(SECOND, weight=30))


async def test_what_a_node_says_takes_the_place_of_what_it_said(stand: Stand) -> None:
    database = stand.database
    await database.report_uncounted(1, "Fund 1", CHAIN, "leader0", [lost(FIRST), lost(SECOND)])
    await database.report_uncounted(1, "Fund 1", CHAIN, "leader0", [lost(SECOND, "refused: no")])
    assert (await database.overview([])).lost == (LostVotes("Fund 1", CHAIN, 1, 7),)
    await database.report_uncounted(1, "Fund 1", CHAIN, "leader0", [])
    assert (await database.overview([])).lost == ()


async def test_what_is_added_stands_beside_what_was_said_before(stand: Stand) -> None:
    database = stand.database
    await database.report_uncounted(1, "Fund 1", CHAIN, "leader0", [lost(FIRST)])
    await database.add_uncounted(1, "Fund 1", CHAIN, "leader0", [])
    await database.add_uncounted(1, "Fund 1", CHAIN, "leader0", [lost(FIRST, "in no block"), lost(SECOND)])
    assert await database.uncounted(CHAIN) == (lost(FIRST), lost(SECOND))


async def test_what_the_counted_chain_has_is_forgotten_whoever_reported_it(stand: Stand) -> None:
    database = stand.database
    await database.report_uncounted(1, "Fund 1", CHAIN, "leader1", [lost(FIRST), lost(SECOND)])
    await database.report_uncounted(1, "Fund 1", CHAIN, "leader2", [lost(FIRST)])
    await database.forget_uncounted(OTHER, {SECOND.id})
    await database.forget_uncounted(CHAIN, {FIRST.id})
    assert await database.uncounted(CHAIN) == (lost(SECOND),)


async def test_what_a_person_knows_of_is_told_no_more_and_stays_on_record(database: PostgresDatabase) -> None:
    await database.report_uncounted(1, "Fund 1", CHAIN, "leader0", [lost(FIRST)])
    await database.report_uncounted(1, "Fund 1", CHAIN, "leader1", [lost(FIRST)])
    assert await acknowledge_lost_votes(database.session, "Fund 1") == 1
    assert (await database.overview([])).lost == ()
    assert await database.uncounted(CHAIN) == (lost(FIRST),)
    await database.report_uncounted(1, "Fund 1", CHAIN, "leader0", [lost(FIRST, "refused: no"), lost(SECOND)])
    assert (await database.overview([])).lost == (LostVotes("Fund 1", CHAIN, 1, 7),)
    with pytest.raises(PermanentError, match="no votes of election 'Fund 2'"):
        await acknowledge_lost_votes(database.session, "Fund 2")
