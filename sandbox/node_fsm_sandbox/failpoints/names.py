"""The names of all failpoints, derived from the ports: what is not known to change nothing is an effect.

A name is ``PORT.METHOD:MOMENT``, or ``phase.PHASE:MOMENT`` for a phase's work as a whole.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from node_fsm.core.phases import Phase
from node_fsm.ports import Database, Jcli, Node, NodeApi, ObjectStore
from node_fsm.storage.workspace import Workspace


class Moment(StrEnum):
    """Where a call stands. What follows a ``done`` does not know of it yet; a write to the database is ``recorded``."""

    BEFORE = "before"
    """Nothing has happened."""

    DONE = "done"
    """It has happened, and nothing says so: of a transaction all is written, and the COMMIT not sent."""

    RECORDED = "recorded"
    """The database has it, by an answered COMMIT, and the caller has not heard of it."""


PORTS: Final[Mapping[str, tuple[type, ...]]] = {
    "database": (Database,),
    "store": (ObjectStore,),
    "jcli": (Jcli,),
    "node": (Node, NodeApi),
    "workspace": (Workspace,),
}
"""What a service reaches the outside by, its own directory included."""

NO_EFFECT: Final[Mapping[str, frozenset[str]]] = {
    "database": frozenset({
        "archive", "archived_blocks", "chain_copies", "counted_votes", "decrypted", "disputed", "drift", "funds",
        "handed_over", "listen", "neighbours", "overview", "publication", "results", "shares", "specification",
        "tally_confirmed", "tally_snapshots", "tokens", "uncounted", "vote_plans",
    }),
    "store": frozenset({"download", "read", "uris"}),
    "jcli": frozenset({
        "decryption_shares", "election_key", "genesis_hash", "member_public_key", "private_tally_certificate",
        "public_key", "public_tally_certificate", "version", "vote_plan_id",
    }),
    "node": frozenset({
        "account", "api", "block", "check_ports", "fragment_statuses", "next_ids", "overtaken", "ready", "state",
        "version", "vote_plans",
    }),
    "workspace": frozenset({
        "chain", "chains", "decryption_speed", "draft", "exclusively", "instance", "set_aside_chains",
    }),
}  # fmt: skip
"""What only reads, answers, or says something that is kept in memory. A service that begins has the lock already."""

ON_THE_DISK: Final = frozenset({"database.download_block0"})
"""What the database is only read for: the effect is a file."""

ENDLESS: Final = frozenset({Phase.WAITING, Phase.RUNNING})
"""The phases whose work never ends by itself."""

RECORDED_BY: Final[Mapping[str, str]] = {
    "jcli.new_vote_plan": "database.publish_block0",
    "jcli.sign_certificate": "database.publish_block0",
    "jcli.genesis_encode": "database.publish_block0",
    "jcli.transaction": "database.post_results",
    "jcli.merge_shares": "database.save_decrypted",
    "jcli.decrypt_results": "database.save_decrypted",
    "store.write_once": "database.save_archive",
    "store.upload": "database.save_archive",
    "store.end_uploads": "database.save_archive",
    "node.post_fragment": "database.post_results",
    "node.post_fragments": "database.resolve_handover",
    "node.save_records": "database.save_tally_snapshot",
    "node.require": "database.report_status",
    "node.restart": "database.report_status",
    "node.stop": "database.report_status",
    "workspace.new_draft": "database.publish_block0",
    "workspace.adopt_draft": "database.report_status",
    "workspace.remove": "database.journal",
    "workspace.set_aside": "database.journal",
    "workspace.remove_set_aside": "database.journal",
    "database.download_block0": "database.report_status",
} | {f"phase.{phase}": "database.journal" for phase in Phase if phase not in ENDLESS}
"""The write to the database that says of an effect elsewhere that it has happened, or that rests on it."""


def members(port: str) -> frozenset[str]:
    """The public methods and properties of a port."""
    return frozenset(name for part in PORTS[port] for name in dir(part) if not name.startswith("_"))


def effects() -> tuple[str, ...]:
    """``PORT.METHOD`` of everything that changes something outside, then ``phase.PHASE``."""
    calls = [f"{port}.{method}" for port in PORTS for method in sorted(members(port) - NO_EFFECT[port])]
    return (*calls, *(f"phase.{phase}" for phase in Phase))


def is_transaction(effect: str) -> bool:
    """Whether the effect is a transaction, which is its own record."""
    return effect.startswith("database.") and effect not in ON_THE_DISK


def moments(effect: str) -> tuple[Moment, ...]:
    """The moments that there are of an effect."""
    port, _, name = effect.partition(".")
    return (Moment.BEFORE,) if port == "phase" and name in ENDLESS else tuple(Moment)


def place(effect: str, moment: Moment) -> str:
    """The name of a failpoint; that an effect elsewhere is recorded is the moment of the write that does it."""
    if moment is Moment.RECORDED:
        effect = RECORDED_BY.get(effect, effect)
    return f"{effect}:{moment}"


def failpoints() -> tuple[str, ...]:
    """All names, each place once."""
    return tuple(dict.fromkeys(place(effect, moment) for effect in effects() for moment in moments(effect)))
