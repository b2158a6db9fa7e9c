"""Commands on the database: its schema, nodes, elections, and the lease."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from node_fsm.block0.template import load_template
from node_fsm.chain.address import account_address, ed25519_public_key
from node_fsm.cli.election_tables import print_election, print_elections
from node_fsm.core.errors import ServiceError
from node_fsm.database.administration import add_node, cancel_election, take_lease
from node_fsm.database.election_import import import_election
from node_fsm.database.election_show import describe_election, list_elections
from node_fsm.database.migrate import upgrade
from node_fsm.database.session import Session
from node_fsm.importing.election_file import ElectionFile, InputFileError, parse_election
from node_fsm.importing.voters_file import read_voters
from node_fsm.settings.model import DatabaseSettings, SettingsError, load_settings

T = TypeVar("T")

db = typer.Typer(no_args_is_help=True, help="The database's schema.")
node = typer.Typer(no_args_is_help=True, help="The nodes of the cluster.")
election = typer.Typer(no_args_is_help=True, help="Elections.")
lease = typer.Typer(no_args_is_help=True, help="The right to publish.")


@db.command("upgrade")
def upgrade_database() -> None:
    """Bring the database to the schema of this version; does nothing when it is there."""
    settings = _settings()
    _checked(lambda: asyncio.run(upgrade(settings.database_url.get_secret_value())))
    typer.echo("the database has the schema of this version")


@node.command("add")
def add(
    hostname: Annotated[str, typer.Argument(help="The node's NODE_FSM_HOSTNAME.")],
    leader_id: Annotated[
        str | None, typer.Option(help="Its public key, ed25519_pk1…; without one the node is a follower.")
    ] = None,
) -> None:
    """Add a node to jorm_nodes, or change whether it is a leader and with which key."""
    if leader_id is not None:
        try:
            ed25519_public_key(leader_id)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--leader-id") from None
    before = _on_database(partial(add_node, hostname=hostname, leader_id=leader_id))
    was = f"; it was a {_kind(before.leader_id)}" if before and before.leader_id != leader_id else ""
    typer.echo(f"{hostname} is a {_kind(leader_id)}{was}")


@election.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="The election, as YAML.")],
    voters: Annotated[Path, typer.Option(help="CSV with the columns voting_key, voting_group and voting_power.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the election of this name, as long as it is not published.")
    ] = False,
    template: Annotated[
        Path | None,
        typer.Option(help="Block 0 template that the election will run with. By default NODE_FSM_BLOCK0_TEMPLATE."),
    ] = None,
) -> None:
    """Check an election and its voters, and write both into the database: all, or nothing."""
    settings = _settings()
    block0_template = _checked(lambda: load_template(template or settings.block0_template))
    parsed = _checked(lambda: parse_election(_read(file), str(file)))
    imported = _on_database(
        partial(
            import_election,
            election=parsed,
            voters=read_voters(voters, parsed.voting_groups),
            address=partial(account_address, production=block0_template.production),
            replace=replace,
        )
    )
    typer.echo(f"{parsed.name} is election {imported.election_id}, with {imported.voters} voters")
    for other in imported.overlapping:
        typer.echo(
            f"warning: it overlaps with {other}; elections run one after the other, the later one late", err=True
        )
    for warning in _time_warnings(parsed, block0_template.slot_duration):
        typer.echo(f"warning: {warning}", err=True)


@election.command()
def show(
    name: Annotated[str | None, typer.Argument(help="An election; without one all are listed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show an election: times, committee, proposals, plans, results, archives."""
    found = _on_database(list_elections) if name is None else _on_database(partial(describe_election, name=name))
    if as_json:
        typer.echo(json.dumps(found, indent=2, default=_as_text))
    elif isinstance(found, list):
        print_elections(found)
    else:
        print_election(found)


@election.command()
def cancel(name: str) -> None:
    """End an election: it does not start any more, or, published, leader 0 withdraws block 0 and archives the chain."""
    block0_hash = _on_database(partial(cancel_election, name=name))
    typer.echo(f"{name} is cancelled" + (f"; leader 0 withdraws block 0 {block0_hash}" if block0_hash else ""))


@lease.command()
def take(
    i_stopped_the_other: Annotated[
        bool,
        typer.Option(
            "--i-stopped-the-other",
            help="Say that no other host runs leader 0's node any more. If one does, the chain may fork.",
        ),
    ] = False,
) -> None:
    """Let leader 0 on this host (NODE_FSM_HOSTNAME) start its node although another host never said that it stopped."""
    settings = _settings()
    if not i_stopped_the_other:
        typer.echo("stop leader 0 and its node on the other host, then give --i-stopped-the-other", err=True)
        raise typer.Exit(2)
    hosts = _on_database(partial(take_lease, hostname=settings.hostname))
    if hosts:
        typer.echo(f"recorded that {' and '.join(hosts)} stopped; {settings.hostname} may run leader 0's node")
    else:
        typer.echo("no other host was in the way")


def _on_database(operation: Callable[[Session], Awaitable[T]]) -> T:
    """Run *operation* on the database of the settings; ends the command with its error's message."""
    settings = _settings()

    async def run() -> T:
        session = Session(settings.database_url.get_secret_value())
        try:
            return await operation(session)
        finally:
            await session.close()

    return _checked(lambda: asyncio.run(run()))


def _settings() -> DatabaseSettings:
    try:
        return load_settings(os.environ, DatabaseSettings)
    except SettingsError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(2) from None


def _checked(work: Callable[[], T]) -> T:
    try:
        return work()
    except ServiceError as error:
        message = error.message if isinstance(error, InputFileError) else f"{error.reason}: {error.message}"
        typer.echo(message, err=True)
        raise typer.Exit(1) from None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputFileError([f"{file}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise InputFileError([f"{file}: is not UTF-8 text: {error.reason}"]) from None


def _time_warnings(parsed: ElectionFile, slot_duration: int) -> list[str]:
    warnings = []
    slot = timedelta(seconds=slot_duration)
    for column in ("voting_end", "tallying_end"):
        beyond = (getattr(parsed, column) - parsed.voting_start) % slot
        if beyond:
            earlier = getattr(parsed, column) - beyond
            warnings.append(
                f"{column} is no multiple of slot_duration ({slot_duration} s) after voting_start, and will be refused;"
                f" the nearest good times are {earlier.isoformat()} and {(earlier + slot).isoformat()}"
            )
    if parsed.voting_end <= datetime.now(UTC):
        warnings.append("voting_end has passed, so that the election will not start")
    return warnings


def _kind(leader_id: str | None) -> str:
    return f"leader with the key {leader_id}" if leader_id else "follower"


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
