"""What the exit of a node means: its exit codes, and what is to be done about each."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from node_fsm.programs.leash import NOT_STARTED

_REASON_LINES = 5
_SIGNALS = 128


class Remedy(Enum):
    """What may help after an exit."""

    RESTART = "restart"
    """Another start may succeed: the network, the clock, another process, a crash."""

    REPAIR = "repair"
    """A person must mend something first; starts are repeated slowly."""

    SET_ASIDE = "set aside"
    """The storage is damaged; it is set aside, and the chain fetched again, by who knows that a peer has it."""


@dataclass(frozen=True, slots=True)
class Exit:
    """An exit explained: *reason* is one CamelCase word, *message* is for a person."""

    remedy: Remedy
    reason: str
    message: str


_MEANINGS = {
    2: (Remedy.REPAIR, "NodeConfigRefused", "it refuses its configuration; check NODE_FSM_NODE_* and p2p addresses"),
    3: (Remedy.REPAIR, "NodeFilesUnusable", "it cannot use its files; check NODE_FSM_STORAGE_DIR and its disk"),
    4: (Remedy.REPAIR, "Block0Unreadable", "block 0 is damaged; it must be published again"),
    5: (Remedy.SET_ASIDE, "StorageDamaged", "its storage is damaged"),
    6: (Remedy.SET_ASIDE, "StorageDamaged", "its storage does not hold a valid chain"),
    7: (Remedy.REPAIR, "Block0Mismatch", "block 0 does not have the published hash; it must be published again"),
    8: (
        Remedy.REPAIR,
        "SigningKeyRefused",
        "it refuses the signing key; check the object at NODE_FSM_SIGNING_KEY_S3_URI",
    ),
    9: (Remedy.RESTART, "Block0NotFound", "no peer gave it block 0"),
    10: (Remedy.RESTART, "NodeWithoutPeers", "it found no trusted peer; check p2p_address in jorm_nodes"),
    12: (Remedy.RESTART, "NodePanicked", "one of its services died"),
    13: (Remedy.REPAIR, "SystemLimits", "it cannot read the limits of the system"),
    NOT_STARTED: (Remedy.REPAIR, "NodeNotExecutable", "set NODE_FSM_JORM_PATH to the path of the executable"),
}
_SAYINGS = {
    "Too many open files": (Remedy.RESTART, "DescriptorsExhausted", "raise its limit of open files (`ulimit -n`)"),
    "Resource temporarily unavailable": (Remedy.RESTART, "ProcessesExhausted", "raise the limit of processes"),
    "Cannot allocate memory": (Remedy.RESTART, "MemoryExhausted", "there is no memory for it"),
    "could not acquire lock": (Remedy.RESTART, "StorageLocked", "another process uses its storage"),
    "No space left on device": (Remedy.REPAIR, "DiskFull", "its disk is full; make room for NODE_FSM_STORAGE_DIR"),
}
"""What tells more than the code: a storage that cannot be opened or written to is not a damaged one, and what
the system lacks is no missing executable. The last one that fits counts."""


def explain(code: int, stderr: Sequence[str]) -> Exit:
    """Explain exit *code* (128 + n for signal n) of a node that was not asked to stop.

    *stderr* are the last lines that it printed there; the first of them go into the message.
    """
    said = " ".join(line.strip() for line in stderr[:_REASON_LINES])
    remedy, reason, meaning = _MEANINGS.get(code, (Remedy.RESTART, "NodeExited", "it ended unasked"))
    for saying, told in _SAYINGS.items():
        if saying in " ".join(stderr):
            remedy, reason, meaning = told
    if code > _SIGNALS and code not in _MEANINGS:
        reason, meaning = "NodeKilled", f"signal {code - _SIGNALS} killed it"
    return Exit(remedy, reason, f"the node ended with code {code}: {meaning}" + (f" ({said})" if said else ""))
