"""``node-fsm status``: the whole cluster, from the database alone."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from node_fsm.cli.database import database_settings, on_database
from node_fsm.cli.documents import chain_dates, moments
from node_fsm.cli.output import ExitCode, Output, OutputOption, block_lines, print_json, table_lines, terminal_width
from node_fsm.cli.times import span, utc, when
from node_fsm.core.cluster_status import ClusterElection, ClusterNode, ClusterStatus, Standing
from node_fsm.core.errors import ServiceError
from node_fsm.core.printable import one_line, printable

REFRESH_SECONDS = 2.0

_EVENTS = 8


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Show it on the whole terminal, and follow it.")] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show the whole cluster: nodes and what bothers them, elections with their deadlines, what happened last.

    Ends with 3 when there is something that a person should look at.
    """
    from node_fsm.database.cluster_status import cluster_status

    if watch:
        follow(output)
        return
    seen = on_database(cluster_status)
    if output is Output.JSON:
        print_json(document(seen))
    else:
        typer.echo("\n".join(lines(seen, seen.at, terminal_width())))
    if any(seen.problems()):
        raise typer.Exit(ExitCode.PERSON)


def follow(output: Output) -> None:
    """Show the status on the whole terminal, until interrupted."""
    from rich.console import Console

    console = Console()
    if output is not Output.TEXT or not console.is_terminal:
        raise typer.BadParameter("shows text on a terminal; leave it out", param_hint="--watch")
    url = database_settings().database_url.get_secret_value()
    try:
        asyncio.run(_follow(url, console))
    except KeyboardInterrupt:  # how a person ends it
        return


async def _follow(url: str, console: Any) -> None:
    from rich.live import Live
    from rich.text import Text

    from node_fsm.core.chain_time import utc_now
    from node_fsm.database.cluster_status import cluster_status
    from node_fsm.database.session import Session

    session = Session(url)
    seen: ClusterStatus | None = None
    ahead, problem = timedelta(0), ""
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                try:
                    seen, problem = await cluster_status(session), ""
                    ahead = seen.at - utc_now()
                except ServiceError as error:
                    problem = f"{error}\n\n"
                shown = lines(seen, utc_now() + ahead, console.width) if seen else []
                live.update(Text.from_ansi(printable(problem) + "\n".join(shown)), refresh=True)
                await asyncio.sleep(REFRESH_SECONDS)
    finally:
        await session.close()


def document(seen: ClusterStatus) -> dict[str, Any]:
    """*seen* for programs: dates on the chain as ``epoch.slot``, deadlines and problems as text shows them."""
    told = asdict(seen) | {"problems": list(seen.problems())}
    for election, shown in zip(seen.elections, told["elections"], strict=True):
        shown["deadlines"] = moments(election.deadlines)
        if election.dates:
            shown["dates"] = chain_dates(election.dates)
    return told


def lines(seen: ClusterStatus, now: datetime, width: int | None) -> list[str]:
    """*seen* for people, at *now* by the database's clock."""
    return [
        f"The cluster at {utc(now)}",
        *_section("Nodes", list(_nodes(seen, now, width)) or ["none yet; `node-fsm node add` adds one"]),
        *_section("What needs a person", list(_problems(seen, width))),
        *_section("Elections", list(_elections(seen, now, width)) or ["none yet; `node-fsm election import` adds one"]),
        *_section("Shares of the committee", list(_shares(seen, width))),
        *_section("Results", list(_results(seen, width))),
        *_section("What happened last", list(_events(seen, now, width))),
    ]


def _section(title: str, content: list[str]) -> list[str]:
    return ["", typer.style(title, bold=True, underline=True), *content] if content else []


def _nodes(seen: ClusterStatus, now: datetime, width: int | None) -> Iterator[str]:
    headings = ["node", "role", "heard", "phase", "for", "election", "height", "tip", "peers", "votes", "next"]
    rows: list[list[object]] = [
        [
            node.hostname,
            _role(node),
            _heard(node, now),
            node.phase,
            span(now - node.since) if node.since else None,
            node.election,
            *(node.height, node.tip_date, node.peers, node.votes),
            f"{node.next_deadline.name} {when(node.next_deadline.at, now)}" if node.next_deadline else None,
        ]
        for node in seen.nodes
    ]
    told = [index for index in range(len(headings)) if any(row[index] is not None for row in rows)]
    if rows:
        yield from table_lines(
            [headings[index] for index in told], [[row[index] for index in told] for row in rows], width
        )


def _role(node: ClusterNode) -> str:
    role = node.kind or ""
    return role if node.is_listed else f"{role} not in jorm_nodes".strip()


def _heard(node: ClusterNode, now: datetime) -> str:
    if node.heard_at is None:
        return "never"
    ago = f"{span(now - node.heard_at)} ago" if node.heard_at < now else "now"
    return ago if node.standing is Standing.HEARD else f"{node.standing}, {ago}"


def _problems(seen: ClusterStatus, width: int | None) -> Iterator[str]:
    for problem in seen.problems():
        yield from block_lines([("!", printable(problem))], width)


def _elections(seen: ClusterStatus, now: datetime, width: int | None) -> Iterator[str]:
    rows = [
        [election.name, election.stage.description, _next(election, now), _archived(election), election.block0_hash]
        for election in seen.elections
    ]
    if rows:
        yield from table_lines(["election", "where it is", "what comes", "archives", "block 0"], rows, width)


def _next(election: ClusterElection, now: datetime) -> str:
    ahead = [deadline for deadline in election.deadlines if deadline.at > now]
    return ", ".join(f"{deadline.name} {when(deadline.at, now)} ({utc(deadline.at)})" for deadline in ahead[:1])


def _archived(election: ClusterElection) -> str:
    return ", ".join(f"{archive.kind}: {archive.uri}" for archive in election.archives)


def _shares(seen: ClusterStatus, width: int | None) -> Iterator[str]:
    rows = [
        [election.name, member.index, f"{member.plans} of {election.private_plans} plans", member.public_key]
        for election in seen.elections
        if not election.results
        for member in election.committee
    ]
    if rows:
        yield from table_lines(["election", "member", "posted", "public key"], rows, width)


def _results(seen: ClusterStatus, width: int | None) -> Iterator[str]:
    rows = [
        [
            election.name + (f" (disputed: {election.disputed})" if election.disputed else ""),
            result.title or f"proposal {result.index} of plan {result.plan_id}",
            result.voting_group,
            [f"{option}: {votes}" for option, votes in zip(result.options, result.votes, strict=False)],
        ]
        for election in seen.elections
        for result in election.results
    ]
    if rows:
        yield from table_lines(["election", "proposal", "group", "votes"], rows, width)


def _events(seen: ClusterStatus, now: datetime, width: int | None) -> Iterator[str]:
    events = [
        (
            one_line(f"{span(now - entry.at)} ago, {entry.hostname}"),
            printable(f"{entry.event}{f' ({entry.election_name})' if entry.election_name else ''}: {entry.reason}"),
        )
        for entry in seen.journal[:_EVENTS]
    ]
    if events:
        yield from block_lines(events, width)
