"""Elections as operators see them, at 80 columns and for programs."""

import csv
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from node_fsm.cli.documents import ELECTION
from node_fsm.cli.results import RESULTS
from node_fsm.cli.show import ELECTIONS
from node_fsm.core.model import ArchiveKind, Publication, StoredArchive
from node_fsm.database.adapter import PostgresDatabase
from tests.cli.commands import invoke
from tests.database.world import START, add_election, publish, results_of
from tests.support.fakes import FACT

URI = f"s3://archive/elections/1-Fund-1/{'a' * 64}/final-{'b' * 16}"


@pytest_asyncio.fixture
async def publication(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publication:
    """Fund 1 with a chain, results and an archive, and Fund 2, which is to come."""
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "80")
    sql = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    database = PostgresDatabase(database_url)
    try:
        election = await add_election(sql)
        await add_election(sql, "Fund 2 \x1b[2J")
        published, _ = await publish(database, election, tmp_path)
        await database.post_results(election, published.hash, results_of(published, votes=5), FACT, disputed="1 of 3")
        kind = ArchiveKind.FINAL
        archive = StoredArchive(election, "Fund 1", published.hash, "r", kind, "t", URI, "00", 9, "{}", START)
        await database.save_archive(archive, FACT)
        return published
    finally:
        await database.close()
        await sql.close()


@pytest.mark.usefixtures("publication")
async def test_all_elections_are_listed_with_their_stage() -> None:
    listed = (await invoke("election", "list")).stdout.splitlines()
    assert [line.split()[:4] for line in listed] == [
        ["election", "stage", "voting", "begins"],
        ["Fund", "1", "archived", f"{START:%Y-%m-%d}"],
        ["Fund", "2", "\\x1b[2J", "to"],
    ]
    assert max(map(len, listed)) <= 80
    rows = json.loads((await invoke("election", "list", "--output", "json")).stdout)
    assert [(row["name"], row["stage"]) for row in rows] == [("Fund 1", "archived"), ("Fund 2 \x1b[2J", "to_come")]
    assert list(rows[0]) == [column.name for column in ELECTIONS]


async def test_an_election_is_shown_in_words_and_identifiers_are_whole(publication: Publication) -> None:
    shown = (await invoke("election", "show", "Fund 1")).stdout
    for words in ("Proposal 0", "yes: 5, no: 5, abstain: 5", "its chain is archived", "disputed       1 of 3"):
        assert words in shown
    for plan in publication.plans:
        assert f"Plan {plan.id}\n" in shown
    assert f"block 0        {publication.hash}\n" in shown
    assert URI in shown.split()
    assert f"vote start     {publication.dates.vote_start} ({START:%Y-%m-%d %H:%M:%SZ})\n" in shown
    assert "…" not in shown
    assert "None" not in shown
    whole = json.loads((await invoke("election", "show", "Fund 1", "--output", "json")).stdout)
    assert set(whole) == {column.name for column in ELECTION}
    plan = whole["plans"][0]
    assert plan["vote_start_at"] == START.isoformat()
    assert [proposal["title"] for proposal in plan["proposals"]] == ["Proposal 0", "Proposal 1"]
    assert plan["results"] == {"00" * 32: [5, 5, 5], "01" * 32: [5, 5, 5]}


@pytest.mark.usefixtures("publication")
async def test_results_are_for_people_and_programs() -> None:
    shown = (await invoke("election", "results", "Fund 1")).stdout
    assert "Proposal 0\ndirect, public votes\noption   votes  share\nyes          5  33.3%\n" in shown
    assert shown.startswith(f"The count of chain {'a' * 64} is disputed, and it may not stand:\n1 of 3\n")
    rows: list[dict[str, Any]] = json.loads((await invoke("election", "results", "Fund 1", "--output", "json")).stdout)
    assert len(rows) == 9
    assert list(rows[0]) == [column.name for column in RESULTS]
    assert (rows[4]["proposal"], rows[4]["option"], rows[4]["votes"]) == ("Proposal 1", "no", 5)
    text = (await invoke("election", "results", "Fund 1", "--output", "csv")).stdout
    read = list(csv.DictReader(text.splitlines()))
    assert [(row["proposal"], row["option"], int(row["votes"])) for row in read] == [
        (row["proposal"], row["option"], row["votes"]) for row in rows
    ]


@pytest.mark.usefixtures("publication")
async def test_an_election_without_results_says_how_far_it_is() -> None:
    said = (await invoke("election", "results", "Fund 2 \x1b[2J")).stdout
    assert said == "Fund 2 \\x1b[2J has no results: its block 0 is not made yet\n"
    assert (await invoke("election", "results", "Fund 2 \x1b[2J", "--output", "json")).stdout == "[]\n"
    assert "`node-fsm election list`" in (await invoke("election", "results", "Fund 3", code=3)).stderr
