"""After voting: members post shares by the commands, with no more rights than the page gives them."""

import json
import os
import re
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from node_fsm.chain.decryption import share_problem
from node_fsm.cli.committee import STANDING
from node_fsm.core.committee import PostedShare
from node_fsm.database.results import hash_of
from tests.committee.conftest import Committee, make_keys
from tests.support.private_account import account_of_votes

OF_ELECTION = ("--election", "Fund 1")


async def share(committee: Committee, member: int) -> str:
    done = await committee.run("share", *OF_ELECTION, "--key-file", committee.file(member))
    assert done.exit_code == 0, done.output
    return str(done.stdout)


async def status(committee: Committee) -> str:
    done = await committee.run("status", *OF_ELECTION)
    assert done.exit_code == 0, done.output
    return str(done.stdout)


async def test_members_post_valid_shares_of_every_private_plan_once(committee: Committee) -> None:
    publication = await committee.publish()
    await committee.end_voting(publication)
    assert (await status(committee)).count("MISSING") == 2 * 3
    said = await share(committee, 0)
    assert said.startswith("posted your shares of 2 of 2 private plans of Fund 1\n")
    assert all(plan.id in said for plan in publication.plans)
    assert "shares of 2 of 2 private plans of Fund 1 were there already" in await share(committee, 0)
    await share(committee, 1)
    shares = await committee.database.shares(publication.hash)
    assert [(each.plan_id, each.member_key) for each in shares] == [
        (plan.id, member) for member in committee.public_keys[:2] for plan in publication.plans
    ]
    for saved in await committee.database.tally_snapshots(publication.hash):
        sums = [
            each["tally"]["Private"]["state"]["Encrypted"]["encrypted_tally"] for each in saved.printed["proposals"]
        ]
        for each in shares:
            if each.plan_id == saved.plan_id:
                assert each.snapshot_hash == saved.hash
                assert share_problem(sums, each.member_key, each.share) is None
    shown = await status(committee)
    assert shown.count("posted at") == 4
    assert shown.count("MISSING") == 2
    assert shown.endswith("shares are missing of these members: 2\n")
    assert "in 2 d" in shown
    told = json.loads((await committee.run("status", *OF_ELECTION, "--output", "json")).stdout)
    assert list(told) == [column.name for column in STANDING]
    assert told["missing"] == [2]
    for plan in told["plans"]:
        assert [bool(member["posted_at"]) for member in plan["members"]] == [True, True, False]
    await share(committee, 2)
    assert (await status(committee)).endswith("all shares are there\n")


async def test_before_the_sums_are_there_it_says_when_they_will_be(committee: Committee) -> None:
    for published in (False, True):
        if published:
            await committee.publish()
        for command in ("share", "snapshot", "status"):
            options: tuple[object, ...] = ()
            if command == "share":
                options = ("--key-file", committee.file(0))
            elif command == "snapshot":
                options = ("--out", committee.directory / "sums.json")
            early = await committee.run(command, *OF_ELECTION, *options)
            assert early.exit_code == 1
            assert early.stderr.startswith("SnapshotMissing")
            assert "voting ends at 20" in early.stderr
            assert re.search("in 1 d [123] h", early.stderr)
    assert not (committee.directory / "sums.json").exists()


async def test_once_voting_ended_it_says_so(committee: Committee) -> None:
    await committee.publish()
    await committee.sql.execute(
        "UPDATE election SET voting_start = voting_start - $1::interval, voting_end = voting_end - $1::interval",
        timedelta(days=2),
    )
    late = await committee.run("share", *OF_ELECTION, "--key-file", committee.file(0))
    assert "voting ended at" in late.stderr


async def test_an_election_that_is_not_there_or_has_no_private_votes(committee: Committee) -> None:
    unknown = await committee.run("share", "--election", "Fund 2", "--key-file", committee.file(0))
    assert (unknown.exit_code, "no election 'Fund 2'; there are 'Fund 1'" in unknown.stderr) == (3, True)
    await committee.publish()
    await committee.sql.execute("UPDATE vote_plan SET payload_type = 'public'")
    public = await committee.run("share", *OF_ELECTION, "--key-file", committee.file(0))
    assert (public.exit_code, "has no private votes" in public.stderr) == (3, True)


async def test_a_key_of_another_election_or_of_another_kind_is_refused(committee: Committee) -> None:
    await committee.end_voting(publication := await committee.publish())
    [other, *_] = await make_keys(committee.run, committee.directory, "other")
    foreign = await committee.run("share", *OF_ELECTION, "--key-file", committee.directory / "other0.sk")
    assert foreign.exit_code == 3
    assert foreign.stderr.startswith("NotAMember")
    assert other in foreign.stderr
    assert committee.public_keys[2] in foreign.stderr
    kind = await committee.run("share", *OF_ELECTION, "--key-file", committee.directory / "member-communication0.sk")
    assert (kind.exit_code, "another kind" in kind.stderr) == (3, True)
    assert await committee.database.shares(publication.hash) == ()


async def test_a_key_on_a_machine_without_database(committee: Committee, monkeypatch: pytest.MonkeyPatch) -> None:
    await committee.end_voting(publication := await committee.publish())
    sums, shares = committee.directory / "sums.json", committee.directory / "shares.json"
    taken = await committee.run("snapshot", *OF_ELECTION, "--out", sums)
    assert taken.exit_code == 0, taken.output
    again = await committee.run("snapshot", *OF_ELECTION, "--out", sums)
    assert (again.exit_code, "FileExists" in again.stderr) == (3, True)
    url = os.environ["NODE_FSM_DATABASE_URL"]
    monkeypatch.delenv("NODE_FSM_DATABASE_URL")
    made = await committee.run("share", "--snapshot", sums, "--key-file", committee.file(1), "--out", shares)
    assert made.exit_code == 0, made.output
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", url)
    assert await committee.database.shares(publication.hash) == ()
    for said in ("posted your shares of 2 of 2 private plans", "were there already"):
        posted = await committee.run("post", shares)
        assert posted.exit_code == 0, posted.output
        assert said in posted.stdout
    standing = await committee.database.shares(publication.hash)
    assert [each.member_key for each in standing] == [committee.public_keys[1]] * 2


async def test_files_that_are_not_what_they_should_be(committee: Committee) -> None:
    await committee.end_voting(publication := await committee.publish())
    sums, shares = committee.directory / "sums.json", committee.directory / "shares.json"
    await committee.run("snapshot", *OF_ELECTION, "--out", sums)
    offline = ("--key-file", committee.file(1), "--out", shares)

    async def refused(*arguments: object) -> str:
        done = await committee.run(*arguments)
        assert done.exit_code in {1, 3}, done.output
        return str(done.stderr)

    changed = committee.directory / "changed.json"
    document = json.loads(sums.read_text())
    document["plans"][0]["printed"]["vote_end"] = "3.0"
    changed.write_text(json.dumps(document))
    assert "SnapshotDamaged" in await refused("share", "--snapshot", changed, *offline)
    for text in (sums.read_text()[:-40], "[]", "{}", json.dumps({"kind": "node-fsm committee snapshot"})):
        changed.write_text(text)
        assert "committee snapshot --election NAME" in await refused("share", "--snapshot", changed, *offline)
    assert "cannot be read" in await refused("share", "--snapshot", committee.directory / "none", *offline)
    assert not shares.exists()
    assert "is the file of a node-fsm committee snapshot" in await refused("post", sums)
    assert (await committee.run("share", "--snapshot", sums, *offline)).exit_code == 0
    assert "is the file of a node-fsm committee shares" in await refused(
        *("share", "--snapshot", shares, "--key-file", committee.file(1), "--out", committee.directory / "more.json")
    )
    for field, value, reason in (
        ("snapshot_hash", "0" * 64, "SnapshotUnknown"),
        ("member", committee.public_keys[2], "ShareInvalid"),
        ("member", "ristretto255_memberpk1", "NotAMember"),
        ("plan", "0" * 64, "SnapshotUnknown"),
        ("share", ["YQ=="], "ShareInvalid"),
        ("share", "YQ==", "is no list of texts"),
    ):
        document = json.loads(shares.read_text())
        document["plans"][1][field] = value
        changed.write_text(json.dumps(document))
        assert reason in await refused("post", changed)
    document = json.loads(shares.read_text())
    plans = document["plans"]
    changed.write_text(json.dumps(document | {"plans": plans[:1]}))
    assert f"lacks your share of plan {publication.plans[1].id}" in await refused("post", changed)
    changed.write_text(json.dumps(document | {"plans": [*plans, plans[0]]}))
    assert f"has plan {publication.plans[0].id} more than once" in await refused("post", changed)
    changed.write_text(json.dumps(document | {"plans": [plans[0], plans[1] | {"share": ["A" * 2_000_000]}]}))
    assert "is malformed: the share of proposal 0 is not" in (said := await refused("post", changed))
    assert len(said) < 500
    document = json.loads(shares.read_text()) | {"block0_hash": "b" * 64}
    changed.write_text(json.dumps(document))
    assert "is of block 0 bbbb" in await refused("post", changed)
    assert await committee.database.shares(publication.hash) == ()


async def test_a_wrong_share_in_a_members_name_keeps_nobody_from_posting(committee: Committee) -> None:
    await committee.end_voting(publication := await committee.publish())
    snapshots = await committee.database.tally_snapshots(publication.hash)
    forged = [PostedShare(each.plan_id, each.hash, committee.public_keys[0], ("YQ==",)) for each in snapshots]
    await committee.database.post_shares(publication.hash, forged)
    assert "the share that was posted has shares of 1 proposals" in await status(committee)
    told = json.loads((await committee.run("status", *OF_ELECTION, "--output", "json")).stdout)
    assert told["plans"][0]["members"][0]["problem"].startswith("has shares of 1 proposals")
    assert "posted your shares of 2 of 2 private plans" in await share(committee, 0)
    assert (await status(committee)).count("posted at") == 2


async def test_no_second_sum_is_opened_by_a_member_who_opened_one(committee: Committee) -> None:
    await committee.end_voting(publication := await committee.publish())
    await share(committee, 0)
    plan = publication.plans[0]
    other = account_of_votes(plan.id, [[1, 2, 3]] * 2, committee.election_key, committee.public_keys)
    await committee.sql.execute(
        "UPDATE vote_plan SET tally_snapshot = $1, tally_snapshot_hash = $2 WHERE chain_id = $3",
        *(json.dumps(other), hash_of(other), plan.id),
    )
    again = await committee.run("share", *OF_ELECTION, "--key-file", committee.file(0))
    assert (again.exit_code, again.stderr.startswith("SnapshotReplaced")) == (3, True)
    sums, shares = committee.directory / "sums.json", committee.directory / "shares.json"
    await committee.run("snapshot", *OF_ELECTION, "--out", sums)
    await committee.run("share", "--snapshot", sums, "--key-file", committee.file(0), "--out", shares)
    assert "SnapshotReplaced" in (await committee.run("post", shares)).stderr
    assert len(await committee.database.shares(publication.hash)) == 2


async def test_a_share_of_another_account_is_none_though_the_sums_in_it_are_the_same(committee: Committee) -> None:
    await committee.end_voting(await committee.publish())
    await share(committee, 0)
    assert (await status(committee)).count("posted at") == 2
    for row in await committee.sql.fetch("SELECT id, tally_snapshot FROM vote_plan"):
        other = json.loads(row["tally_snapshot"]) | {"vote_end": "3.0"}
        await committee.sql.execute(
            "UPDATE vote_plan SET tally_snapshot = $1, tally_snapshot_hash = $2 WHERE id = $3",
            *(json.dumps(other), hash_of(other), row["id"]),
        )
    shown = await status(committee)
    assert shown.count("posted at") == 0
    assert shown.count("was made of snapshot") == 2


async def test_sums_that_were_changed_in_the_database_are_not_decrypted(committee: Committee) -> None:
    await committee.end_voting(publication := await committee.publish())
    await committee.sql.execute("""UPDATE vote_plan SET tally_snapshot = tally_snapshot || '{"vote_end": "3.0"}'""")
    changed = await committee.run("share", *OF_ELECTION, "--key-file", committee.file(0))
    assert (changed.exit_code, changed.stderr.startswith("SnapshotDamaged")) == (3, True)
    assert await committee.database.shares(publication.hash) == ()


async def test_without_jcli_or_rights_it_says_which(
    committee: Committee, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await committee.end_voting(await committee.publish())
    await committee.sql.execute(f"REVOKE INSERT (share) ON decryption_share FROM {role}")
    refused = await committee.run("share", *OF_ELECTION, "--key-file", committee.file(0))
    assert refused.exit_code == 3
    assert "permission denied for table decryption_share" in refused.stderr
    monkeypatch.setenv("NODE_FSM_JCLI_PATH", "/nowhere/jcli")
    missing = await committee.run("share", *OF_ELECTION, "--key-file", committee.file(0))
    assert (missing.exit_code, "NODE_FSM_JCLI_PATH" in missing.stderr) == (3, True)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT extras FROM election",
        "UPDATE decryption_share SET share = '[]'",
        "DELETE FROM decryption_share",
        "UPDATE vote_plan SET tally_snapshot = NULL",
        "INSERT INTO decryption_share VALUES (1, 'a', 'b', 'c', '[]', '2000-01-01')",
        "SELECT * FROM voter",
    ],
)
async def test_members_may_do_nothing_else(member_url: str, statement: str) -> None:
    connection = await asyncpg.connect(member_url.replace("+asyncpg", ""))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_call_that_is_half_one_way_and_half_the_other(committee: Committee, tmp_path: Path) -> None:
    for options in ((), ("--out", tmp_path / "a"), (*OF_ELECTION, "--snapshot", tmp_path / "a"), ("--snapshot", "a")):
        wrong = await committee.run("share", "--key-file", committee.file(0), *options)
        assert (wrong.exit_code, "give either --election, or --snapshot with --out" in wrong.stderr) == (2, True)
