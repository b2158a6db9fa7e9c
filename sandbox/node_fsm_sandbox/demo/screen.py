"""The live view of one moment, for terminals of any size."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from node_fsm.core.phases import Phase
from node_fsm_sandbox.demo.moment import Moment, NodeView, VotesView
from node_fsm_sandbox.demo.schedule import LIMIT

_STYLES = {
    Phase.WAITING: "dim",
    Phase.RUNNING: "green",
    Phase.TALLYING: "yellow",
    Phase.ARCHIVING: "cyan",
    Phase.RESET: "magenta",
}
_LONGEST_PHASE = max(map(len, Phase))
_WIDE, _NARROW = 110, 70
"""From how many columns on there is room for conditions beside the nodes, and for deadlines."""

_FEWEST_NEWS = 3
_LONGEST_BAR, _SHORTEST_BAR = 44, 10
_BESIDE_THE_BAR = 58


@dataclass(frozen=True, slots=True)
class Screen:
    """A line of time, the nodes, the votes, and as much of the news as there is room for, but always the newest."""

    moment: Moment | None
    news: tuple[str, ...]
    seconds: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        parts = Group(*self._parts(options.max_width))
        height = options.size.height
        above = console.render_lines(parts, options, pad=False, new_lines=True)[: max(0, height - _FEWEST_NEWS)]
        yield from chain.from_iterable(above)
        for line in self.news[len(above) - height :]:
            yield Text(line, style="dim", no_wrap=True, overflow="ellipsis")

    def _parts(self, width: int) -> Iterator[RenderableType]:
        yield Text(f"node-fsm demo   {self.seconds:.0f} s of at most {LIMIT:.0f} s", style="bold")
        if self.moment:
            yield nodes_table(self.moment, width)
            if width < _WIDE:
                yield from conditions_lines(self.moment)
            votes = self.moment.votes
            yield votes_line(votes, width) if votes else Text("no votes yet", style="dim")


def nodes_table(moment: Moment, width: int) -> Table:
    """One row for each node, with the columns that there is room for."""
    table = Table(box=None, pad_edge=False)
    table.add_column("node", no_wrap=True)
    table.add_column("phase", no_wrap=True, min_width=_LONGEST_PHASE)
    table.add_column("election", no_wrap=True)
    for column in ("tip", "peers", "restarts"):
        table.add_column(column, justify="right", no_wrap=True)
    if width >= _NARROW:
        table.add_column("next", no_wrap=True)
    if width >= _WIDE:
        table.add_column("conditions", overflow="fold")
    for node in moment.nodes:
        table.add_row(*_row(node, moment.at)[: len(table.columns)])
    return table


def conditions_lines(moment: Moment) -> Iterator[Text]:
    """A line for each node that has conditions."""
    for node in moment.nodes:
        if node.conditions:
            yield Text.assemble(f"{node.hostname}  ", (node.conditions_told, "yellow"))


def votes_line(votes: VotesView, width: int) -> Text:
    """How many of the drawn votes are where, with a bar where there is room for one."""
    bar = min(_LONGEST_BAR, width - _BESIDE_THE_BAR)
    bar = bar if bar >= _SHORTEST_BAR else 0
    filled = round(bar * votes.in_blocks / max(1, votes.drawn))
    return Text.assemble(
        f"votes ({votes.election}) ",
        ("█" * filled, "green"),
        ("░" * (bar - filled), "dim"),
        f" {votes.cast} cast, {votes.in_blocks} of {votes.drawn} in blocks, {votes.rejected} rejected",
    )


def _row(node: NodeView, at: datetime) -> list[Text]:
    state = node.state
    numbers = [Text("" if number is None else str(number)) for number in (node.height, node.peers, node.restarts)]
    if state is None:
        silence = Text("starting", "dim") if node.starting else Text("no answer", "red")
        return [Text(node.hostname), silence, Text(), *numbers]
    deadline = state.next_deadline
    return [
        Text(node.hostname),
        Text(state.phase, _STYLES.get(state.phase, "blue")),
        Text(state.election or ""),
        *numbers,
        Text(f"{deadline.name} {(deadline.at - at).total_seconds():.0f} s" if deadline else ""),
        Text(node.conditions_told, "yellow"),
    ]
