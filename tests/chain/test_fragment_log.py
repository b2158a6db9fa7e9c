"""The node's persistent log: a recorded one, and what a killed node or a full disk leaves of it."""

import json
from collections.abc import Iterable
from pathlib import Path
from struct import pack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node_fsm.chain.errors import MalformedError
from node_fsm.chain.fragment_log import Damage, FragmentLog, LoggedFragment, PostAgain
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.core.chain_time import BlockDate
from tests.chain import build
from tests.chain.helpers import DATA, stored
from tests.support.genesis_encoder import fragment_id

RECORDED = stored("fragment_log.b64")
PLAN = "ab" * 32
VOTES = [build.vote(PLAN, bytes([number]) * 32) for number in range(1, 5)]


def record(raw: bytes, time: int = 1_700_000_000) -> bytes:
    return pack(">Q", time) + raw


def write(directory: Path, **files: bytes) -> Path:
    for name, data in files.items():
        (directory / f"{name}.log").write_bytes(data)
    return directory


def read(directory: Path) -> tuple[list[bytes], list[Damage]]:
    """The fragments in the log and the damage told."""
    damage: list[Damage] = []
    return [logged.fragment.raw for logged in FragmentLog(directory).read(damage.append)], damage


def logged(fragments: Iterable[bytes]) -> list[LoggedFragment]:
    return [LoggedFragment.of(Fragment.from_bytes(raw), 0) for raw in fragments]


def valid_until(entry: LoggedFragment) -> BlockDate | None:
    return entry.transaction and entry.transaction.valid_until


def test_a_recorded_log_has_every_fragment_that_was_accepted(tmp_path: Path) -> None:
    entries = list(FragmentLog(write(tmp_path, recorded=RECORDED)).read())
    statuses = json.loads((DATA / "statuses.json").read_text())
    assert len(entries) == len(statuses)
    assert {entry.fragment.id for entry in entries} == statuses.keys()
    assert {valid_until(entry) for entry in entries} == {BlockDate(1, 59)}
    times = [entry.time for entry in entries]
    assert times == sorted(times)
    assert times[-1] - times[0] < 60


def test_files_are_read_in_order_of_their_hours(tmp_path: Path) -> None:
    write(tmp_path, **{"2024-01-02_00": record(VOTES[2]), "2024-01-01_23": record(VOTES[0]) + record(VOTES[1])})
    write(tmp_path, **{"2024-01-02_01": b""})
    (tmp_path / "notes.txt").write_text("no log")
    assert read(tmp_path) == (VOTES[:3], [])


def test_without_a_log_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert read(tmp_path / "missing") == ([], [])


def test_a_cut_last_record_is_passed_over(tmp_path: Path) -> None:
    first, last = record(VOTES[0]), record(VOTES[1])
    for length in range(1, len(last)):
        write(tmp_path, log=first + last[:length])
        assert read(tmp_path) == ([VOTES[0]], [Damage(tmp_path / "log.log", len(first), len(first) + length)])


def test_records_behind_a_cut_one_are_found(tmp_path: Path) -> None:
    torn = record(VOTES[1])
    for length in range(1, len(torn)):
        write(tmp_path, log=record(VOTES[0]) + torn[:length] + record(VOTES[2]) + record(VOTES[3]))
        found, damage = read(tmp_path)
        assert [raw for raw in found if raw in VOTES] == [VOTES[0], VOTES[2], VOTES[3]]
        assert len(damage) == 1


def test_only_what_came_since_is_read_again(tmp_path: Path) -> None:
    log = FragmentLog(tmp_path)
    assert list(log.read()) == []
    for hour, votes in enumerate([VOTES[:1], VOTES[1:3], VOTES[3:4]]):
        for vote in votes:
            with (tmp_path / f"2024-01-01_{hour:02}.log").open("ab") as file:
                file.write(record(vote))
            assert [entry.fragment.raw for entry in log.read()] == [vote]
    assert list(log.read()) == []


def test_a_record_that_was_read_while_it_was_written_is_given_once_it_is_whole(tmp_path: Path) -> None:
    """And one that never becomes whole is passed over when others have come behind it."""
    written = record(VOTES[1])
    for length in range(1, len(written)):
        log = FragmentLog(tmp_path)
        write(tmp_path, log=record(VOTES[0]) + written[:length])
        assert [entry.fragment.raw for entry in log.read()] == VOTES[:1]
        write(tmp_path, log=record(VOTES[0]) + written)
        assert [entry.fragment.raw for entry in log.read()] == VOTES[1:2]

        log = FragmentLog(tmp_path)
        write(tmp_path, log=record(VOTES[0]) + written[:length])
        list(log.read())
        write(tmp_path, log=record(VOTES[0]) + written[:length] + record(VOTES[2]) + record(VOTES[3]))
        found = [entry.fragment.raw for entry in log.read()]
        assert [raw for raw in found if raw in VOTES] == VOTES[2:4]


def test_zeros_left_by_a_crash_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, log=record(VOTES[0]) + bytes(5000) + record(VOTES[1]))
    assert read(tmp_path)[0] == VOTES[:2]


def test_kinds_that_are_not_decoded_are_given_too(tmp_path: Path) -> None:
    other = build.fragment(FragmentKind.STAKE_DELEGATION, b"content")
    write(tmp_path, log=record(other) + record(VOTES[0]))
    assert read(tmp_path) == ([other, VOTES[0]], [])


@given(st.lists(st.one_of(st.sampled_from([record(vote) for vote in VOTES]), st.binary(max_size=40)), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_to_their_end(tmp_path: Path, pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    found, damage = read(write(tmp_path, log=data))
    assert all(record(raw) in data or raw in data for raw in found)
    assert all(0 <= place.offset < len(data) >= place.resumed for place in damage)


@pytest.mark.parametrize(
    "raw",
    [
        build.vote(PLAN, expiry=(3, 4)),
        build.fragment(FragmentKind.TRANSACTION, pack(">IIBB", 3, 4, 0, 0)),
        build.fragment(FragmentKind.VOTE_PLAN, build.plan_content() + pack(">IIBB", 3, 4, 0, 0) + bytes(96)),
        build.fragment(FragmentKind.VOTE_TALLY, bytes(32) + b"\1" + pack(">IIBB", 3, 4, 0, 0) + b"\0" + bytes(96)),
    ],
)
def test_the_expiry_of_a_fragment_is_read(raw: bytes) -> None:
    (entry,) = logged([raw])
    assert valid_until(entry) == BlockDate(3, 4)


def test_a_tally_with_the_proof_of_another_kind_is_refused() -> None:
    content = bytes(32) + b"\1" + pack(">IIBB", 3, 4, 0, 0) + b"\1" + bytes(96)
    with pytest.raises(MalformedError, match="proof of a public tally"):
        logged([build.fragment(FragmentKind.VOTE_TALLY, content)])


def again(
    *fragments: bytes,
    in_blocks: Iterable[bytes] = (),
    lost: Iterable[bytes] = (),
    refused: Iterable[bytes] = (),
    date: tuple[int, int] = (1, 5),
) -> list[bytes]:
    """What is posted again of a log of *fragments*."""
    held, stood = set(map(fragment_id, in_blocks)), [Fragment.from_bytes(raw) for raw in lost]

    def posted(first: str) -> list[bytes]:
        again = PostAgain()
        if first == "lost":
            again.lost(stood)
        for entry in logged(fragments):
            again.logged(entry, BlockDate(*date), held)
        if first == "logged":
            again.lost(stood)
        known = set(map(fragment_id, refused))
        return [fragment.raw for fragment in again.fragments(BlockDate(*date), held, known)]

    assert posted("lost") == posted("logged"), "whatever is heard of first"
    return posted("lost")


def test_what_is_unexpired_and_in_no_block_is_posted_once_in_order_of_arrival() -> None:
    old, in_block, last_moment, fresh = (
        build.vote(PLAN, expiry=expiry, counter=number)
        for number, expiry in enumerate([(1, 4), (2, 0), (1, 5), (1, 6)])
    )
    unknown = build.fragment(FragmentKind.STAKE_DELEGATION, b"content")
    log = [old, fresh, unknown, in_block, last_moment, fresh]
    assert again(*log, in_blocks=[in_block]) == [fresh, last_moment]


def test_of_votes_with_the_same_account_lane_and_counter_only_the_last_is_posted() -> None:
    """The earlier ones were refused, or their voter could not have used the counter again."""
    first, second, third = (build.vote(PLAN, choice=choice) for choice in range(3))
    other = build.vote(PLAN, build.BOB)
    assert again(first, second, other, third) == [other, third]
    assert again(first, second, first, other) == [first, other]


@pytest.mark.parametrize(
    "other",
    [build.vote(PLAN, build.BOB), build.vote(PLAN, counter=1), build.vote(PLAN, counter=1 << 29)],
    ids=["account", "counter", "lane"],
)
def test_votes_that_differ_in_what_they_spend_are_all_posted(other: bytes) -> None:
    assert again(build.vote(PLAN), other) == [build.vote(PLAN), other]


def test_a_vote_that_was_replaced_does_not_come_back_when_the_later_one_is_in_a_block_or_has_expired() -> None:
    refused, later = build.vote(PLAN, expiry=(2, 0)), build.vote(PLAN, choice=1, expiry=(1, 4))
    assert again(refused, later, in_blocks=[later], date=(1, 0)) == []
    assert again(refused, later, date=(1, 5)) == []


def test_what_stood_in_lost_blocks_goes_first_and_in_their_order() -> None:
    one, two, three, four = VOTES
    assert again(one, two, three, four, lost=[four, two]) == [four, two, one, three]
    assert again(one, two, three, four, lost=[four, two], in_blocks=[four]) == [two, one, three]
    assert again(one, two, lost=[three, two, two]) == [three, two, one], "also what came to another node"


def test_a_vote_that_the_chain_had_taken_gives_way_to_none() -> None:
    taken, refused, other = build.vote(PLAN), build.vote(PLAN, choice=1), build.vote(PLAN, build.BOB)
    assert again(taken, refused, other, lost=[taken]) == [taken, other]
    assert again(refused, taken, other, lost=[taken]) == [taken, other]
    assert again(taken, refused, taken, refused, lost=[taken]) == [taken], "posted again, it was logged again"


def test_what_was_refused_has_its_turn_when_what_the_chain_had_taken_has_expired() -> None:
    taken, refused = build.vote(PLAN, expiry=(1, 4)), build.vote(PLAN, choice=1, expiry=(2, 0))
    assert again(taken, refused, lost=[taken], date=(1, 4)) == [taken]
    assert again(taken, refused, lost=[taken], date=(1, 5)) == [refused]


def test_what_was_refused_has_its_turn_when_what_the_chain_had_taken_is_refused_itself() -> None:
    """As its voter's say on that proposal came into a block otherwise, and this one is on another."""
    taken, refused = build.vote(PLAN), build.vote(PLAN, proposal=1)
    assert again(taken, refused, lost=[taken], refused=[taken]) == [taken, refused]


def test_what_is_kept_back_still_waits() -> None:
    """It is on record as not counted if it comes to nothing."""
    taken, refused = build.vote(PLAN), build.vote(PLAN, choice=1)
    held = PostAgain()
    held.lost([Fragment.from_bytes(taken)])
    for entry in logged([refused, taken]):
        held.logged(entry, BlockDate(1, 0), set())
    assert [fragment.raw for fragment in held.fragments(BlockDate(1, 0), set())] == [taken]
    assert [entry.fragment.raw for entry in held.waiting()] == [taken, refused]


def test_fragments_that_are_no_votes_of_an_account_replace_none() -> None:
    transactions = [
        build.fragment(FragmentKind.TRANSACTION, build.account_spine(build.ANN, expiry=(1, slot))) for slot in (58, 59)
    ]
    without_account = [build.vote(PLAN, choice=choice, spine=pack(">IIBB", 1, 59, 0, 0)) for choice in range(2)]
    assert again(*transactions, *without_account) == [*transactions, *without_account]


def test_what_is_heard_of_bit_by_bit_is_posted_as_if_it_were_heard_of_at_once() -> None:
    """Whatever was in a block when it was read, or waited then, and whenever its block was lost."""
    one, two, three, four = VOTES
    date = BlockDate(1, 5)
    again = PostAgain()

    def posted(*in_blocks: bytes) -> list[bytes]:
        return [fragment.raw for fragment in again.fragments(date, set(map(fragment_id, in_blocks)))]

    for entry in logged([one, two]):
        again.logged(entry, date, {fragment_id(one)})
    assert posted(one) == [two]
    assert posted(one, two) == []
    again.lost([Fragment.from_bytes(two)])
    assert posted(one) == [two]
    for entry in logged([three]):
        again.logged(entry, date, {fragment_id(one)})
    again.lost([Fragment.from_bytes(raw) for raw in (one, four)])
    assert posted() == [one, four, two, three]
    assert posted(four) == [one, two, three]
    assert again.fragments(BlockDate(9, 0), set()) == []
    assert posted() == [], "what has expired is forgotten"


def test_what_cannot_be_read_of_a_lost_block_holds_up_nothing_else() -> None:
    again = PostAgain()
    unknown = build.fragment(FragmentKind.STAKE_DELEGATION, b"content")
    torn = build.fragment(FragmentKind.VOTE_CAST, b"no vote")
    again.lost([Fragment.from_bytes(raw) for raw in (unknown, torn, VOTES[0])])
    assert [fragment.raw for fragment in again.fragments(BlockDate(0, 0), set())] == VOTES[:1]
