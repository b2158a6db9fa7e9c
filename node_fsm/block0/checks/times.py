"""Whether a chain can keep the times of an election."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from node_fsm.block0.checks.problem import Problem
from node_fsm.block0.template import Template
from node_fsm.core.chain_time import FIRST_TIME, chain_start
from node_fsm.core.model import ElectionSpec

LONGEST = timedelta(days=3653)
"""From voting_start to tallying_end. All later elections wait for a chain that runs, and whoever writes more than ten
years mistyped one. The chain itself counts epochs in 32 bits, more than that at any slot."""


def time_problems(spec: ElectionSpec, template: Template, offset_minutes: float) -> Iterator[Problem]:
    """The chain starts a whole number of slots before voting_start: the later times must be on its grid of slots."""
    start = spec.voting_start.replace(microsecond=0)
    slot = timedelta(seconds=template.slot_duration)
    if start != spec.voting_start:
        yield Problem(
            ("voting_start",), f"{spec.voting_start} {_not_on('a whole second', start, timedelta(seconds=1))}"
        )
    begins = chain_start(spec.voting_start, offset_minutes, template.slot_duration)
    if begins < FIRST_TIME:
        yield Problem(
            ("voting_start",),
            f"{spec.voting_start} has its chain begin at {begins}, and block 0 counts seconds from"
            f" {FIRST_TIME:%Y}; correct the year",
        )
    if spec.voting_end <= spec.voting_start:
        yield Problem(
            ("voting_end",),
            f"{spec.voting_end} is not after voting_start {spec.voting_start};"
            f" the earliest good time is {start + slot}",
        )
    if spec.tallying_end <= spec.voting_end:
        yield Problem(
            ("tallying_end",),
            f"{spec.tallying_end} is not after voting_end {spec.voting_end};"
            " set it late enough for the tally to get into a block",
        )
    for column, time in (("voting_end", spec.voting_end), ("tallying_end", spec.tallying_end)):
        if time - spec.voting_start > LONGEST:
            yield Problem(
                (column,),
                f"{time} is more than {LONGEST.days // 365} years after voting_start {spec.voting_start}, and all later"
                " elections would wait for this one; correct the year",
            )
        if beyond := (time - start) % slot:
            grid = f"a multiple of slot_duration ({template.slot_duration} s) after voting_start"
            yield Problem((column,), f"{time} {_not_on(grid, time - beyond, slot)}")


def _not_on(grid: str, before: datetime, step: timedelta) -> str:
    return f"is not {grid}; the nearest good times are {before} and {before + step}"
