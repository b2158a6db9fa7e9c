"""What the phases need of the outside world, as Protocols: database, S3, jcli, node and clock.

Adapters raise :class:`~node_fsm.core.errors.TemporaryError` when the outside did not answer and
:class:`~node_fsm.core.errors.PermanentError` when a person must mend something. A method whose effect is in doubt
may be called again: each is idempotent, or refuses with what stands there already.
"""

from node_fsm.ports.clock import Clock, MachineClock
from node_fsm.ports.database import Database
from node_fsm.ports.jcli import Jcli
from node_fsm.ports.node import ChainRun, Node, NodeApi, NodeStatus, Problem, ProcessPhase
from node_fsm.ports.store import ObjectStore

__all__ = [
    "ChainRun",
    "Clock",
    "Database",
    "Jcli",
    "MachineClock",
    "Node",
    "NodeApi",
    "NodeStatus",
    "ObjectStore",
    "Problem",
    "ProcessPhase",
]
