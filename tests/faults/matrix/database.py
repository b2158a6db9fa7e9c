"""Faults of the database: away, silent, read-only, and one that does what it does not say."""

import asyncio
from abc import abstractmethod
from typing import ClassVar

from sqlalchemy import make_url

from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase
from tests.faults.matrix.fault import Fault, begins, recovers, stays
from tests.faults.matrix.scene import POLL_SECONDS, Scene
from tests.faults.matrix.table import Cell
from tests.support.polling import HANGING
from tests.support.proxy import FaultyProxy

AWAY = ConditionType.DATABASE_UNAVAILABLE
NOT_WRITTEN = ConditionType.NOT_WRITTEN

ONLY_READING = frozenset({Phase.FETCHING_KEY, Phase.BUILDING_VOTE_PLAN, Phase.RESET})
"""The phases whose work reads the database and writes nothing there."""


class Away(Fault):
    """The database does not answer in one way or another."""

    async def strike(self, scene: Scene, cell: Cell) -> None:
        await self.take_away(scene)
        await begins(scene, cell.phase, AWAY)
        await stays(scene, cell.phase, AWAY)
        await self.bring_back(scene)
        await recovers(scene, AWAY)

    @abstractmethod
    async def take_away(self, scene: Scene) -> None:
        """Begin it."""

    async def bring_back(self, scene: Scene) -> None:
        """End it."""
        scene.database.heal()


class DatabaseDown(Away):
    """Connections are reset, and new ones refused."""

    id = "F01"

    async def take_away(self, scene: Scene) -> None:
        scene.database.refuse()


class DatabaseSilent(Away):
    """Connections stand, and nothing comes back on them."""

    id = "F03"
    seconds: ClassVar[float] = 15.0

    async def take_away(self, scene: Scene) -> None:
        scene.database.blackhole()


class PostgresKilled(Away):
    """kill -9 of all its processes; it is started again, and recovers."""

    id = "F01b"
    own_postgres = True

    async def take_away(self, scene: Scene) -> None:
        await scene.postgres.kill()

    async def bring_back(self, scene: Scene) -> None:
        await scene.postgres.start()


class PostgresStopped(Away):
    """SIGSTOP of all its processes: what was asked is answered later, if anybody still waits for it."""

    id = "F03b"
    seconds: ClassVar[float] = 15.0
    own_postgres = True

    async def take_away(self, scene: Scene) -> None:
        await scene.postgres.pause()

    async def bring_back(self, scene: Scene) -> None:
        await scene.postgres.resume()


class CommitUnanswered(Fault):
    """Each COMMIT is carried out and its answer lost, as when a server fails over in that moment."""

    id = "F02"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        lost = scene.database.answers_lost
        scene.database.lose_answers_to(b"COMMIT")
        await begins(scene, cell.phase)
        await scene.eventually(lambda: scene.database.answers_lost > lost, "a COMMIT is not answered")
        await scene.heartbeat()
        scene.database.heal()
        await recovers(scene, AWAY)


class DatabaseReadOnly(Fault):
    """The server takes no writes, as a standby: phases that only read go on."""

    id = "F04"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        await self._set(scene, "on")
        await begins(scene, cell.phase, NOT_WRITTEN)
        if cell.phase in ONLY_READING:
            await scene.until(lambda state: state.phase is not cell.phase, f"{cell.phase} is done without writing")
        else:
            await stays(scene, cell.phase, NOT_WRITTEN, reason="DatabaseReadOnly")
        await self._set(scene, "off")
        await recovers(scene, NOT_WRITTEN)

    @staticmethod
    async def _set(scene: Scene, value: str) -> None:
        url = make_url(scene.service.settings["NODE_FSM_DATABASE_URL"])
        await scene.sql(
            f"ALTER ROLE {url.username} IN DATABASE {url.database} SET default_transaction_read_only = {value}"
        )
        scene.database.cut()


class NotificationsLost(Fault):
    """The connection that listens is dead, and nobody knows: changes are found by reading."""

    id = "F05"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        async with asyncio.timeout(HANGING):
            while not scene.database.silence(b"LISTEN"):
                await asyncio.sleep(POLL_SECONDS)
        await scene.sql(
            "INSERT INTO election (name, voting_start, voting_end, tallying_end, committee_threshold)"
            " SELECT 'missed', at - interval '3 hours', at - interval '2 hours', at - interval '1 hour', 0"
            " FROM (SELECT date_trunc('second', now()) AS at)"
        )
        await scene.condition(ConditionType.ELECTION_MISSED)
        await scene.sql("DELETE FROM election WHERE name = 'missed'")
        await recovers(scene, ConditionType.ELECTION_MISSED)
        assert (await scene.state()).phase is cell.phase


class FailedOver(Fault):
    """The server that the URL names first is gone, and the second one answers: nothing waits for a person."""

    id = "F02b"

    async def prepare(self, scene: Scene) -> None:
        url = make_url(scene.service.settings["NODE_FSM_DATABASE_URL"])
        assert url.host, "it has one"
        self._second = scene.stack.enter_context(FaultyProxy(scene.postgres.port))
        several = url.set(host=None, port=None).update_query_dict(
            {"host": [f"{url.host}:{port}" for port in (scene.database.port, self._second.port)]}
        )
        scene.service.settings["NODE_FSM_DATABASE_URL"] = several.render_as_string(hide_password=False)

    async def strike(self, scene: Scene, cell: Cell) -> None:
        scene.database.refuse()
        await begins(scene, cell.phase)
        if cell.phase in {Phase.WAITING, Phase.RUNNING}:
            await stays(scene, cell.phase)
        else:
            await scene.until(lambda state: state.phase is not cell.phase, f"{cell.phase} is done on the other server")
        await recovers(scene, AWAY)
        scene.database.heal()
        self._second.cut()  # so that the first one is in use again
