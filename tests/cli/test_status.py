"""What ``node-fsm status`` shows, and what it ends with."""

import asyncio
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node_fsm.chain.address import ed25519_public_key_text
from node_fsm.cli import app
from node_fsm.cli.status import lines
from node_fsm.core.chain_time import BlockDate, ChainClock, ChainDates
from node_fsm.core.cluster_status import (
    ClusterArchive,
    ClusterElection,
    ClusterNode,
    ClusterStatus,
    LeaseHolder,
    MemberShares,
    NodeKind,
    ProposalResult,
    Stage,
    Standing,
    ToldCondition,
)
from node_fsm.core.model import ArchiveKind, JournalEntry
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.view import Deadline
from node_fsm.database.adapter import PostgresDatabase
from tests.database.test_reports import REPORT
from tests.support.polling import HANGING

NOW = datetime(2030, 1, 2, 12, 0, tzinfo=UTC)
DATES = ChainDates(
    ChainClock(NOW - timedelta(hours=1), 4, 900), BlockDate(0, 450), BlockDate(2, 0), BlockDate(3, 0)
)  # voting from 11:30 to 13:00
ELECTION = ClusterElection(
    1, "Fund 1", Stage.VOTING, block0_hash="ab" * 32, dates=DATES, plans=2, private_plans=1,
    committee=(MemberShares(0, "pk0", 1), MemberShares(1, None, 0)),
)  # fmt: skip
LEADER0 = ClusterNode(
    "leader0", True, NodeKind.LEADER0, Standing.HEARD, heard_at=NOW - timedelta(seconds=4), phase="Running",
    since=NOW - timedelta(minutes=12), election="Fund 1", height=120, tip_date="0.899", peers=2, votes=40,
    next_deadline=Deadline("voting_end", NOW + timedelta(hours=1)),
    conditions=(ToldCondition("overlap", "EarlierElectionRuns", "Fund 2 was due; \x1b[31mmove it", NOW),),
)  # fmt: skip
STATUS = ClusterStatus(
    at=NOW,
    nodes=(LEADER0, ClusterNode("new", True, NodeKind.FOLLOWER, Standing.NEVER_HEARD)),
    elections=(ELECTION,),
    journal=(JournalEntry("leader0", 1, "Fund 1", "Waiting", "election_due", "FetchingKey", NOW, "it is time"),),
    lease=LeaseHolder("leader0", NOW, False, "old"),
)


def test_everything_that_was_told_is_shown_in_words() -> None:
    shown = "\n".join(lines(STATUS, NOW, 240))
    for part in (
        "leader0  leader0   4 s ago  Running  12 min  Fund 1    120     0.899  2      40     voting_end in 1 h",
        "new      follower  never",
        "!  old was leader 0 before leader0 and never said that it stopped",
        "!  leader0: overlap: Fund 2 was due; \\x1b[31mmove it",
        "!  nothing was ever heard of new: start its service with NODE_FSM_HOSTNAME=new",
        "Fund 1    people vote  voting_end in 1 h (2030-01-02 13:00:00Z)",
        "Fund 1         0  1 of 1 plans  pk0",
        "Fund 1         1  0 of 1 plans  -",
        "0 s ago, leader0  election_due (Fund 1): it is time",
    ):
        assert part in shown, shown


def test_results_and_archives_take_the_place_of_shares() -> None:
    result = ProposalResult("id", 0, PayloadType.PUBLIC, "direct", "Roads", "Mend them", ("yes", "no"), (7, 3))
    gone = replace(result, title=None, index=4)
    archive = ClusterArchive(ArchiveKind.FINAL, "s3://archive/1", 9, NOW)
    election = replace(
        ELECTION, stage=Stage.ARCHIVED, results=(result, gone), archives=(archive,), disputed="nobody came"
    )
    shown = "\n".join(lines(replace(STATUS, elections=(election,)), NOW, 240))
    assert "Mend them              direct  yes: 7, no: 3" in shown
    assert "proposal 4 of plan id  direct  yes: 7, no: 3" in shown
    assert "Fund 1 (disputed: nobody came)" in shown
    assert "final: s3://archive/1" in shown
    assert "Shares" not in shown


def test_nothing_is_cut_on_a_narrow_terminal() -> None:
    shown = "\n".join(lines(STATUS, NOW, 60))
    assert "block 0      " + "ab" * 32 in shown
    assert max(map(len, shown.splitlines())) < 80


def test_an_empty_cluster_says_what_comes_first(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", database_url)
    result = CliRunner().invoke(app, ["status"])
    assert result.exit_code == 0, result.output
    assert "`node-fsm node add` adds one" in result.stdout
    assert "`node-fsm election import` adds one" in result.stdout


async def report(url: str) -> None:
    database = PostgresDatabase(url)
    try:
        await database.report_status(replace(REPORT, updated_at=datetime.now(UTC)))
    finally:
        await database.close()


def test_programs_get_the_same_and_3_says_that_a_person_is_needed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", database_url)
    CliRunner().invoke(app, ["node", "add", "leader0", "--leader-id", ed25519_public_key_text(bytes(32))])
    asyncio.run(report(database_url))
    result = CliRunner().invoke(app, ["status", "--output", "json"])
    told = json.loads(result.stdout)
    assert result.exit_code == 3
    assert told["problems"] == ["leader0: overlap", "leader0: sandbox"]
    assert [(node["hostname"], node["standing"], node["height"]) for node in told["nodes"]] == [
        ("leader0", "heard", 12)
    ]


def test_it_is_followed_only_on_a_terminal(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", database_url)
    result = CliRunner().invoke(app, ["status", "--watch"])
    assert result.exit_code == 2
    assert "--watch" in result.stderr


def test_a_live_screen_follows_the_cluster_until_it_is_interrupted(database_url: str) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"NODE_FSM_DATABASE_URL": database_url, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    screen = subprocess.Popen(
        [Path(sys.executable).with_name("node-fsm"), "status", "--watch"],
        stdout=theirs,
        stdin=theirs,
        stderr=theirs,
        env=environment,
    )
    try:
        os.close(theirs)
        read_until(ours, b"none yet")
        asyncio.run(report(database_url))
        read_until(ours, b"leader0")
        screen.send_signal(signal.SIGINT)
        read_until(ours, b"\x1b[?1049l")  # the terminal is as it was
        assert screen.wait(HANGING) == 0
    finally:
        screen.kill()
        screen.wait()
        os.close(ours)


def read_until(terminal: int, awaited: bytes) -> None:
    seen, end = b"", time.monotonic() + HANGING
    while awaited not in seen:
        assert select.select([terminal], [], [], max(0, end - time.monotonic()))[0], seen
        seen += os.read(terminal, 65536)
