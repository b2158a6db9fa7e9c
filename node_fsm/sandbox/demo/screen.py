"""The live view: pure functions from a snapshot to what rich draws."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from node_fsm.core.phases import Phase
from node_fsm.sandbox.demo.schedule import LIMIT
from node_fsm.sandbox.demo.snapshot import NodeView, Snapshot, VotesView

_STYLES = {
    Phase.WAITING: "dim",
    Phase.RUNNING: "green",
    Phase.TALLYING: "yellow",
    Phase.ARCHIVING: "cyan",
    Phase.RESET: "magenta",
}
_BAR_WIDTH = 44


def render(snapshot: Snapshot | None, news: Sequence[str], seconds: float) -> RenderableType:
    """The whole screen: a line of time, the nodes, the votes, the news."""
    parts: list[RenderableType] = [Text(f"node-fsm demo   {seconds:.0f} s of at most {LIMIT:.0f} s", style="bold")]
    if snapshot:
        parts.append(nodes_table(snapshot))
        parts.append(votes_line(snapshot.votes) if snapshot.votes else Text("no votes yet", style="dim"))
    parts += [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in news]
    return Group(*parts)


def nodes_table(snapshot: Snapshot) -> Table:
    """One row for each node."""
    table = Table(expand=False)
    for column in ("node", "phase", "election"):
        table.add_column(column, no_wrap=True)
    for column in ("height", "peers", "restarts"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("next deadline", no_wrap=True)
    table.add_column("conditions", overflow="fold")
    for node in snapshot.nodes:
        table.add_row(*_row(node, snapshot.at))
    return table


def votes_line(votes: VotesView) -> Text:
    """How many of the drawn votes are where, with a bar."""
    filled = round(_BAR_WIDTH * votes.in_blocks / max(1, votes.drawn))
    return Text.assemble(
        f"votes ({votes.election}) ",
        ("█" * filled, "green"),
        ("░" * (_BAR_WIDTH - filled), "dim"),
        f" {votes.cast} cast, {votes.in_blocks} of {votes.drawn} in blocks, {votes.rejected} rejected",
    )


def _row(node: NodeView, at: datetime) -> list[Text]:
    state = node.state
    name = Text(node.hostname)
    if node.kind != node.hostname:
        name.append(f" ({node.kind})", "dim")
    numbers = [Text("" if number is None else str(number)) for number in (node.height, node.peers, node.restarts)]
    if state is None:
        return [name, Text("no answer", "red"), Text(), *numbers, Text(), Text()]
    deadline = state.next_deadline
    return [
        name,
        Text(state.phase, _STYLES.get(state.phase, "blue")),
        Text(state.election or ""),
        *numbers,
        Text(f"{deadline.name} in {(deadline.at - at).total_seconds():.0f} s" if deadline else ""),
        Text(", ".join(f"{type_}: {reason}" for type_, reason in node.conditions.items()), "yellow"),
    ]
