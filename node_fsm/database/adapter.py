"""The Database port on Postgres, put together from its parts."""

from node_fsm.database.archives import Archives
from node_fsm.database.block0 import Block0s
from node_fsm.database.cluster import Reports
from node_fsm.database.lease import Leases
from node_fsm.database.listen import Changes
from node_fsm.database.overview import Overviews
from node_fsm.database.results import Results


class PostgresDatabase(Overviews, Block0s, Results, Archives, Reports, Leases, Changes):
    """node_fsm.ports.Database on one Postgres database.

    Connects when needed, so that it can be made while the database is away; PermanentError when *url* is not one.
    *timed* is given each operation's name and returns a context manager around it. One object is one process to the
    lease.
    """
