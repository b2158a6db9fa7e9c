"""Rows edited, deleted, inserted and made junk by SQL, past all that the service and its commands check."""

import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import ClassVar

from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase
from node_fsm.sidecar.answers import State
from tests.faults.matrix.ending import Ending
from tests.faults.matrix.fault import Fault, begins, recovers, stays
from tests.faults.matrix.scene import Scene
from tests.faults.matrix.table import Cell, Promise

FAILING = ConditionType.WORK_FAILING
EARLY = frozenset({Phase.FETCHING_KEY, Phase.BUILDING_VOTE_PLAN, Phase.GENERATING_BLOCK0})
"""The phases in which an edit has the work start over."""

LATER = "UPDATE election SET voting_end = voting_end + interval '5 s', tallying_end = tallying_end + interval '5 s'"
SOONER = "UPDATE election SET voting_end = voting_end - interval '5 s', tallying_end = tallying_end - interval '5 s'"


@asynccontextmanager
async def starting_over(scene: Scene) -> AsyncIterator[None]:
    """What is done in the block has the work on the election start over."""
    count = "SELECT count(*) FROM phase_journal WHERE event = 'election_changed'"
    before = await scene.sql(count)
    yield
    await scene.until_sql(f"SELECT ({count}) > {before}")


class TimesMoved(Fault):
    """The end of voting is moved: an election that is not published begins anew with it."""

    id = "F23"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        if cell.phase is Phase.WAITING:
            await scene.post_election(lead=30)
            await scene.until(lambda state: state.next_deadline is not None, "the election is seen")
            await scene.sql("UPDATE election SET voting_start = voting_start - interval '22 s'")
            return
        async with starting_over(scene):
            await scene.sql(LATER)


class EditedWithHotReload(Fault):
    """In hot-reload mode an edit ends a chain that runs: another begins, the first is archived with its votes."""

    id = "F23r"
    settings: ClassVar[dict[str, str]] = {"NODE_FSM_HOT_RELOAD": "true"}
    alone = frozenset({Phase.RUNNING})
    seconds: ClassVar[float] = 30.0

    async def strike(self, scene: Scene, cell: Cell) -> None:
        await scene.vote(1)
        given_up = (await scene.state()).block0_hash
        await scene.sql(LATER)
        await scene.until(
            lambda state: state.phase is Phase.RUNNING and state.block0_hash not in {None, given_up}, "another runs"
        )
        assert scene.election, "there is one"
        scene.ballots = list(scene.election.ballots)  # the first vote was on the other chain

    def ending(self, scene: Scene, cells: Collection[Cell]) -> Ending:
        facts = {"block0_written": 2, "results_written": 1, "archive_written": 2}
        return replace(Ending.undisturbed(scene), archives=("final", "superseded"), facts=facts)


class EditedTooLate(Fault):
    """The end of voting is moved once the chain has it: the chain is the truth, and the edit is told of."""

    id = "F23b"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        await scene.sql(LATER)
        if cell.phase is Phase.RUNNING:
            await stays(scene, cell.phase, ConditionType.SPEC_DRIFT, reason="HotReloadOff")
        else:
            await begins(scene, cell.phase)
            await scene.until(lambda state: state.phase is not cell.phase, f"{cell.phase} is done")
        await scene.sql(SOONER)
        await recovers(scene, ConditionType.SPEC_DRIFT)


class RowDeleted(Fault):
    """The election's row is gone, against all foreign keys, and comes back."""

    id = "F24"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        if cell.phase is Phase.WAITING:
            await scene.post_election(lead=30)
            await scene.until(lambda state: state.next_deadline is not None, "the election is seen")
        await scene.sql("CREATE TABLE kept AS SELECT * FROM election")
        deleted = "SET session_replication_role = replica; DELETE FROM election"
        if cell.phase in EARLY:
            async with starting_over(scene):
                await scene.sql(deleted)
        else:
            await scene.sql(deleted)
        if cell.phase is Phase.WAITING:
            await scene.until(lambda state: state.next_deadline is None, "the election is gone")
        if cell.phase is Phase.RUNNING and cell.promise is Promise.STOPPED:
            await scene.reach(Phase.WAITING)
        elif cell.phase is Phase.RUNNING:
            await stays(scene, cell.phase)
        else:
            scene.let_go(cell.phase)
            await scene.heartbeat()
        columns = "id, name, description, voting_start, voting_end, tallying_end, committee_threshold,"
        columns += " voting_power_unit, cancelled_at, extras"
        await scene.sql(
            f"SET session_replication_role = replica; INSERT INTO election ({columns}) SELECT {columns} FROM kept;"
            " DROP TABLE kept"
        )
        await scene.sql("UPDATE election SET name = name")  # what a person does by the ordinary way is noticed
        if cell.promise is Promise.STOPPED and cell.phase is Phase.RUNNING:
            await scene.reach(cell.phase)


class RowInvalid(Fault):
    """No block 0 can be made of the row any more, until a person mends it."""

    id = "F28"
    alone = EARLY

    async def strike(self, scene: Scene, cell: Cell) -> None:
        junk, sound = (f"UPDATE election SET voting_power_unit = {unit}" for unit in (10**9, 1))
        if cell.phase is Phase.WAITING:
            await scene.post_election(lead=LEAD)
            await scene.sql(junk)
            await stays(scene, cell.phase, ConditionType.ELECTION_INVALID)
        elif cell.phase in EARLY:
            async with starting_over(scene):
                await scene.sql(junk)
            await scene.until(_is_told, "it is told of")
        elif cell.phase is Phase.RUNNING:
            await scene.sql(junk)
            await stays(scene, cell.phase, ConditionType.SPEC_DRIFT)
        else:
            await scene.sql(junk)
            await begins(scene, cell.phase)
            await scene.until(lambda state: state.phase is not cell.phase, f"{cell.phase} is done")
        await scene.sql(sound)
        await recovers(scene, ConditionType.ELECTION_INVALID, ConditionType.SPEC_DRIFT, FAILING)


class OwnRowDeleted(Fault):
    """jorm_nodes has no row of this host any more, until a person adds it."""

    id = "F34"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        await scene.sql("CREATE TABLE kept AS SELECT * FROM jorm_nodes")
        await scene.sql("DELETE FROM jorm_nodes")
        if cell.phase is Phase.FETCHING_KEY:
            await begins(scene, cell.phase)
            await scene.condition(FAILING, "NodeUnknown")
            state = await scene.state()  # by a reading of before it may have found its row there, and fails in the next
            assert state.phase in EARLY
            await stays(scene, state.phase, FAILING, reason="NodeUnknown")
        elif cell.phase is Phase.WAITING:
            await stays(scene, cell.phase, ConditionType.KEY_UNUSABLE, reason="NodeUnknown")
        else:
            await stays(scene, cell.phase)
        await scene.sql("INSERT INTO jorm_nodes SELECT * FROM kept; DROP TABLE kept")
        await recovers(scene, FAILING, ConditionType.KEY_UNUSABLE)


class Block0Junk(Fault):
    """The row has something in block 0's place that none is."""

    id = "F26"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        if cell.phase is Phase.WAITING:
            await scene.post_election(lead=LEAD)
        await scene.sql("CREATE TABLE kept AS SELECT id, extras FROM election")
        about = {"hash": "ab" * 32, "size": 3, "fingerprint": "1:a", "generation": 1, "data": "AAAA"}
        await scene.sql("UPDATE election SET extras = $1::text::jsonb", json.dumps({"block0": about}))
        if cell.phase in EARLY | {Phase.WAITING}:
            await scene.condition(ConditionType.ROW_UNREADABLE)
        else:
            await stays(scene, cell.phase)
        await scene.sql("UPDATE election SET extras = kept.extras FROM kept WHERE kept.id = election.id")
        await scene.sql("DROP TABLE kept")
        await recovers(scene, ConditionType.ROW_UNREADABLE, ConditionType.BLOCK0_CONFLICT)


class EarlierInserted(Fault):
    """Another election is inserted that begins before the one in work, and cancelled after a while."""

    id = "F25"
    passes = 9  # the other one must not come past where the next cell waits, nor be published

    async def strike(self, scene: Scene, cell: Cell) -> None:
        if cell.phase is Phase.WAITING:
            await scene.post_election(lead=LEAD)
            await scene.until(lambda state: state.next_deadline is not None, "the election is seen")
        name = f"earlier-{cell.phase}"
        if cell.phase in EARLY:
            async with starting_over(scene):
                await self._insert(scene, name)
            await scene.until(lambda state: state.election == name, "it is taken up")
            async with starting_over(scene):
                await self._cancel(scene, name)
            await recovers(scene, ConditionType.OVERLAP)  # while it is held there it may be late for that
        else:
            await self._insert(scene, name)
            await stays(scene, cell.phase)
            await self._cancel(scene, name)
            await recovers(scene, ConditionType.OVERLAP, ConditionType.ELECTION_LATE, ConditionType.ELECTION_MISSED)

    @staticmethod
    async def _insert(scene: Scene, name: str) -> None:
        await scene.post_another(name)
        await scene.sql(
            "UPDATE election SET voting_start = first.voting_start - interval '1 s', voting_end = first.voting_end,"
            " tallying_end = first.tallying_end FROM election AS first"
            f" WHERE first.name = 'first' AND election.name = '{name}'"
        )

    @staticmethod
    async def _cancel(scene: Scene, name: str) -> None:
        await scene.sql(f"UPDATE election SET cancelled_at = now() WHERE name = '{name}'")


def _is_told(state: State) -> bool:
    return any(held.type in {ConditionType.ELECTION_INVALID, FAILING} for held in state.conditions)


LEAD = 25
"""Seconds to the start of voting, in which an election that is posted is not due yet."""
