"""A private tally, proven from the blocks of a real chain, the real jcli's shares, and nothing that is merely said."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node_fsm.archive.manifest import Manifest, ResultEntry
from node_fsm.archive.private_tally import TallyFiles, check_private_plan, check_private_plans, sum_ballots
from node_fsm.archive.store import archive_chain
from tests.archive.helpers import PRIVATE, PUBLIC, FixedClock, MemoryStore, make_chain, private_tally, request_of
from tests.chain import build

SHARES, SUMS, PROOF = (f"{what} of plan {PRIVATE.plan_id}" for what in ("shares", "encrypted votes", "decryption"))
TALLY = f"tally of plan {PRIVATE.plan_id}"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_chain(tmp_path)


@pytest.fixture
async def manifest(directory: Path) -> Manifest:
    store = MemoryStore()
    made = await archive_chain(store, "s3://bucket", request_of(directory), FixedClock())
    return Manifest.parse(made.manifest.encode())


def off_chain(manifest: Manifest, votes: tuple[tuple[int, ...], ...] = PRIVATE.votes) -> Manifest:
    entry = ResultEntry(plan_id=PRIVATE.plan_id, votes=votes, fragment_id=None, on_chain=False)
    return manifest.model_copy(update={"results": (ResultEntry.of(PUBLIC), entry)})


def untallied(manifest: Manifest) -> Manifest:
    return manifest.model_copy(update={"results": (ResultEntry.of(PUBLIC),), "untallied": "a share is missing"})


def found(directory: Path, manifest: Manifest) -> dict[str, tuple[bool, str]]:
    return {check.name: (check.ok, check.detail) for check in check_private_plans(directory, manifest)}


def faults(directory: Path, manifest: Manifest) -> dict[str, str]:
    return {name: said for name, (ok, said) in found(directory, manifest).items() if not ok}


def change(directory: Path, name: str, edit: Callable[[Any], Any]) -> None:
    file = directory / name
    file.write_text(json.dumps(edit(json.loads(file.read_text()))))


def remove(directory: Path, *names: str) -> None:
    for name in names or private_tally():
        (directory / name).unlink()


def test_a_tally_is_proven(directory: Path, manifest: Manifest) -> None:
    assert found(directory, manifest) == {
        SUMS: (True, "the ballots in the blocks add up to the same"),
        SHARES: (True, "all 2 hold, by the proofs that they carry"),
        PROOF: (True, "the shares open the encrypted votes to just this, and so it is in the blocks"),
    }
    assert faults(directory, off_chain(manifest)) == {}


def test_progress_ends_with_all_of_it(directory: Path, manifest: Manifest) -> None:
    told: list[tuple[int, int]] = []
    list(check_private_plans(directory, manifest, lambda read, size: told.append((read, size))))
    size = (directory / "blocks.bin").stat().st_size
    assert told[-1] == (size, size)


def test_the_blocks_alone_prove_a_tally_in_them(directory: Path, manifest: Manifest) -> None:
    remove(directory)
    assert faults(directory, manifest) == {}


@pytest.mark.parametrize("votes", [((8, 10),), ((11, 7),), ((7, 12),), ((18, 0),), ((7, 11), (0, 0)), ((7,),), ()])
def test_another_result_is_found(directory: Path, manifest: Manifest, votes: tuple[tuple[int, ...], ...]) -> None:
    remove(directory, "tally/plan-1/result.json")
    assert list(faults(directory, off_chain(manifest, votes))) == [PROOF]


def test_off_the_chain_nothing_proves_a_result_without_shares(directory: Path, manifest: Manifest) -> None:
    remove(directory, "tally/plan-1/share-0.json", "tally/plan-1/merged.json")
    assert faults(directory, off_chain(manifest)) == {PROOF: "not all members' shares are there, so nothing proves it"}


def test_a_result_file_with_other_figures_is_found(directory: Path, manifest: Manifest) -> None:
    def other(plan: Any) -> Any:
        plan["proposals"][0]["tally"]["Private"]["state"]["Decrypted"]["result"]["results"] = [8, 10]
        return plan

    change(directory, "tally/plan-1/result.json", other)
    assert faults(directory, manifest) == {PROOF: "result.json has other figures"}


def test_encrypted_sums_that_are_not_those_of_the_ballots_are_found(directory: Path, manifest: Manifest) -> None:
    def doubled(plans: Any) -> Any:
        state = plans[-1]["proposals"][0]["tally"]["Private"]["state"]
        state["Encrypted"]["encrypted_tally"] = state["Encrypted"]["encrypted_tally"][:-4] + "AAAA"
        return plans

    change(directory, "record/vote-plans.json", doubled)
    assert list(faults(directory, manifest)) == [SUMS]


@pytest.mark.parametrize("member", [0, 1])
def test_a_wrong_share_is_found_and_its_member_named(directory: Path, manifest: Manifest, member: int) -> None:
    other = private_tally()[f"tally/plan-1/share-{1 - member}.json"]
    change(directory, f"tally/plan-1/share-{member}.json", lambda _share: other)
    said = faults(directory, manifest)
    assert list(said) == [SHARES]
    assert said[SHARES].startswith(f"the share of member {member} (ristretto255_memberpk1")
    assert "is foreign" in said[SHARES]


def test_a_share_that_is_no_file_is_taken_from_the_tally_in_the_blocks(directory: Path, manifest: Manifest) -> None:
    remove(directory, "tally/plan-1/share-1.json")
    assert faults(directory, manifest) == {}


def test_other_shares_in_the_blocks_are_found(directory: Path, manifest: Manifest) -> None:
    counted, votes = sum_ballots(directory / "blocks.bin", lambda _read, _size: None)
    plan = counted.plans[PRIVATE.plan_id].plan
    [tally] = [tally for tally in counted.tallies if tally.plan_id == plan.id]
    files, entry = TallyFiles.read(directory, 1, plan), (manifest.results or ())[1]
    assert tally.shares
    for shares in (tuple(of[::-1] for of in tally.shares), (tally.shares[0][:1],), ((*tally.shares[0], b""),), ()):
        other = replace(tally, shares=shares)
        checks = list(check_private_plan(files, plan, votes.of(plan), entry, other))
        assert [check.name for check in checks if not check.ok] == [SHARES], shares


def test_shares_that_were_merged_otherwise_are_found(directory: Path, manifest: Manifest) -> None:
    change(directory, "tally/plan-1/merged.json", lambda merged: [of_proposal[::-1] for of_proposal in merged])
    assert faults(directory, manifest) == {SHARES: "merged.json is not made of the members' shares"}


def test_what_is_missing_of_an_untallied_plan_is_said(directory: Path, manifest: Manifest) -> None:
    remove(directory, "tally/plan-1/share-1.json", "tally/plan-1/merged.json", "tally/plan-1/result.json")
    checks = found(directory, untallied(manifest))
    assert all(ok for ok, _ in checks.values())
    assert list(checks) == [SUMS, SHARES]
    assert checks[SHARES][1].startswith("1 of 2 hold; missing: member 1 (ristretto255_memberpk1")


def test_an_untallied_plan_whose_share_is_wrong_is_not_whole(directory: Path, manifest: Manifest) -> None:
    remove(directory, "tally/plan-1/share-1.json", "tally/plan-1/merged.json", "tally/plan-1/result.json")
    change(directory, "tally/plan-1/share-0.json", lambda share: [*share, *share])
    assert faults(directory, untallied(manifest))[SHARES].endswith("has shares of 2 proposals, the plan has 1")


@pytest.mark.parametrize("content", ["", "{", "[[[", "7", "null", '{"a": 1}', "[1]", "[null]", "[" * 100_000, "\xff"])
@pytest.mark.parametrize("name", sorted(private_tally()))
def test_what_is_no_such_file_is_said_in_words(directory: Path, manifest: Manifest, name: str, content: str) -> None:
    (directory / name).write_text(content, encoding="latin-1")
    said = faults(directory, manifest)
    if name.endswith("vote-plans.json") and content == "[]":
        assert not said
    else:
        assert len(said) == 1
        assert max(map(len, said.values())) < 300


def test_a_file_that_is_far_too_large_is_not_read(directory: Path, manifest: Manifest) -> None:
    with (directory / "tally/plan-1/merged.json").open("wb") as file:
        file.truncate(2**40)
    assert list(faults(directory, manifest)) == [TALLY]


def test_an_archive_without_private_plans_is_not_read_again(directory: Path, manifest: Manifest) -> None:
    public = directory / "public"
    public.mkdir()
    (public / "block0.bin").write_bytes(build.block([build.initial()]))
    assert found(public, manifest) == {}
