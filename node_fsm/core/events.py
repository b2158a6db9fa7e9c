"""The events that move a node from one phase to the next.

Signals ("look again") are not events: only :func:`node_fsm.core.decide.decide` and the phases' ``run``
give events, and only the engine acts on them.
"""

from enum import StrEnum


class Event(StrEnum):
    """Why a phase ends."""

    ELECTION_DUE = "election_due"
    BLOCK0_POSTED = "block0_posted"
    LEFTOVERS_FOUND = "leftovers_found"
    KEY_FETCHED = "key_fetched"
    KEY_NOT_NEEDED = "key_not_needed"
    VOTE_PLAN_BUILT = "vote_plan_built"
    BLOCK0_FOUND = "block0_found"
    BLOCK0_PUBLISHED = "block0_published"
    ELECTION_CHANGED = "election_changed"
    ELECTION_CLOSED = "election_closed"
    VOTING_ENDED = "voting_ended"
    RESULTS_POSTED = "results_posted"
    TALLY_WINDOW_CLOSED = "tally_window_closed"
    ARCHIVED = "archived"
    LOCAL_DATA_RESET = "local_data_reset"


class Fact(StrEnum):
    """What the journal tells beside transitions: what was done to the database, written together with it."""

    ELECTION_MISSED = "election_missed"
    BLOCK0_WRITTEN = "block0_written"
    BLOCK0_RESTORED = "block0_restored"
    BLOCK0_WITHDRAWN = "block0_withdrawn"
    RESULTS_WRITTEN = "results_written"
    ARCHIVE_WRITTEN = "archive_written"
