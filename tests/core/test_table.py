"""The tables say what the design says, and a table that breaks a rule is refused."""

import pytest

from node_fsm.core.events import Event
from node_fsm.core.phases import BEFORE_PUBLICATION, NODE_MUST_RUN, Phase, Role
from node_fsm.core.table import LEADER0, NODE, TABLES, Transition, check, phases_of

# Written out a second time, in plain words: an accidental edit of the tables or of a spelling fails here.
EXPECTED_LEADER0 = """
Waiting           election_due         FetchingKey
Waiting           results_posted       Archiving
Waiting           leftovers_found      Reset
FetchingKey       key_fetched          BuildingVotePlan
FetchingKey       block0_found         Running
FetchingKey       election_changed     Waiting
BuildingVotePlan  vote_plan_built      GeneratingBlock0
BuildingVotePlan  block0_found         Running
BuildingVotePlan  election_changed     Waiting
GeneratingBlock0  block0_published     Running
GeneratingBlock0  block0_found         Running
GeneratingBlock0  election_changed     Waiting
Running           election_changed     Archiving
Running           voting_ended         Tallying
Tallying          election_changed     Archiving
Tallying          results_posted       Archiving
Tallying          tally_window_closed  Archiving
Archiving         archived             Reset
Reset             local_data_reset     Waiting
"""
EXPECTED_NODE = """
Waiting           block0_posted        FetchingKey
Waiting           leftovers_found      Reset
FetchingKey       key_fetched          Running
FetchingKey       key_not_needed       Running
FetchingKey       election_changed     Waiting
Running           election_changed     Reset
Running           election_closed      Reset
Reset             local_data_reset     Waiting
"""


@pytest.mark.parametrize(("table", "expected"), [(LEADER0, EXPECTED_LEADER0), (NODE, EXPECTED_NODE)])
def test_table_is_the_designed_one(table: tuple[Transition, ...], expected: str) -> None:
    rows = sorted((str(row.source), str(row.event), str(row.target)) for row in table)
    assert rows == sorted(tuple(line.split()) for line in expected.strip().splitlines())


def test_every_row_says_when_in_one_clause() -> None:
    for row in LEADER0 + NODE:
        assert row.when
        assert not row.when.endswith(".")
        assert "|" not in row.when  # it would break the generated page


def test_each_role_has_a_table() -> None:
    assert TABLES == {Role.LEADER0: LEADER0, Role.NODE: NODE}
    assert [str(role) for role in Role] == ["leader0", "node"]


def test_every_event_and_every_phase_is_used() -> None:
    rows = LEADER0 + NODE
    assert {row.event for row in rows} == set(Event)
    assert phases_of(rows) == list(Phase)


def test_phases_of_follow_the_order_of_a_life() -> None:
    assert phases_of(reversed(NODE)) == [Phase.WAITING, Phase.FETCHING_KEY, Phase.RUNNING, Phase.RESET]


def test_phases_are_spelled_and_described() -> None:
    assert [str(phase) for phase in Phase] == [
        *("Waiting", "FetchingKey", "BuildingVotePlan", "GeneratingBlock0"),
        *("Running", "Tallying", "Archiving", "Reset"),
    ]
    assert all(Phase(str(phase)) is phase for phase in Phase)
    assert all(name.description.endswith(".") for name in [*Phase, *Role])


def test_named_sets() -> None:
    assert sorted(NODE_MUST_RUN) == ["Running", "Tallying"]
    assert sorted(BEFORE_PUBLICATION) == ["BuildingVotePlan", "FetchingKey", "GeneratingBlock0"]


def test_block0_is_published_before_the_node_must_run() -> None:
    """Into the phases with a node one comes from before publication by an event that block 0 is there, or is joined."""
    entrances = {row.event for row in LEADER0 if row.target in NODE_MUST_RUN and row.source not in NODE_MUST_RUN}
    assert entrances == {Event.BLOCK0_FOUND, Event.BLOCK0_PUBLISHED}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_second_row_for_a_pair_is_refused(table: tuple[Transition, ...]) -> None:
    for row in table:
        with pytest.raises(ValueError, match=f"two transitions for {row.source} on {row.event}"):
            check([*table, row._replace(target=Phase.WAITING)])


def test_a_phase_that_cannot_be_reached_is_refused() -> None:
    for phase in set(phases_of(LEADER0)) - {Phase.WAITING}:
        without_entrance = [row for row in LEADER0 if row.target is not phase]
        with pytest.raises(ValueError, match="cannot be reached from Waiting"):
            check(without_entrance)


def test_a_dead_end_is_refused() -> None:
    for phase in set(phases_of(LEADER0)) - {Phase.WAITING}:
        without_exit = [row for row in LEADER0 if row.source is not phase]
        with pytest.raises(ValueError, match=r"cannot (reach|be reached from) Waiting"):
            check(without_exit)


def test_a_dead_end_is_refused_even_when_it_loops() -> None:
    loop = Transition(Phase.RESET, Event.ARCHIVED, Phase.ARCHIVING, "")
    with pytest.raises(ValueError, match="cannot reach Waiting"):
        check([*(row for row in LEADER0 if row.source is not Phase.RESET), loop])
