"""What a service needs of the database: that it answers, has the schema, the rights, and tells of changes."""

from node_fsm.core.chain_time import utc_now
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import Overview
from node_fsm.core.phases import Role
from node_fsm.database.inspection import (
    OLDEST_SERVER,
    Server,
    inspect_server,
    newest_revision,
    schema_problem,
    voters_to_come,
)
from node_fsm.database.listen import notifications_arrive
from node_fsm.database.overview import Overviews
from node_fsm.database.privileges import missing_privileges
from node_fsm.database.session import Session
from node_fsm.engine.look import clock_problem
from node_fsm.preparation.finding import Doubt, NotTriedError

_HEARD_SECONDS = 5.0


class DatabaseChecks:
    """Checks of the database; those after the first need it to answer, those after the second its schema."""

    def __init__(self, session: Session, role: Role) -> None:
        self._session = session
        self._role = role
        self._server: Server | None = None
        self._has_schema = False
        self.overview: Overview | None = None

    async def reachable(self) -> str:
        """Whether it answers, is new enough, and takes writes."""
        server = self._server = await inspect_server(self._session)
        if server.version < OLDEST_SERVER:
            raise PermanentError(
                "DatabaseTooOld",
                f"it is Postgres {server.version}; use {OLDEST_SERVER} or newer, which the schema needs",
            )
        if server.is_read_only:
            raise PermanentError(
                "DatabaseReadOnly",
                f"{server.database} takes no writes: it is a standby, or default_transaction_read_only is on; name the"
                " primary in NODE_FSM_DATABASE_URL",
            )
        return f"Postgres {server.version}, database {server.database}, as {server.login}"

    async def schema(self) -> str:
        """Whether its tables are those of this version."""
        server = self._answering()
        if server.schema is None:
            raise PermanentError(
                "DatabaseRefused",
                f"{server.login} may use no schema; `GRANT USAGE ON SCHEMA public TO {server.login}` by the owner",
            )
        if problem := await schema_problem(self._session):
            raise PermanentError("DatabaseSchemaOutdated", problem)
        self._has_schema = True
        return f"revision {newest_revision()}"

    async def privileges(self) -> str:
        """Whether the login may do all that its role does."""
        self.with_schema()
        if missing := await missing_privileges(self._session, self._role):
            rights = "; ".join(f"GRANT {right} TO {self._answering().login}" for right in missing)
            raise PermanentError("DatabaseRefused", f"rights are missing, which the tables' owner gives: {rights}")
        return f"all that {self._role} needs"

    async def notifications(self) -> str:
        """Whether changes are told at once."""
        self._answering()
        await notifications_arrive(self._session, _HEARD_SECONDS)
        return "NOTIFY arrives"

    async def clock(self) -> str:
        """Whether this machine's clock and the server's are the same."""
        self._answering()
        before = utc_now()
        server = await inspect_server(self._session)
        now = utc_now()
        if problem := clock_problem(now, server.time, (now - before).total_seconds()):
            raise PermanentError(*problem)
        return f"within a second of the database's ({abs((now - server.time).total_seconds()):.2f} s)"

    async def rows(self) -> str | Doubt:
        """Whether the rows of elections can be read."""
        self.with_schema()
        overview = self.overview = await Overviews(self._session, specifications=None).overview([])
        if overview.unreadable:
            raise PermanentError("RowUnreadable", "; ".join(row.why for row in overview.unreadable))
        if overview.missed:
            names = ", ".join(election.name for election in overview.missed)
            return Doubt(
                f"voting ended without a block 0 for: {names}; move the times with `node-fsm election import"
                " --replace`, or end them with `node-fsm election cancel`"
            )
        return f"{len(overview.elections)} elections that are not over, {len(overview.nodes)} nodes"

    async def voters(self) -> int:
        """Those of the largest election to come; 0 when that is not known."""
        return await voters_to_come(self._session) if self._has_schema else 0

    def _answering(self) -> Server:
        if self._server is None:
            raise NotTriedError("the database is not reached")
        return self._server

    def with_schema(self) -> None:
        """Raises NotTriedError while its tables are not those of this version."""
        self._answering()
        if not self._has_schema:
            raise NotTriedError("the schema is not that of this version")
