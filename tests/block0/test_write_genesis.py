"""Tests of the genesis JSON and of the check of a block 0 against it."""

import functools
import json
import operator
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node_fsm.block0.genesis import MAX_BLOCK0_SIZE, GenesisContents, block0_size, check_block0, leader_ids
from node_fsm.block0.plans import voting_token
from node_fsm.block0.template import Template
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import NodeRow
from tests.block0.examples import (
    BLOCK0,
    CERTIFICATES,
    COMMITTEE,
    COMMITTEE_ACCOUNTS,
    DELEGATES,
    DIRECT,
    FUNDS,
    HOLDERS,
    LEADER_ACCOUNT,
    LEADER_ID,
    OTHER_LEADER_ID,
    SPEC,
    TEMPLATE,
    address,
    batches,
    write_example,
)

SIGNERS = [(account, 1_000_000_000) for account in (LEADER_ACCOUNT, *COMMITTEE_ACCOUNTS)]
TOKENS = {group: voting_token(SPEC.id, group) for group in HOLDERS}


async def written(target: Path, **changes: Any) -> Any:
    await write_example(target, **changes)
    return json.loads(target.read_text())


def entries(document: Any, kind: str) -> list[Any]:
    return [entry[kind] for entry in document["initial"] if kind in entry]


def amounts(outputs: list[Any]) -> list[tuple[str, int]]:
    return [(output["address"], output["value"]) for output in outputs]


async def test_the_json_says_the_template_and_what_the_service_sets(tmp_path: Path) -> None:
    document = await written(tmp_path / "genesis.json")

    assert document["blockchain_configuration"] == TEMPLATE.configuration() | {
        "block0_date": 1894014000,
        "consensus_leader_ids": [LEADER_ID, OTHER_LEADER_ID],
        "committees": [member.id for member in COMMITTEE],
    }
    assert entries(document, "cert") == list(CERTIFICATES.values())


async def test_those_who_sign_are_funded_first_then_the_voters_in_their_order(tmp_path: Path) -> None:
    document = await written(tmp_path / "genesis.json")

    assert amounts(functools.reduce(operator.iadd, entries(document, "fund"), [])) == [*SIGNERS, *FUNDS]
    minted = [(entry["token_id"], holder) for entry in entries(document, "token") for holder in amounts(entry["to"])]
    assert minted == [(TOKENS[group], holder) for group, holders in HOLDERS.items() for holder in holders]


async def test_an_account_that_signs_twice_over_is_funded_once(tmp_path: Path) -> None:
    accounts = [LEADER_ACCOUNT, COMMITTEE_ACCOUNTS[0], LEADER_ACCOUNT]

    document = await written(tmp_path / "genesis.json", accounts=accounts, funds=batches([]))

    assert amounts(functools.reduce(operator.iadd, entries(document, "fund"), [])) == SIGNERS[:2]


@pytest.mark.parametrize(("voters", "sizes"), [(251, [254]), (252, [254, 1]), (505, [254, 254]), (506, [254, 254, 1])])
async def test_an_entry_has_at_most_254_outputs(tmp_path: Path, voters: int, sizes: list[int]) -> None:
    funds = [(address(voter), 1) for voter in range(voters)]

    document = await written(tmp_path / "genesis.json", funds=batches(funds))

    assert [len(entry) for entry in entries(document, "fund")] == sizes


@pytest.mark.parametrize("size", [1, 7, 253, 254, 255, 300, 10_000])
async def test_the_bytes_do_not_depend_on_the_batches_of_the_database(tmp_path: Path, size: int) -> None:
    expected = await write_example(tmp_path / "one")

    contents = await write_example(
        tmp_path / "other",
        funds=batches(FUNDS, size),
        tokens=[(TOKENS[group], batches(holders, size)) for group, holders in HOLDERS.items()],
    )

    assert contents == expected
    assert (tmp_path / "other").read_bytes() == (tmp_path / "one").read_bytes()


async def test_contents_count_and_sum_what_was_written(tmp_path: Path) -> None:
    contents = await write_example(tmp_path / "genesis.json")

    assert (contents.funds.count, contents.funds.value) == (3 + 301, 3_000_000_000 + 45_150 + 3_000)
    assert {token: (held.count, held.value) for token, held in contents.tokens.items()} == {
        TOKENS[DIRECT]: (300, 45_150),
        TOKENS[DELEGATES]: (2, 3_000),
    }
    assert contents.plan_ids == tuple(CERTIFICATES)


async def test_without_a_committee_the_configuration_names_none(tmp_path: Path) -> None:
    document = await written(tmp_path / "genesis.json", committees=[])

    assert "committees" not in document["blockchain_configuration"]


async def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "genesis.json"
    target.write_text("before")

    async def broken() -> AsyncIterator[list[tuple[str, int]]]:
        yield FUNDS
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await write_example(target, funds=broken())

    assert target.read_text() == "before"


async def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    await write_example(tmp_path / "genesis.json")

    assert (tmp_path / "genesis.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "wrong", ["", "ca1", address(1)[:40] + "!" + address(1)[41:], address(1).upper(), "voter@example.org" * 4]
)
async def test_a_voter_without_an_account_address_is_named(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(PermanentError, match=r"voter\.address '.*' is not an account's address") as caught:
        await write_example(tmp_path / "genesis.json", funds=batches([(address(2), 1), (wrong, 1), (address(3), 1)]))

    assert caught.value.reason == "VoterAddressInvalid"
    assert repr(wrong) in caught.value.message


async def test_memory_does_not_grow_with_the_voters(tmp_path: Path) -> None:
    accounts = [address(voter) for voter in range(1_000)]

    async def electorate(thousands: int) -> AsyncIterator[list[tuple[str, int]]]:
        for _ in range(thousands):
            yield [(account, 1) for account in accounts]

    async def peak(thousands: int) -> int:
        tracemalloc.start()
        try:
            await write_example(
                tmp_path / "genesis.json",
                funds=electorate(thousands),
                tokens=[(TOKENS[DIRECT], electorate(thousands))],
            )
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = await peak(3), await peak(60)

    assert many < few + 100_000


async def test_a_block_0_that_could_not_be_published_is_refused_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = BLOCK0.stat().st_size
    monkeypatch.setattr("node_fsm.block0.genesis.MAX_BLOCK0_SIZE", size)
    await write_example(tmp_path / "genesis.json")

    monkeypatch.setattr("node_fsm.block0.genesis.MAX_BLOCK0_SIZE", size - 1)
    with pytest.raises(PermanentError, match=f"block 0 would have {size} bytes, but at most {size - 1}") as caught:
        await write_example(tmp_path / "genesis.json")

    assert caught.value.reason == "Block0TooLarge"


def test_what_is_published_fits_into_a_json_string_of_the_database() -> None:
    assert 4 * -(-MAX_BLOCK0_SIZE // 3) < 268_435_455


def test_a_million_voters_fit() -> None:
    size = block0_size(leaders=3, committees=3, funds=1_000_000, tokens={TOKENS[DIRECT]: 1_000_000})

    assert size == 107_063_411


def test_leaders_take_turns_by_hostname() -> None:
    nodes = [NodeRow("b", "B", None), NodeRow("a10", "A10", None), NodeRow("f", None, None), NodeRow("a", "A", None)]

    assert leader_ids(nodes) == ("A", "A10", "B")


async def asked(tmp_path: Path, **changes: Any) -> GenesisContents:
    return await write_example(tmp_path / "genesis.json", **changes)


async def test_a_block_0_that_says_what_was_asked_is_taken(tmp_path: Path) -> None:
    summary = check_block0(BLOCK0, await asked(tmp_path))

    assert summary.hash == "a96745af83dd439401af76dbd72db3003ab22159094a8bbe9a3e6c85d2d552b3"
    assert summary.size == BLOCK0.stat().st_size


def changed_template(**changes: object) -> Template:
    configuration = TEMPLATE.blockchain_configuration.model_dump() | changes
    return Template.model_validate({"blockchain_configuration": configuration})


def with_direct(holders: list[tuple[str, int]]) -> dict[str, Any]:
    return {"tokens": [(TOKENS[DIRECT], batches(holders)), (TOKENS[DELEGATES], batches(HOLDERS[DELEGATES]))]}


SWAPPED_VALUES = [(FUNDS[0][0], FUNDS[1][1]), (FUNDS[1][0], FUNDS[0][1]), *FUNDS[2:]]
FIRST, SECOND, *OTHERS = HOLDERS[DIRECT]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"template": changed_template(slot_duration=5)}, "configuration slot_duration is 4 instead of 5"),
        ({"template": changed_template(treasury=0)}, "configuration treasury is 1000000 instead of 0"),
        ({"leaders": [OTHER_LEADER_ID, LEADER_ID]}, "configuration consensus_leader_ids is ["),
        ({"committees": []}, "configuration committees is ["),
        ({"funds": batches(FUNDS[:-1])}, "initial fund is 304 entries of 3000048150 in all"),
        ({"funds": batches(SWAPPED_VALUES)}, "initial fund is 304 entries of 3000048150 in all"),
        ({"funds": batches([FUNDS[1], FUNDS[0], *FUNDS[2:]])}, "initial fund is"),
        ({"funds": batches([(address("other"), FUNDS[0][1]), *FUNDS[1:]])}, "initial fund is"),
        (with_direct([SECOND, FIRST, *OTHERS]), f"initial token {TOKENS[DIRECT]} is 300 entries"),
        (with_direct([(address("other"), 1), SECOND, *OTHERS]), f"initial token {TOKENS[DIRECT]} is 300 entries"),
        ({"tokens": []}, f"initial token {TOKENS[DELEGATES]} is 2 entries of 3000 in all"),
        ({"tokens": []}, "instead of None"),
        ({"certificates": {}}, "initial cert 0 is 1a6a3b02"),
        ({"certificates": dict(reversed(CERTIFICATES.items()))}, "initial cert 0 is 1a6a3b02"),
    ],
)
async def test_a_block_0_that_says_something_else_is_refused(
    tmp_path: Path, changes: dict[str, Any], difference: str
) -> None:
    contents = await asked(tmp_path, **changes)

    with pytest.raises(PermanentError) as caught:
        check_block0(BLOCK0, contents)

    assert caught.value.reason == "Block0Differs"
    assert difference in caught.value.message


async def test_a_token_that_nobody_was_to_hold_is_not_missed(tmp_path: Path) -> None:
    contents = await asked(tmp_path)
    nobody = replace(contents.funds, count=0)

    check_block0(BLOCK0, replace(contents, tokens={**contents.tokens, "00": nobody}))


@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: b"", lambda raw: raw[:-5] + b"\0" + raw[-4:]])
async def test_a_damaged_block_0_is_refused(tmp_path: Path, change: Any) -> None:
    damaged = tmp_path / "block0.bin"
    damaged.write_bytes(change(BLOCK0.read_bytes()))

    with pytest.raises(PermanentError, match=r"block0\.bin is not a block 0: ") as caught:
        check_block0(damaged, await asked(tmp_path))

    assert caught.value.reason == "Block0Differs"
