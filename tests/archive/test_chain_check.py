"""Whether a chain's files confirm what is said of them: on the chain of a real node, and on what is no longer it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node_fsm.archive.check import Claims, check_block0, check_chain
from node_fsm.archive.manifest import ResultEntry
from tests.archive.helpers import PRIVATE, PUBLIC, TIP, block0_hash, make_chain
from tests.chain.helpers import stored

RESULTS = tuple(map(ResultEntry.of, (PUBLIC, PRIVATE)))
CLAIMS = Claims(block0_hash(), TIP, (PUBLIC.plan_id, PRIVATE.plan_id), RESULTS)
OTHER_HASH = "0" * 64


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    return make_chain(tmp_path)


def faults(blocks: Path, claims: Claims = CLAIMS) -> dict[str, str]:
    return {check.name: check.detail for check in check_chain(blocks, claims) if not check.ok}


def result(entry: ResultEntry, **changes: Any) -> tuple[ResultEntry, ...]:
    return tuple(other.model_copy(update=changes) if other is entry else other for other in RESULTS)


def test_a_true_chain_is_confirmed(chain: Path) -> None:
    assert check_block0(chain / "block0.bin", block0_hash()).ok
    assert [check.name for check in check_chain(chain / "blocks.bin", CLAIMS)] == [
        "blocks.bin",
        "vote plans",
        f"results of plan {PUBLIC.plan_id}",
        f"results of plan {PRIVATE.plan_id}",
    ]
    assert faults(chain / "blocks.bin") == {}


def test_a_chain_without_results_is_confirmed(chain: Path) -> None:
    assert faults(chain / "blocks.bin", replace(CLAIMS, results=None)) == {}


def test_another_block0_is_found(chain: Path) -> None:
    check = check_block0(chain / "block0.bin", OTHER_HASH)
    assert not check.ok
    assert block0_hash() in check.detail
    assert OTHER_HASH in check.detail
    assert "block 0" in faults(chain / "blocks.bin", replace(CLAIMS, block0_hash=OTHER_HASH))["blocks.bin"]


@pytest.mark.parametrize("change", [{"hash": OTHER_HASH}, {"date": "0.14"}, {"height": 12}])
def test_another_tip_is_found(chain: Path, change: dict[str, Any]) -> None:
    claims = replace(CLAIMS, tip=TIP.model_copy(update=change))
    assert TIP.hash in faults(chain / "blocks.bin", claims)["blocks.bin"]


@pytest.mark.parametrize("plans", [(), (PUBLIC.plan_id,), (PUBLIC.plan_id, PRIVATE.plan_id, OTHER_HASH)])
def test_other_plans_are_found(chain: Path, plans: tuple[str, ...]) -> None:
    assert list(faults(chain / "blocks.bin", replace(CLAIMS, vote_plan_ids=plans))) == ["vote plans"]


@pytest.mark.parametrize("results", [RESULTS[:1], RESULTS + RESULTS[:1], ()])
def test_each_plan_has_one_result(chain: Path, results: tuple[ResultEntry, ...]) -> None:
    assert list(faults(chain / "blocks.bin", replace(CLAIMS, results=results))) == ["vote plans"]


def test_a_private_plan_may_lack_its_result_and_says_why(chain: Path) -> None:
    claims = replace(CLAIMS, results=RESULTS[:1], untallied="a share is missing")
    assert faults(chain / "blocks.bin", claims) == {}
    (plans,) = [check for check in check_chain(chain / "blocks.bin", claims) if check.name == "vote plans"]
    assert plans.detail == "the 2 of block 0, of which 1 private ones have no result: a share is missing"
    assert list(faults(chain / "blocks.bin", replace(claims, results=RESULTS[1:]))) == ["vote plans"]


@pytest.mark.parametrize(
    ("results", "plan_id"),
    [
        (result(RESULTS[0], votes=((0, 35, 301), (15, 0))), PUBLIC.plan_id),
        (result(RESULTS[0], votes=((0, 35, 300),)), PUBLIC.plan_id),
        (result(RESULTS[0], fragment_id=PRIVATE.fragment_id), PUBLIC.plan_id),
        (result(RESULTS[0], fragment_id=None), PUBLIC.plan_id),
        (result(RESULTS[1], votes=((8, 10),)), PRIVATE.plan_id),
    ],
)
def test_another_result_is_found(chain: Path, results: tuple[ResultEntry, ...], plan_id: str) -> None:
    assert list(faults(chain / "blocks.bin", replace(CLAIMS, results=results))) == [f"results of plan {plan_id}"]


def test_a_private_result_off_the_chain_is_said_to_be_unconfirmed(chain: Path) -> None:
    claims = replace(CLAIMS, results=result(RESULTS[1], votes=((9, 9),), fragment_id=None, on_chain=False))
    check = list(check_chain(chain / "blocks.bin", claims))[-1]
    assert check.ok
    assert "cannot confirm" in check.detail


def test_missing_files_are_found(chain: Path) -> None:
    assert not check_block0(chain / "none", block0_hash()).ok
    assert list(faults(chain / "none")) == ["blocks.bin"]


def test_every_changed_byte_is_found(chain: Path) -> None:
    blocks = stored("blocks.b64")
    for position in range(0, len(blocks), 17):
        changed = bytearray(blocks)
        changed[position] ^= 1
        (chain / "blocks.bin").write_bytes(changed)
        assert faults(chain / "blocks.bin"), position


def test_a_chain_cut_short_is_found(chain: Path) -> None:
    blocks = stored("blocks.b64")
    for size in (0, 1, 100, len(blocks) // 2, len(blocks) - 1):
        (chain / "blocks.bin").write_bytes(blocks[:size])
        assert faults(chain / "blocks.bin"), size
