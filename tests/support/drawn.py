"""An election as it is drawn, with a time of its own."""

from datetime import UTC, datetime, timedelta
from random import Random

from node_fsm_sandbox.election.draw import DrawnElection, draw_election, draw_voters
from node_fsm_sandbox.election.schedule import Times

NOW = datetime(2030, 1, 31, 12, 0, 0, 400_000, tzinfo=UTC)
VOTERS = 24


def drawn(name: str = "first", seed: int = 1) -> DrawnElection:
    """An election, the same for the same seed but for the keys."""
    random = Random(seed)
    times = Times.of(NOW + timedelta(seconds=15), voting=30, tallying=20)
    return draw_election(name, times, draw_voters(random, VOTERS), random)
