"""Nodes as operators list them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from node_fsm.cli.nodes import NODES
from node_fsm.core.cluster import NodeReport
from node_fsm.database.adapter import PostgresDatabase
from tests.cli.commands import invoke
from tests.database.test_reports import REPORT


async def report(url: str, *reports: NodeReport) -> None:
    database = PostgresDatabase(url)
    try:
        for each in reports:
            await database.report_status(each)
    finally:
        await database.close()


async def test_hosts_that_are_silent_or_misnamed_are_marked(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", database_url)
    assert (await invoke("node", "list")).stdout == "there are no nodes yet; `node-fsm node add` adds one\n"
    for hostname in ("follower", "late", "never"):
        await invoke("node", "add", hostname)
    now = datetime.now(UTC)
    told = replace(REPORT, updated_at=now, since=now)
    await report(
        database_url,
        replace(told, hostname="follower"),
        replace(told, hostname="late", updated_at=now - timedelta(hours=1)),
        replace(told, hostname="misnamed"),
    )
    listed = await invoke("node", "list")
    lines = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert " heard " in lines["follower"]
    assert " silent " in lines["late"]
    assert " never heard " in lines["never"]
    assert " NOT IN jorm_nodes " in lines["misnamed"]
    assert listed.stderr == "`node-fsm node remove misnamed` forgets a host that is gone or had another name\n"
    rows = json.loads((await invoke("node", "list", "--output", "json")).stdout)
    assert list(rows[0]) == [column.name for column in NODES]
    sql = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        await invoke("node", "remove", "misnamed")
        assert await sql.fetchval("SELECT count(*) FROM node_status WHERE hostname = 'misnamed'") == 0
    finally:
        await sql.close()
