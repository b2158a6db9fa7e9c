"""``node-fsm tally``: an untallied archive is opened, on the stand-in always and the real jcli where there is one."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from node_fsm_sandbox.formats import ballots
from typer.testing import CliRunner, Result

from node_fsm.archive.manifest import Manifest, Tip
from node_fsm.archive.private_tally import EncryptedVotes
from node_fsm.archive.store import archive_chain
from node_fsm.archive.verify import verify_directory
from node_fsm.chain import bech32
from node_fsm.chain.recount import recount
from node_fsm.cli import app
from node_fsm.core.committee import PostedShare
from node_fsm.core.model import PlanResult
from node_fsm.core.secret import Secret
from node_fsm.importing.committee_files import SharesFile
from node_fsm.programs.jcli import Jcli
from node_fsm.storage.files import write_private
from tests.archive.helpers import FixedClock, MemoryStore, make_chain, private_tally, request_of
from tests.chain import build
from tests.contract.binaries import Binaries
from tests.support.polling import HANGING

POWERS = {build.ANN: 7, build.BOB: 30, build.EVE: 500}
OPTIONS = (3, 2)
VOTES = (((7, 0, 530), (0, 37)), ((537, 0, 0), (7, 30)))
"""By plan, proposal and option; made by `cast`."""


def cast(plan: int, proposal: int) -> dict[bytes, int]:
    """Who chose what."""
    if proposal == 0:
        return {build.ANN: 0, build.BOB: 2, build.EVE: 2} if plan == 0 else dict.fromkeys(POWERS, 0)
    return {build.ANN: 1, build.BOB: 1} if plan == 0 else {build.ANN: 0, build.BOB: 1}


@dataclass(frozen=True, slots=True)
class Untallied:
    """An archive of two private plans with two members, and the keys that open it."""

    jcli: Path
    packed: Path
    keys: list[Path]
    plan_ids: list[str]
    snapshot: Path

    async def tally(self, *arguments: str | Path) -> Result:
        runner = CliRunner(env={"NODE_FSM_JCLI_PATH": str(self.jcli)})
        words = ["tally", "--archive", str(self.packed), *map(str, arguments)]
        return await asyncio.to_thread(runner.invoke, app, words)

    async def share(self, plan: int, member: int, file: Path) -> Path:
        """Have jcli make a member's share of a plan."""
        secret = Secret(self.keys[member].read_text().strip())
        share = await Jcli(str(self.jcli), timeout=HANGING).decryption_shares(
            self.snapshot, self.plan_ids[plan], secret
        )
        file.write_text(json.dumps(share))
        return file


def with_keys(archive: Untallied, *members: int) -> list[str | Path]:
    return [argument for member in members for argument in ("--key-file", archive.keys[member])]


@pytest.fixture
async def archived(binaries: Binaries, tmp_path: Path) -> Callable[..., Any]:
    jcli = Jcli(str(binaries.jcli), timeout=HANGING)
    communication = [await jcli.communication_public_key(await jcli.new_communication_key()) for _ in range(2)]
    secrets = [await jcli.new_member_key(2, "crs", index, communication) for index in range(2)]
    members = [await jcli.member_public_key(secret) for secret in secrets]

    async def make(*shares: tuple[int, int], votes: Any = None, last: bytes | None = None) -> Untallied:
        chain = tmp_path / "chain"
        plan_ids, raw = private_chain(members)
        if last:  # a ballot after all others, after their sums were kept
            vote = build.private_vote(plan_ids[1], build.EVE, proposal=1, options=2, ballot=last)
            raw.append(build.block([vote], parent=build.block_id(raw[-1]), height=2, date=(0, 2)))
        (chain / "record").mkdir(parents=True)
        (chain / "block0.bin").write_bytes(raw[0])
        (chain / "blocks.bin").write_bytes(b"".join(raw))
        with (chain / "blocks.bin").open("rb") as stream:
            sums = EncryptedVotes()
            counted = recount(
                stream, on_ballot=lambda *vote: None if last and vote[2] == last[1:129] else sums.add(*vote)
            )
        account = [plan_account(counted.plans[plan_id].plan, sums, members) for plan_id in plan_ids]
        snapshot = chain / "record/vote-plans.json"
        snapshot.write_text(json.dumps(account[::-1]))  # a node prints them in any order
        keys = [tmp_path / f"member{index}.sk" for index in range(2)]
        for key, secret in zip(keys, secrets, strict=True):
            write_private(key, secret.reveal().encode() + b"\n")
        archive = Untallied(binaries.jcli, tmp_path / "packed", keys, plan_ids, snapshot)
        for plan, member in shares:
            (chain / f"tally/plan-{plan}").mkdir(parents=True, exist_ok=True)
            await archive.share(plan, member, chain / f"tally/plan-{plan}/share-{member}.json")
        tip = Tip(hash=counted.tip.id, date=str(counted.tip.date), height=counted.tip.height)
        results = votes and tuple(
            PlanResult(plan_id=plan_id, votes=of_plan, fragment_id=None, on_chain=False)
            for plan_id, of_plan in zip(plan_ids, votes, strict=True)
        )
        about = {"block0_hash": counted.block0.hash, "tip": tip, "vote_plan_ids": tuple(plan_ids)}
        request = request_of(chain, **about, results=results, untallied=None if votes else "shares were missing")
        store = MemoryStore()
        await archive_chain(store, "s3://bucket", request, FixedClock())
        archive.packed.mkdir()
        for uri, data in store.objects.items():
            (archive.packed / uri.rpartition("/")[2]).write_bytes(data)
        return archive

    return make


def private_chain(members: list[str]) -> tuple[list[str], list[bytes]]:
    """A chain with two private plans and all votes on them: the plans' ids, and its blocks."""
    keys = [bech32.decode(member)[1] for member in members]
    contents = [
        build.plan_content(start=(0, 0), end=(end, 0), options=OPTIONS, private=True, member_keys=keys)
        for end in (1, 2)
    ]
    plan_ids = [build.plan_id(content) for content in contents]
    tokens = [build.token(account, power) for account, power in POWERS.items()]
    block0 = build.block([build.initial(), *tokens, *map(build.plan, contents)])
    election_key = ballots.election_key(keys)

    def ballot(plan_id: str, options: int, choice: int) -> bytes:
        return ballots.encrypt_vote(bytes.fromhex(plan_id), election_key, options, choice)

    fragments = [
        build.private_vote(plan_id, voter, proposal=proposal, ballot=ballot(plan_id, options, choice))
        for plan, plan_id in enumerate(plan_ids)
        for proposal, options in enumerate(OPTIONS)
        for voter, choice in cast(plan, proposal).items()
    ]
    later = build.block(fragments, parent=build.block_id(block0), height=1, date=(0, 1))
    return plan_ids, [block0, later]


def plan_account(plan: Any, votes: EncryptedVotes, members: list[str]) -> dict[str, Any]:
    """What a node says of a plan after voting."""
    return {
        "id": plan.id,
        "payload": "private",
        "vote_start": "0.0",
        "vote_end": "1.0",
        "committee_end": "2.0",
        "committee_member_keys": members,
        "voting_token": plan.voting_token,
        "proposals": [
            {
                "index": index,
                "proposal_id": proposal.external_id,
                "options": {"start": 0, "end": proposal.options},
                "votes_cast": 3,
                "tally": {"Private": {"state": {"Encrypted": {"encrypted_tally": sums.printed()}}}},
            }
            for index, (proposal, sums) in enumerate(zip(plan.proposals, votes.of(plan), strict=True))
        ],
    }


def votes_of(document: str) -> list[list[list[int]]]:
    return [[proposal["votes"] for proposal in plan["proposals"]] for plan in json.loads(document)]


async def test_all_keys_open_it(archived: Callable[..., Any], tmp_path: Path) -> None:
    archive = await archived()
    out = tmp_path / "results.json"
    done = await archive.tally(*with_keys(archive, 0, 1), "--out", out)
    assert done.exit_code == 0, done.output
    expected = json.loads(json.dumps(VOTES))
    assert votes_of(done.stdout) == votes_of(out.read_text()) == expected
    assert [plan["plan_id"] for plan in json.loads(done.stdout)] == archive.plan_ids
    assert [len(plan["shares"]) for plan in json.loads(out.read_text())] == [2, 2]
    everything = done.output + "".join(file.read_text(errors="replace") for file in (out,))
    assert not any(key.read_text().strip() in everything for key in archive.keys)
    assert out.stat().st_mode & 0o777 == 0o600
    manifest = Manifest.parse((archive.packed / "manifest.json").read_bytes())
    assert f"block 0 {manifest.block0_hash}, as they stand at block {manifest.tip.hash} of" in done.stderr
    again = await archive.tally(*with_keys(archive, 0, 1), "--out", archive.keys[0])
    assert (again.exit_code, "FileExists" in again.stderr) == (3, True)
    assert archive.keys[0].read_text().startswith("ristretto255_membersk1")


async def test_shares_in_the_archive_and_handed_in_count_too(archived: Callable[..., Any], tmp_path: Path) -> None:
    archive = await archived((0, 0))
    handed_in = await archive.share(0, 1, tmp_path / "a.json"), await archive.share(1, 0, tmp_path / "b.json")
    done = await archive.tally("--share", handed_in[0], "--share", handed_in[1], *with_keys(archive, 1))
    assert done.exit_code == 0, done.output
    assert votes_of(done.stdout) == json.loads(json.dumps(VOTES))


async def test_the_file_of_committee_share_is_taken(archived: Callable[..., Any], tmp_path: Path) -> None:
    archive = await archived()
    shares = [json.loads((await archive.share(plan, 1, tmp_path / "made.json")).read_text()) for plan in range(2)]
    posted = [
        PostedShare(plan_id, "00", "whose it is, is proven", tuple(share))
        for plan_id, share in zip(archive.plan_ids, shares, strict=True)
    ]
    (tmp_path / "shares.json").write_text(SharesFile("Fund 9", "00", tuple(posted)).text())
    done = await archive.tally("--share", tmp_path / "shares.json", *with_keys(archive, 0))
    assert done.exit_code == 0, done.output
    assert votes_of(done.stdout) == json.loads(json.dumps(VOTES))


async def test_what_is_missing_is_named(archived: Callable[..., Any]) -> None:
    archive = await archived()
    done = await archive.tally(*with_keys(archive, 0))
    assert done.exit_code == 1
    assert not done.stdout
    for plan_id in archive.plan_ids:
        assert f"plan {plan_id} cannot be opened without the shares of member 1 (ristretto255_memberpk1" in done.stderr


async def test_a_foreign_key_is_refused_and_not_shown(archived: Callable[..., Any], tmp_path: Path) -> None:
    archive = await archived()
    jcli = Jcli(str(archive.jcli), timeout=HANGING)
    communication = await jcli.communication_public_key(await jcli.new_communication_key())
    secret = await jcli.new_member_key(1, "crs", 0, [communication])
    write_private(tmp_path / "foreign.sk", secret.reveal().encode())
    done = await archive.tally("--key-file", tmp_path / "foreign.sk", *with_keys(archive, 0, 1))
    assert done.exit_code == 1
    assert "foreign.sk is the key of ristretto255_memberpk1" in done.stderr
    assert "who is no member" in done.stderr
    assert secret.reveal() not in done.output


async def test_a_share_of_another_state_is_refused(archived: Callable[..., Any], tmp_path: Path) -> None:
    archive = await archived()
    plans = json.loads(archive.snapshot.read_text())
    for plan in plans:  # as they were before the last vote, say
        for proposal in plan["proposals"]:
            sums = ballots.EncryptedTally.empty(bytes(32), ballots.public_key(5), proposal["options"]["end"])
            sums.add(bytes(64 * proposal["options"]["end"]), 1)
            state = proposal["tally"]["Private"]["state"]["Encrypted"]
            state["encrypted_tally"] = b64encode(sums.to_bytes()).decode()
    archive.snapshot.write_text(json.dumps(plans))
    share = await archive.share(0, 0, tmp_path / "share.json")
    done = await archive.tally("--share", share, *with_keys(archive, 0, 1))
    assert done.exit_code == 1
    assert "share.json is no share of a member for a plan of this archive" in done.stderr
    assert "of another state of the votes" in done.stderr


async def test_an_archive_that_is_tallied_is_proven_and_left_so(archived: Callable[..., Any]) -> None:
    archive = await archived((0, 0), (0, 1), (1, 0), (1, 1), votes=VOTES)
    done = await archive.tally(*with_keys(archive, 0))
    assert done.exit_code == 0, done.output
    assert votes_of(done.stdout) == json.loads(json.dumps(VOTES))
    assert [plan["made_up"] for plan in json.loads(done.stdout)] == [False, False]
    assert "nothing was made up" in done.stderr


async def test_shares_are_taken_from_the_tally_in_the_blocks(tmp_path: Path) -> None:
    """The chain of a real node, whose tally files are lost."""
    chain = make_chain(tmp_path / "chain")
    for name in private_tally():
        (chain / name).unlink()
    made = await archive_chain(store := MemoryStore(), "s3://bucket", request_of(chain), FixedClock())
    for name in ("manifest.json", "archive.tar.zst"):
        (tmp_path / name).write_bytes(store.objects[f"{made.uri}/{name}"])
    words = ["tally", "--archive", str(tmp_path), "--out", str(tmp_path / "out.json")]
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert done.exit_code == 0, done.output
    assert votes_of(done.stdout) == [[[7, 11]]]
    assert json.loads((tmp_path / "out.json").read_text())[0]["shares"] == [
        private_tally()[f"tally/plan-1/share-{member}.json"] for member in range(2)
    ]


async def test_an_archive_with_other_results_is_refused(archived: Callable[..., Any]) -> None:
    archive = await archived((0, 0), (0, 1), (1, 0), (1, 1), votes=(VOTES[0], ((536, 1, 0), (7, 30))))
    done = await archive.tally(*with_keys(archive, 0, 1))
    assert (done.exit_code, done.stdout) == (3, "")
    assert f"decryption of plan {archive.plan_ids[1]}" in done.stderr


async def test_a_ballot_that_is_none_is_said_in_words(archived: Callable[..., Any], tmp_path: Path) -> None:
    archive = await archived(last=b"\2" + b"\xff" * 128 + b"\1" + bytes(256) + bytes(32))
    done = await archive.tally(*with_keys(archive, 0, 1))
    assert (done.exit_code, done.stdout) == (3, "")
    assert "the ballots in the blocks cannot be added up" in done.stderr
    found = [check async for check in verify_directory(archive.packed, tmp_path)]
    assert [check.name for check in found if not check.ok] == ["encrypted votes"]


async def test_a_damaged_archive_is_refused(archived: Callable[..., Any]) -> None:
    archive = await archived()
    tar = archive.packed / "archive.tar.zst"
    tar.write_bytes(tar.read_bytes()[:-1])
    done = await archive.tally(*with_keys(archive, 0, 1))
    assert done.exit_code == 3
    assert "archive.tar.zst" in done.stderr


def test_there_is_no_archive(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["tally", "--archive", str(tmp_path)])
    assert done.exit_code == 3
    assert "manifest.json" in done.stderr


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", "[1]", "7", "[" * 50_000, "\xff", None])
def test_a_file_that_is_no_share_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "share.json").write_text(content, encoding="latin-1")
    done = CliRunner().invoke(app, ["tally", "--archive", str(tmp_path), "--share", str(tmp_path / "share.json")])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "share.json" in done.stderr


@pytest.mark.parametrize("content", ["", "ed25519_sk1qqq", "ristretto255_membersk1qq qq", "\xff", "a" * 10_000, None])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        write_private(tmp_path / "member.sk", content.encode("latin-1"))
    done = CliRunner().invoke(app, ["tally", "--archive", str(tmp_path), "--key-file", str(tmp_path / "member.sk")])
    assert (done.exit_code, done.stdout) == (3, "")
    assert "member.sk " in done.stderr
    assert not content or content not in done.stderr
