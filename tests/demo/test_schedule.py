"""The times of the two elections."""

from datetime import timedelta

from node_fsm_sandbox.demo.schedule import BETWEEN, CHAIN_LEAD, LEAD, LIMIT, OFFSET_MINUTES, VOTING, schedule
from node_fsm_sandbox.election.importing import SLOT_DURATION

from node_fsm.core.chain_time import ChainClock, chain_start
from tests.support.drawn import NOW


def test_times_are_whole_seconds_on_the_chains_grid() -> None:
    for times in schedule(NOW):
        clock = ChainClock(chain_start(times.voting_start, OFFSET_MINUTES, SLOT_DURATION), SLOT_DURATION, 900)
        assert times.voting_start - clock.start == timedelta(seconds=CHAIN_LEAD)
        assert all(map(clock.is_on_grid, (times.voting_start, times.voting_end, times.tallying_end)))


def test_voting_begins_within_seconds_and_the_chain_before_it() -> None:
    first, _ = schedule(NOW)
    assert timedelta(seconds=LEAD - 1) <= first.voting_start - NOW <= timedelta(seconds=LEAD)
    assert CHAIN_LEAD < LEAD


def test_the_elections_do_not_overlap() -> None:
    first, second = schedule(NOW)
    assert first.voting_start < first.voting_end < first.tallying_end <= second.voting_start
    assert second.voting_start < second.voting_end < second.tallying_end


def test_all_of_it_leaves_time_to_start_and_to_check() -> None:
    assert LEAD + VOTING + BETWEEN + VOTING <= 120 < LIMIT
