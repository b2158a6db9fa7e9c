"""The eight phases of an election, one state class each."""

from node_fsm.core.phases import Role
from states.archiving import Archiving
from states.base import PhaseState
from states.building_vote_plan import BuildingVotePlan
from states.fetching_key import FetchingKey
from states.generating_block0 import GeneratingBlock0
from states.reset import Reset
from states.running import Running
from states.tallying import Tallying
from states.waiting import Waiting

_CLASSES: dict[Role, tuple[type[PhaseState], ...]] = {
    Role.LEADER0: (
        Waiting,
        FetchingKey,
        BuildingVotePlan,
        GeneratingBlock0,
        Running,
        Tallying,
        Archiving,
        Reset,
    ),
    Role.NODE: (Waiting, FetchingKey, Running, Reset),
}


def states_of(role: Role) -> list[PhaseState]:
    """One state object for each phase of *role*'s table."""
    return [state() for state in _CLASSES[role]]
