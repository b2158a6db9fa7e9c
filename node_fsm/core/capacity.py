"""How many votes a chain takes without losing one.

A node whose block is not done when the next slot begins builds the next one on the old tip and rejects its own, but
has taken the votes of both out of its mempool, where nothing finds them again. Measured on two busy cores with votes of
161 bytes: blocks of 4 s took 12,000 votes and lost 16,000 of 40,000; blocks of 1 s lost 6,000 of 20,000; three leaders
lost none of 20,000 with at most 4,000 votes in blocks of 4 s. So what may wait grows with the slot, and stays well
below that.
"""

VOTES_A_SECOND = 1_000
"""Votes for each second of a slot that a block is made of, and passed on, before the slot is over."""

VOTE_BYTES = 161
"""A public vote as it stands in a block; a private one is several times as large, and as much more work."""


def mempool_entries(slot_duration: int) -> int:
    """How many votes may wait for a block: whatever comes beyond that is refused to its sender, who posts it later."""
    return VOTES_A_SECOND * slot_duration


def fitting_block_size(slot_duration: int) -> int:
    """The most bytes of votes that a block can be made of within its slot."""
    return mempool_entries(slot_duration) * VOTE_BYTES
