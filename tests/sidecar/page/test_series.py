"""What is kept of a chain over time."""

import itertools
from datetime import UTC, datetime, timedelta

from node_fsm.sidecar.page.series import KEPT_SAMPLES, SAMPLE_SECONDS, Series

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
STEP = timedelta(seconds=SAMPLE_SECONDS)


def filled(count: int, *, away: range = range(0)) -> Series:
    """A series of *count* samples; of those *away* nothing was seen."""
    series = Series()
    for number in range(count):
        if number not in away:
            series.add("a", BEGIN + number * STEP, number, 2 * number)
    return series


def test_the_first_and_the_last_stay_and_memory_is_bounded() -> None:
    for count in (1, 2, KEPT_SAMPLES, KEPT_SAMPLES + 1, 3 * KEPT_SAMPLES, 60480):
        samples = filled(count).of("a")
        assert len(samples) <= KEPT_SAMPLES
        assert (samples[0].at, samples[-1].at) == (BEGIN, BEGIN + (count - 1) * STEP)
        assert [sample.at for sample in samples] == sorted({sample.at for sample in samples})
        assert [sample.joined for sample in samples] == [False, *[True] * (len(samples) - 1)]
        assert all(sample.votes == 2 * sample.height for sample in samples)


def test_samples_of_a_week_stand_at_even_distances() -> None:
    samples = filled(60480).of("a")[:-1]
    apart = {later.at - earlier.at for earlier, later in itertools.pairwise(samples)}
    assert max(apart) <= 2 * min(apart)
    assert len(samples) > KEPT_SAMPLES // 2 - 2


def test_a_gap_outlives_any_thinning() -> None:
    for count in (300, 500, 5000, 60480):
        samples = filled(count, away=range(100, 150)).of("a")
        parted = [index for index, sample in enumerate(samples) if not sample.joined]
        assert len(parted) == 2, count
        before, after = samples[parted[1] - 1].at, samples[parted[1]].at
        assert before <= BEGIN + 99 * STEP < BEGIN + 150 * STEP <= after


def test_another_chain_begins_anew() -> None:
    series = filled(20)
    series.add("b", BEGIN + 30 * STEP, 1, None)
    [only] = series.of("b")
    assert (only.height, only.votes, only.joined) == (1, None, False)
    assert series.of("a") == series.of(None) == ()


def test_a_clock_that_is_set_back_takes_no_order_away() -> None:
    series = filled(20)
    series.add("a", BEGIN + 5 * STEP, 99, None)
    assert [sample.height for sample in series.of("a")] == [0, 1, 2, 3, 4, 99]
