"""Block 0 from plans to bytes by the real jcli."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from node_fsm.block0.genesis import block0_size, check_block0
from node_fsm.block0.plans import draft_plans, voting_token
from node_fsm.block0.specification import check_specification
from node_fsm.block0.template import Template
from node_fsm.chain.block0 import Block0Summary
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ElectionSpec, Objective
from node_fsm.core.secret import Secret
from node_fsm.programs.jcli import Jcli
from tests.block0.examples import (
    BLOCK0,
    CERTIFICATES,
    COMMITTEE,
    DELEGATES,
    DIRECT,
    FUNDS,
    HOLDERS,
    LEADER_ACCOUNT,
    LEADER_ID,
    LEADER_SEED,
    NODES,
    PRIVATE_OBJECTIVE,
    PUBLIC_OBJECTIVE,
    SPEC,
    TEMPLATE,
    address,
    batches,
    proposal,
    write_example,
)
from tests.support.polling import HANGING

LEADER_ONLY: dict[str, Any] = {"leaders": [LEADER_ID], "committees": [], "accounts": [LEADER_ACCOUNT]}


@pytest.fixture
def jcli(real_jcli: Path) -> Jcli:
    return Jcli(str(real_jcli))


@pytest.fixture
def leader_key(real_jcli: Path) -> Secret:
    command = [str(real_jcli), "key", "generate", "--type", "ed25519", "--seed", LEADER_SEED]
    return Secret(subprocess.run(command, capture_output=True, check=True, text=True, timeout=HANGING).stdout.strip())


async def certificates(
    jcli: Jcli, key: Secret, directory: Path, spec: ElectionSpec = SPEC, offset_minutes: float = -60
) -> dict[str, str]:
    """The signed certificates of all plans of *spec* by plan id."""
    dates = check_specification(spec, NODES, TEMPLATE, offset_minutes, LEADER_ID).dates
    document, certificate, signed = (directory / name for name in ("plan.json", "plan.cert", "plan.signed"))
    found = {}
    for draft in draft_plans(spec, dates, TEMPLATE):
        document.write_text(json.dumps(draft.document()))
        await jcli.new_vote_plan(document, certificate)
        await jcli.sign_certificate(certificate, key, signed)
        found[await jcli.vote_plan_id(certificate)] = signed.read_text().strip()
    return found


async def encoded(jcli: Jcli, directory: Path, **changes: Any) -> Block0Summary:
    """Write the example with *changes*, encode it and check what became of it."""
    contents = await write_example(directory / "genesis.json", **changes)
    await jcli.genesis_encode(directory / "genesis.json", directory / "block0.bin")
    summary = check_block0(directory / "block0.bin", contents)
    assert summary.hash == await jcli.genesis_hash(directory / "block0.bin")
    return summary


def many(count: int, objective: Objective) -> Objective:
    return replace(objective, proposals=tuple(map(proposal, range(objective.id * 1000, objective.id * 1000 + count))))


async def test_the_example_gives_the_same_certificates_and_bytes_as_ever(
    jcli: Jcli, leader_key: Secret, tmp_path: Path
) -> None:
    assert await certificates(jcli, leader_key, tmp_path) == CERTIFICATES

    await encoded(jcli, tmp_path)

    assert (tmp_path / "block0.bin").read_bytes() == BLOCK0.read_bytes()


async def test_jcli_decodes_what_was_written(jcli: Jcli, real_jcli: Path, tmp_path: Path) -> None:
    await encoded(jcli, tmp_path)

    command = [str(real_jcli), "genesis", "decode", "--input", str(tmp_path / "block0.bin")]
    printed = subprocess.run(command, capture_output=True, check=True, timeout=HANGING).stdout

    decoded, asked = yaml.safe_load(printed), json.loads((tmp_path / "genesis.json").read_text())
    assert decoded["blockchain_configuration"] == asked["blockchain_configuration"]
    assert flat(decoded["initial"]) == flat(asked["initial"])


def flat(initial: list[dict[str, Any]]) -> list[Any]:
    """One item for each fund, token and certificate, however they are grouped."""
    items: list[Any] = []
    for entry in initial:
        items += [("fund", output) for output in entry.get("fund", [])]
        if "token" in entry:
            items += [(entry["token"]["token_id"], holder) for holder in entry["token"]["to"]]
        if "cert" in entry:
            items.append(entry["cert"])
    return items


@pytest.mark.parametrize("voters", [252, 253, 254, 255, 508, 509])
async def test_entries_are_cut_where_jcli_needs_it(jcli: Jcli, tmp_path: Path, voters: int) -> None:
    holders = [(address(voter), voter + 1) for voter in range(voters)]
    token = voting_token(SPEC.id, DIRECT)

    summary = await encoded(
        jcli, tmp_path, **LEADER_ONLY, funds=batches(holders), tokens=[(token, batches(holders))], certificates={}
    )

    assert summary.funds.entries == voters + 1
    assert summary.tokens[token] == (voters, voters * (voters + 1) // 2)


async def test_the_size_is_known_before_encoding(jcli: Jcli, leader_key: Secret, tmp_path: Path) -> None:
    spec = replace(SPEC, objectives=(many(300, PUBLIC_OBJECTIVE), many(2, PRIVATE_OBJECTIVE)))
    signed = await certificates(jcli, leader_key, tmp_path, spec)

    summary = await encoded(jcli, tmp_path, certificates=signed)

    assert summary.size == block0_size(
        leaders=2,
        committees=len(COMMITTEE),
        funds=summary.funds.entries,
        tokens={voting_token(SPEC.id, group): len(holders) for group, holders in HOLDERS.items()},
        certificates=list(signed.values()),
    )


async def test_full_plans_of_both_kinds_are_taken(jcli: Jcli, leader_key: Secret, tmp_path: Path) -> None:
    spec = replace(SPEC, objectives=(many(256, PUBLIC_OBJECTIVE), many(256, PRIVATE_OBJECTIVE)))
    signed = await certificates(jcli, leader_key, tmp_path, spec)

    summary = await encoded(jcli, tmp_path, certificates=signed)

    assert [(plan.payload_type, len(plan.proposals)) for plan in summary.vote_plans] == [
        ("public", 255),
        ("public", 1),
        ("private", 255),
        ("private", 1),
    ]
    assert [plan.voting_token for plan in summary.vote_plans[1:3]] == [
        voting_token(SPEC.id, DIRECT),
        voting_token(SPEC.id, DELEGATES),
    ]
    external_ids = [plan_proposal.external_id for plan in summary.vote_plans for plan_proposal in plan.proposals]
    assert external_ids == [each.external_id.hex() for objective in spec.objectives for each in objective.proposals]


@pytest.mark.parametrize("offset_minutes", [0, -0.01, -61])
async def test_the_chain_may_start_with_the_voting_or_before(
    jcli: Jcli, leader_key: Secret, tmp_path: Path, offset_minutes: float
) -> None:
    clock = check_specification(SPEC, NODES, TEMPLATE, offset_minutes, LEADER_ID).dates.clock
    signed = await certificates(jcli, leader_key, tmp_path, offset_minutes=offset_minutes)

    summary = await encoded(jcli, tmp_path, clock=clock, certificates=signed)

    plan = summary.vote_plans[0]
    dates = (plan.vote_start, plan.vote_end, plan.committee_end)
    times = [summary.clock.time_at(date) for date in dates]
    assert times == [SPEC.voting_start, SPEC.voting_end, SPEC.tallying_end]
    assert summary.clock == clock


async def test_the_greatest_electorate_that_passes_the_check_is_encoded_and_one_unit_more_is_not(
    jcli: Jcli, tmp_path: Path
) -> None:
    template = Template.model_validate(
        {"blockchain_configuration": TEMPLATE.blockchain_configuration.model_dump() | {"total_reward_supply": 5}}
    )
    most = template.max_funds - 1_000_000_000
    token = voting_token(SPEC.id, DIRECT)

    def electorate(units: int) -> dict[str, Any]:
        holders = [(address(1), units - 1), (address(2), 1)]
        return LEADER_ONLY | {
            "template": template,
            "funds": batches(holders),
            "tokens": [(token, batches(holders))],
            "certificates": {},
        }

    assert (await encoded(jcli, tmp_path, **electorate(most))).tokens[token].value == most
    with pytest.raises(PermanentError, match="Total initial value is too big"):
        await encoded(jcli, tmp_path, **electorate(most + 1))


async def test_a_voter_of_two_groups_has_the_tokens_of_both(jcli: Jcli, tmp_path: Path) -> None:
    assert {address(1)} == {voter for voter, _ in HOLDERS[DIRECT]} & {voter for voter, _ in HOLDERS[DELEGATES]}

    summary = await encoded(jcli, tmp_path)

    assert sum(total.value for total in summary.tokens.values()) == sum(units for _, units in FUNDS)


@pytest.mark.parametrize(
    "changes",
    [
        {"slot_duration": 255, "slots_per_epoch": 1_000_000, "tx_max_expiry_epochs": 255},
        {"block_content_max_size": 2**32 - 1, "epoch_stability_depth": 2**32 - 1, "proposal_expiration": 2**32 - 1},
        {"slot_duration": 1, "slots_per_epoch": 1, "kes_update_speed": 60, "treasury": 0, "epoch_stability_depth": 0},
        {"kes_update_speed": 365 * 24 * 3600, "consensus_genesis_praos_active_slot_coeff": 0.001},
    ],
)
async def test_jcli_takes_what_the_template_allows(jcli: Jcli, tmp_path: Path, changes: dict[str, Any]) -> None:
    template = Template.model_validate(
        {"blockchain_configuration": TEMPLATE.blockchain_configuration.model_dump() | changes}
    )

    await encoded(jcli, tmp_path, template=template)
