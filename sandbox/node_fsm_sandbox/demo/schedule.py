"""When what happens: the times of two elections, close together but one after the other."""

from datetime import datetime, timedelta

from node_fsm_sandbox.election.schedule import Times

LIMIT = 600.0
"""Seconds after which the demo stops. It takes two minutes, and longer on a machine that has other work too."""

LEAD = 15
VOTING = 36
CHAIN_LEAD = 12
"""Seconds from a chain's start to the first vote.

Leader 0 looks for peers for 5 s before it begins alone, and others that found none try again every 5 s, so that the
last node may be there after 10.
"""

BETWEEN = 20
"""From the end of one vote to the beginning of the next: time to tally, archive and reset, then CHAIN_LEAD."""

TALLYING = 60

OFFSET_MINUTES = -CHAIN_LEAD / 60


def schedule(now: datetime) -> tuple[Times, Times]:
    """The times of two elections that are imported *now*."""
    # Both tallies have to be done by their end, and the first one before the second vote.
    first = Times.of(now + timedelta(seconds=LEAD), voting=VOTING, tallying=BETWEEN)
    return first, Times.of(first.tallying_end, voting=VOTING, tallying=TALLYING)
