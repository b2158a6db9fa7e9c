"""``node-fsm node``: the nodes of the cluster."""

from functools import partial
from typing import Annotated, Any

import typer

from node_fsm.cli.confirm import YesOption, confirm
from node_fsm.cli.database import on_database
from node_fsm.cli.node_key import keygen
from node_fsm.cli.output import Column, TableOption, TableOutput, print_table, say
from node_fsm.core.cluster_status import NodeKind, Standing
from node_fsm.core.printable import argument

app = typer.Typer(no_args_is_help=True, help="The nodes of the cluster.")
app.command("keygen")(keygen)

NODES = (
    Column("hostname", "node", "The node's NODE_FSM_HOSTNAME."),
    Column("kind", "role", f"{', '.join(f'`{kind}`' for kind in NodeKind)}; null when only its service told of it."),
    Column("standing", "service", f"{', '.join(f'`{each}` ({each.description})' for each in Standing)}."),
    Column("heard_at", "last heard", "When its service last told of itself; null when it never did."),
    Column("phase", "phase", "The phase that it told; null when it never did."),
    Column("leader_id", None, "Its public key; null for a follower."),
    Column("p2p_address", None, "Where other nodes reach it."),
    Column("is_listed", None, "Whether `jorm_nodes` has it: if not it was removed, or has another name there."),
    Column("version", None, "The version of its service."),
)


@app.command("list")
def list_(output: TableOption = TableOutput.TEXT) -> None:
    """List the nodes, and whether their services run. Marks hosts that are silent, stopped, or not in jorm_nodes."""
    from node_fsm.database.cluster_status import cluster_status

    seen = on_database(cluster_status)
    rows: list[dict[str, Any]] = [{column.name: getattr(node, column.name) for column in NODES} for node in seen.nodes]
    if output is TableOutput.TEXT:
        for row in rows:
            row["standing"] = row["standing"].replace("_", " ")
            row["kind"] = (row["kind"] or "") + ("" if row["is_listed"] else " NOT IN jorm_nodes")
    print_table(rows, NODES, output, empty="there are no nodes yet; `node-fsm node add` adds one")
    if output is TableOutput.TEXT:
        for node in seen.nodes:
            if not node.is_listed:
                say(
                    f"`node-fsm node remove {argument(node.hostname)}` forgets a host that is gone or had another name",
                    err=True,
                )


@app.command("add")
def add(
    hostname: Annotated[str, typer.Argument(help="The node's NODE_FSM_HOSTNAME.")],
    leader_id: Annotated[
        str | None, typer.Option(help="Its public key, ed25519_pk1…; without one the node is a follower.")
    ] = None,
    yes: YesOption = False,
) -> None:
    """Add a node to jorm_nodes, or change whether it is a leader and with which key.

    Asks before it takes a leader's key away. A key that another node has is refused: remove that node first.
    """
    from node_fsm.chain.address import ed25519_public_key
    from node_fsm.database.administration import add_node, node_row

    if leader_id is not None:
        try:
            ed25519_public_key(leader_id)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--leader-id") from None
    if not (hostname := hostname.strip()) or len(hostname.split()) > 1:
        raise typer.BadParameter("must be one name, without white space", param_hint="HOSTNAME")
    standing = on_database(partial(node_row, hostname=hostname))
    if standing and standing.leader_id not in {None, leader_id}:
        becomes = f"gets the key {leader_id}" if leader_id else "becomes a follower, which makes no blocks"
        confirm(
            f"{hostname} is a {kind(standing.leader_id)}, and {becomes}. Chains that begin from now on do not take"
            " blocks of its present key; a chain that runs keeps the leaders of its block 0.",
            hostname,
            yes=yes,
        )
    before = on_database(partial(add_node, hostname=hostname, leader_id=leader_id))
    was = f"; it was a {kind(before.leader_id)}" if before and before.leader_id != leader_id else ""
    say(f"{hostname} is a {kind(leader_id)}{was}")


@app.command("remove")
def remove(
    hostname: Annotated[str, typer.Argument(help="The node's NODE_FSM_HOSTNAME.")], yes: YesOption = False
) -> None:
    """Remove a node that is gone for good, or was added under a wrong name; another may then have its key.

    What it told of itself goes, too; a service that runs tells it again within a minute. A chain that runs keeps the
    leaders that stand in its block 0.
    """
    from node_fsm.database.administration import node_row, remove_node

    standing = on_database(partial(node_row, hostname=hostname))
    if standing:
        confirm(
            f"{hostname} is a {kind(standing.leader_id)}. Without its row it takes part in no chain that begins from"
            " now on, and the others do not connect to it.",
            hostname,
            yes=yes,
        )
    removed = on_database(partial(remove_node, hostname=hostname))
    was = f"it was a {kind(removed.leader_id)}" if removed else "jorm_nodes had no row for it"
    say(f"{hostname} is removed; {was}")


def kind(leader_id: str | None) -> str:
    """What a node with this public key, or without one, is."""
    return f"leader with the key {leader_id}" if leader_id else "follower"
