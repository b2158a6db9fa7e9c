"""Block dates and the wall clock: exact in both directions, on any grid."""

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_fsm.core.chain_time import BlockDate, ChainClock, ChainDates, chain_start, utc_now
from tests.core import worlds

TIMES = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the timezone itself
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)
SLOT_DURATIONS = st.integers(min_value=1, max_value=255)
CLOCKS = st.builds(ChainClock, TIMES, SLOT_DURATIONS, st.integers(min_value=1, max_value=100_000))
SPANS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400))


@given(clock=CLOCKS, span=SPANS)
def test_a_time_falls_into_the_slot_that_its_date_names(clock: ChainClock, span: timedelta) -> None:
    time = clock.start + span
    begin = clock.time_at(clock.date_at(time))
    assert begin <= time < begin + timedelta(seconds=clock.slot_duration)
    assert clock.is_on_grid(begin)
    assert clock.is_on_grid(time) == (time == begin)


@given(clock=CLOCKS, epoch=st.integers(min_value=0, max_value=1000), data=st.data())
def test_a_date_comes_back_from_its_time(clock: ChainClock, epoch: int, data: st.DataObject) -> None:
    date = BlockDate(epoch, data.draw(st.integers(min_value=0, max_value=clock.slots_per_epoch - 1)))
    assert clock.date_at(clock.time_at(date)) == date


@given(clock=CLOCKS, one=SPANS, other=SPANS)
def test_dates_are_ordered_as_the_times_are(clock: ChainClock, one: timedelta, other: timedelta) -> None:
    earlier, later = sorted((clock.start + one, clock.start + other))
    assert clock.date_at(earlier) <= clock.date_at(later)


@given(clock=CLOCKS, span=st.timedeltas(min_value=worlds.INSTANT, max_value=timedelta(days=400)))
def test_before_its_start_a_chain_has_no_dates(clock: ChainClock, span: timedelta) -> None:
    with pytest.raises(ValueError, match="is before the chain's start"):
        clock.date_at(clock.start - span)


def test_times_of_any_timezone_are_understood() -> None:
    clock = ChainClock(datetime(2030, 1, 1, tzinfo=UTC), slot_duration=4, slots_per_epoch=900)
    time = datetime(2030, 1, 1, 3, 30, 5, tzinfo=timezone(timedelta(hours=2)))
    assert clock.date_at(time) == BlockDate(1, 451)


@given(date=st.builds(BlockDate, st.integers(min_value=0), st.integers(min_value=0)))
def test_a_date_comes_back_from_its_text(date: BlockDate) -> None:
    assert BlockDate.parse(str(date)) == date


@pytest.mark.parametrize(
    "text", ["", ".", "1", "1.", ".1", "1.2.3", "1,2", "-1.2", "+1.2", " 1.2", "1.2\n", "1_0.2", "٣.4", "3.٤"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a block date of the form epoch\.slot"):
        BlockDate.parse(text)


@given(
    start=TIMES,
    offset=st.decimals(min_value=-20_000, max_value=0, places=4),
    slot_duration=SLOT_DURATIONS,
)
def test_the_offset_is_rounded_up_to_whole_slots(start: datetime, offset: object, slot_duration: int) -> None:
    lead = start - chain_start(start, float(str(offset)), slot_duration)
    seconds = Fraction(lead // timedelta(microseconds=1), 1_000_000)
    wanted = -Fraction(str(offset)) * 60
    assert seconds % slot_duration == 0
    assert wanted <= seconds < wanted + slot_duration


@pytest.mark.parametrize(
    ("offset_minutes", "slot_duration", "seconds"),
    [
        (0, 20, 0),
        (-60, 4, 3600),
        (-60, 7, 3605),
        (-0.5, 20, 40),
        (-0.001, 1, 1),
        (-16.1, 1, 966),  # 16.1 * 60 is a little more than 966 in floating point
        (-1e-07, 4, 4),
    ],
)
def test_the_start_of_a_chain(offset_minutes: float, slot_duration: int, seconds: int) -> None:
    expected = worlds.VOTING_START - timedelta(seconds=seconds)
    assert chain_start(worlds.VOTING_START, offset_minutes, slot_duration) == expected


@given(clock=CLOCKS, epoch=st.integers(min_value=0, max_value=1000), slot=st.integers(min_value=0, max_value=99_999))
def test_a_transaction_lives_through_the_next_epoch(clock: ChainClock, epoch: int, slot: int) -> None:
    """Whatever the tip's slot, it has one whole epoch to come into a block, and expires one epoch ahead."""
    tip = BlockDate(epoch, slot % clock.slots_per_epoch)
    expiry = clock.expiry(tip)
    assert expiry.epoch - tip.epoch == 1
    assert clock.time_at(expiry) - clock.time_at(BlockDate(epoch + 1, 0)) == timedelta(
        seconds=clock.slot_duration * (clock.slots_per_epoch - 1)
    )


def test_the_times_of_a_chains_dates() -> None:
    dates: ChainDates = worlds.DATES
    assert dates.vote_start_time == worlds.VOTING_START
    assert dates.vote_end_time == worlds.VOTING_END
    assert dates.committee_end_time == worlds.TALLYING_END


def test_the_wall_clock_knows_its_timezone() -> None:
    assert utc_now().utcoffset() == timedelta(0)
