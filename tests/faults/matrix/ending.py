"""How an election ended, as an observer finds it: the same whatever happened on the way."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from node_fsm.archive.verify import verify_uri
from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase
from node_fsm.sidecar.answers import State
from tests.faults.left_on_disk import left_on_disk
from tests.faults.matrix.scene import Scene

_ONCE = ("block0_written", "results_written", "archive_written")


@dataclass(frozen=True, slots=True)
class Ending:
    """What is left: *facts* by how often the database was told of each, *left* on the machine's disk."""

    results: dict[str, list[int]]
    on_chain: bool
    archives: tuple[str, ...]
    doubts: tuple[str, ...]
    facts: dict[str, int]
    left: tuple[str, ...]

    @classmethod
    def undisturbed(cls, scene: Scene) -> "Ending":
        """How the election of *scene* must end."""
        assert scene.election, "there was one"
        return cls(
            results=scene.election.expected(),
            on_chain=True,
            archives=("final",),
            doubts=(),
            facts=dict.fromkeys(_ONCE, 1),
            left=(),
        )

    @classmethod
    async def of(cls, scene: Scene, remains: Collection[ConditionType] = ()) -> "Ending":
        """How it ended, once the service waits for the next election, and complains at most of what *remains*."""
        await scene.until(lambda state: is_over(state, remains), "the election is over and nothing is wrong")
        async with scene.session.transaction("test", snapshot=True) as connection:

            async def rows(query: str) -> list[tuple[object, ...]]:
                return [tuple(row) for row in await connection.exec_driver_sql(query)]

            votes = await rows(
                "SELECT encode(external_id, 'hex'), votes FROM tally_result ORDER BY vote_plan, proposal_index, option"
            )
            on_chain = await rows("SELECT coalesce(bool_and(on_chain), false) FROM tally")
            archives = await rows("SELECT kind::text, uri FROM archive ORDER BY 1")
            events = await rows("SELECT event FROM phase_journal")
        results: dict[str, list[int]] = {}
        for question, count in votes:
            results.setdefault(str(question), []).append(int(str(count)))
        doubts = [
            f"{check.name}: {check.detail}"
            for _, uri in archives
            async for check in verify_uri(scene.store, str(uri), scene.directory)
            if not check.ok
        ]
        counted = Counter(str(event) for (event,) in events)
        return cls(
            results=results,
            on_chain=bool(on_chain[0][0]),
            archives=tuple(str(kind) for kind, _ in archives),
            doubts=tuple(doubts),
            facts={fact: counted[fact] for fact in _ONCE},
            left=left_on_disk(scene.storage),
        )


def is_over(state: State, remains: Collection[ConditionType] = ()) -> bool:
    """Whether a service waits for the next election, and complains of nothing else than stand-ins and *remains*."""
    types = {held.type for held in state.conditions}
    return state.phase is Phase.WAITING and state.election is None and types <= {ConditionType.SANDBOX, *remains}
