"""The network between the nodes of a chain is cut and healed, and votes are cast on both sides."""

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from node_fsm_sandbox.election.draw import Ballot, DrawnElection, draw_election, draw_voters
from node_fsm_sandbox.election.schedule import Times

from tests.netns.split_cluster import FOLLOWER, SplitCluster
from tests.netns.timeline import Timeline
from tests.netns.votes import power
from tests.support.polling import HANGING

VOTERS = 18
CAST_AFTER = 3
"""How many seconds after the cut votes are cast on both sides."""


@dataclass(frozen=True)
class Cut:
    """One cut: leader 0 alone on one side. *begins* and *ends* are seconds from the end of voting, None: never.

    The side *blind*, ``ours`` being leader 0's, does not reach database and object store either until *sees*, at the
    latest until *ends*: its votes cannot be handed over. Where voting ends before the heal, the votes of one side alone
    may be counted then: of one of *sides*. *short*: so it may be for want of time to hand over what was cast.
    """

    leaders: int
    begins: int
    ends: int | None
    voting: int
    tallying: int = 120
    blind: str | None = None
    sees: int | None = None
    short: bool = False
    sides: tuple[str, ...] = ("ours", "theirs")
    disputed: bool = False
    parameters: Mapping[str, int] = field(default_factory=lambda: {"slots_per_epoch": 60})

    @property
    def others(self) -> list[str]:
        """Who is on the other side."""
        return [*(f"leader{number}" for number in range(1, self.leaders)), FOLLOWER]

    @property
    def blinded(self) -> list[str]:
        """Who does not reach database and object store."""
        return {"ours": ["leader0"], "theirs": self.others, None: []}[self.blind]

    @property
    def is_healed_while_voting(self) -> bool:
        """Whether there is time to vote after it."""
        return self.ends is not None and self.ends < -20


CUTS = {
    "20 s": Cut(2, begins=-70, ends=-50, voting=90),
    "40 s, longer than votes live": Cut(2, begins=-110, ends=-70, voting=130, parameters={"slots_per_epoch": 12}),
    "over the end of voting": Cut(2, begins=-15, ends=30, voting=60, short=True),
    "leader 0 alone, database and S3 cut too": Cut(
        3, begins=-12, ends=33, voting=50, tallying=240, blind="ours", sides=("theirs",)
    ),
    "leader 0 alone, never healed": Cut(
        3, begins=-12, ends=None, voting=50, tallying=120, short=True, sides=("ours",), disputed=True
    ),
    "leader 0 alone, 4 s slots, never healed": Cut(
        leaders=3,
        begins=-100,
        ends=None,
        voting=160,
        tallying=240,
        disputed=True,
        parameters={"slots_per_epoch": 60, "slot_duration": 4},
    ),
    "the others without database, never healed": Cut(
        3, begins=-12, ends=None, voting=50, tallying=120, blind="theirs", sees=10, sides=("ours",), disputed=True
    ),
    "the others without database, healed when a disputed count stands": Cut(
        3, begins=-12, ends=80, voting=50, tallying=120, blind="theirs", sees=10, sides=("theirs",)
    ),
}


@dataclass
class Drawn:
    """Votes as drawn: cast before the cut, on leader 0's side, on the other side, after the heal.

    One voter votes on both sides, differently; *theirs* has the vote that the election has among its ballots.
    """

    election: DrawnElection
    before: list[Ballot]
    ours: list[Ballot]
    theirs: list[Ballot]
    after: list[Ballot]

    @classmethod
    def of(cls, election: DrawnElection, cut: Cut) -> "Drawn":
        """Quarters of the drawn votes."""
        again = election.again
        twice = next(one for one in election.ballots if one.voter is again.voter and one.question is again.question)
        ballots = [one for one in election.ballots if one is not twice]
        quarter = len(ballots) // 4
        before, ours, theirs, after = (ballots[place * quarter :][:quarter] for place in range(4))
        before += ballots[4 * quarter :]
        if not cut.is_healed_while_voting:
            before, after = before + after, []
        return cls(election, before, [again, *ours], [twice, *theirs], after)

    def outcomes(self, cut: Cut) -> list[dict[str, list[int]]]:
        """The results that are right: of who voted twice either vote may count, if both sides do."""
        common = [*self.before, *self.after]
        by_side = {"ours": self.ours, "theirs": self.theirs}
        counting = []
        if not cut.blind or cut.is_healed_while_voting:
            both = [*common, *self.ours[1:], *self.theirs[1:]]
            counting += [[*both, self.ours[0]], [*both, self.theirs[0]]]
        if cut.blind or cut.short:
            counting += [common + by_side[side] for side in cut.sides]
        return [replace(self.election, ballots=tuple(ballots)).expected() for ballots in counting]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", CUTS)
async def test_what_can_be_counted_is_and_the_rest_is_kept(cluster: SplitCluster, tmp_path: Path, name: str) -> None:
    cut = CUTS[name]
    await cluster.begin(["leader0", *cut.others], cut.parameters)
    times = Times.soon(25, voting=cut.voting, tallying=cut.tallying)
    drawing = random.Random(name)
    drawn = Drawn.of(draw_election("a cut", times, draw_voters(drawing, VOTERS), drawing), cut)
    cluster.post_election(drawn.election)
    async with cluster.watched(times.voting_end) as timeline:
        refused = await run(cluster, cut, drawn)
        await cluster.wait_for_end(cut.tallying + 180)
        for hostname in cluster.members.keys() - {FOLLOWER}:
            await cluster.wait_until_nothing_is_kept(hostname, HANGING)
        uncounted = await cluster.uncounted()
    figures = figures_of(cluster, cut, drawn, timeline) | {"refused": refused, "uncounted": uncounted}
    (tmp_path / "figures.json").write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures, indent=1))
    assert figures["results"] in drawn.outcomes(cut), f"lost {figures['lost']} of {figures['drawn']}"
    assert bool(figures["disputed"]) is cut.disputed
    assert None not in figures["split seen"].values()
    on_record = {vote["fragment_id"]: vote["weight"] for vote in uncounted}
    assert sum(on_record.values()) == figures["lost"]
    if cut.ends is None:  # the others' chain is another one
        assert "divergent" in {archive["kind"] for archive in figures["archives"]}, "the majority's chain is gone"


async def run(cluster: SplitCluster, cut: Cut, drawn: Drawn) -> dict[str, list[str | None]]:
    """Cast and cut as drawn; what the mempools said where they refused."""
    end = drawn.election.times.voting_end
    await cluster.wait_for_voting(drawn.election)
    said = {"before": await cluster.cast("leader0", drawn.before)}
    await sleep_until(end + timedelta(seconds=cut.begins))
    cluster.hosts.split(["leader0"], cut.others)
    for name in cut.blinded:
        cluster.hosts.cut_outside(name)
    await sleep_until(end + timedelta(seconds=cut.begins + CAST_AFTER))
    said["ours"] = await cluster.cast("leader0", drawn.ours)
    said["theirs"] = await cluster.cast("leader1", drawn.theirs)
    if cut.sees is not None:
        await sleep_until(end + timedelta(seconds=cut.sees))
        for name in cut.blinded:
            cluster.hosts.mend_outside(name)
    if cut.ends is not None:
        await sleep_until(end + timedelta(seconds=cut.ends))
        cluster.hosts.heal()
        if drawn.after:
            await sleep_until(end + timedelta(seconds=cut.ends + 15))
            said["after"] = await cluster.cast("leader1", drawn.after)
    return {part: [reason for reason in reasons if reason] for part, reasons in said.items()}


async def sleep_until(time: datetime) -> None:
    """Wait for a moment of the schedule that the test itself drew up."""
    await asyncio.sleep(max(0.0, (time - datetime.now(UTC)).total_seconds()))


def figures_of(cluster: SplitCluster, cut: Cut, drawn: Drawn, timeline: Timeline) -> dict[str, Any]:
    """What came of it; times are seconds from the end of voting."""
    shown = cluster.shown(drawn.election)
    (plan,) = shown["plans"]
    final = [archive for archive in shown["archives"] if archive["kind"] == "final"]
    counted = sum(map(sum, plan["results"].values()))
    drawn_power = power(drawn.election.ballots)
    return {
        "drawn": drawn_power,
        "counted": counted,
        "lost": drawn_power - counted,
        "results": plan["results"],
        "disputed": plan["disputed"],
        "powers": {
            "before": power(drawn.before),
            "ours": power(drawn.ours[1:]),
            "theirs": power(drawn.theirs),
            "after": power(drawn.after),
        },
        "split seen": {name: timeline.first(name, "split_brain") for name in timeline.samples},
        "one tip": None if cut.ends is None else timeline.one_tip(cut.ends),
        "tally entered": timeline.entered("leader0", "Tallying"),
        "archiving entered": timeline.entered("leader0", "Archiving"),
        "told": timeline.told(),
        "kept": cluster.kept(),
        "verify": cluster.cli("verify", final[0]["uri"]).splitlines() if final else None,
        "archives": shown["archives"],
        "log": cluster.log_lines(
            "results of", "the archive", "WARNING", "ERROR", "again", "archived", "deleted", "set aside"
        ),
    }
