"""How long block 0 of a real election takes, against jcli alone on the same JSON.

    python benchmarks/block0.py ELECTION.json.gz [--jcli PATH] [--rounds N]

ELECTION.json.gz is what a published block 0 says, as JSON: params, leaders, committees, wallets and plans. It is built
anew with keys made here; what comes out must say the same. The goal: at most 1.10 times jcli's own time plus 0.5 s.
"""

import argparse
import asyncio
import gzip
import json
import os
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from node_fsm.block0.genesis import (
    ACCOUNT_FUND,
    GenesisContents,
    check_block0,
    leader_ids,
    signing_accounts,
    write_genesis,
)
from node_fsm.block0.plans import draft_plans
from node_fsm.block0.specification import check_specification
from node_fsm.block0.template import Template
from node_fsm.chain.address import account_address, ed25519_public_key_text
from node_fsm.chain.block0 import Block0Summary
from node_fsm.core.chain_time import BlockDate, ChainClock
from node_fsm.core.model import (
    CommitteeMember,
    ElectionSpec,
    NodeRow,
    Objective,
    Proposal,
    VotingGroup,
)
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.secret import Secret
from node_fsm.programs.jcli import Jcli
from node_fsm.storage.files import new_file

GROUP = "voters"
BATCH = 10_000


@dataclass(frozen=True)
class Case:
    """An election to build: its specification, its voters (address, power), and the keys made for it."""

    spec: ElectionSpec
    template: Template
    offset_minutes: float
    nodes: tuple[NodeRow, ...]
    voters: list[tuple[str, int]]
    leader_key: Secret


def main() -> None:
    """Time both ways in turns and print the best of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("election", type=Path)
    parser.add_argument("--jcli", default=os.environ.get("NODE_FSM_JCLI_PATH") or shutil.which("jcli"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.jcli is None:
        parser.error("no jcli: give --jcli, set NODE_FSM_JCLI_PATH, or have it in PATH")
    with gzip.open(options.election) as file:
        published = json.load(file)
    case = read_case(published, options.jcli)
    before = peak_megabytes()
    ours, alone, checks = [], [], []
    with TemporaryDirectory() as directory:
        genesis, block0 = Path(directory, "genesis.json"), Path(directory, "block0.bin")
        for _ in range(options.rounds):
            start = perf_counter()
            contents = asyncio.run(build(case, options.jcli, genesis, block0))
            ours.append(perf_counter() - start)
            start = perf_counter()
            summary = check_block0(block0, contents)
            checks.append(perf_counter() - start)
            start = perf_counter()
            run(options.jcli, "genesis", "encode", "--input", str(genesis), "--output", f"{block0}.alone")
            alone.append(perf_counter() - start)
    compare(published, summary, case)
    goal = 1.10 * min(alone) + 0.5
    print(f"{len(case.voters)} voters, {len(summary.vote_plans)} plans, {summary.size} bytes; best of {options.rounds}")
    print(f"jcli alone     {min(alone):7.3f} s")
    print(f"plans to bytes {min(ours):7.3f} s = {min(ours) / min(alone):.2f} x jcli, goal {goal:.3f} s")
    print(f"check          {min(checks):7.3f} s")
    print(
        f"peak memory    {peak_megabytes():7.1f} MB, of which {before:.1f} MB before the first build (voters, imports)"
    )
    if min(ours) > goal:
        raise SystemExit("the goal is missed")


async def build(case: Case, jcli_path: str, genesis: Path, block0: Path) -> GenesisContents:
    """The way of the service from a specification to a block 0, with voters from memory."""
    jcli = Jcli(jcli_path)
    own = case.nodes[0].leader_id
    assert own is not None
    dates = check_specification(case.spec, case.nodes, case.template, case.offset_minutes, own).dates
    drafts = draft_plans(case.spec, dates, case.template)
    certificates = {}
    plan, certificate, signed = (genesis.with_name(name) for name in ("plan.json", "plan.cert", "plan.signed"))
    for draft in drafts:
        plan.write_text(json.dumps(draft.document()))
        await jcli.new_vote_plan(plan, certificate)
        await jcli.sign_certificate(certificate, case.leader_key, signed)
        certificates[await jcli.vote_plan_id(certificate)] = signed.read_text().strip()
    committees = [member.id for member in case.spec.committee]
    async with new_file(genesis) as new:
        contents = await write_genesis(
            new.write,
            template=case.template,
            clock=dates.clock,
            leaders=leader_ids(case.nodes),
            committees=committees,
            accounts=signing_accounts(own, committees, case.template),
            funds=batches(case.voters),
            tokens=[(drafts[0].token, batches(case.voters))],
            certificates=certificates,
        )
    await jcli.genesis_encode(genesis, block0)
    return contents


async def batches(voters: list[tuple[str, int]]) -> AsyncIterator[list[tuple[str, int]]]:
    """The voters as a database cursor gives them."""
    for start in range(0, len(voters), BATCH):
        yield voters[start : start + BATCH]


def read_case(published: dict[str, Any], jcli: str) -> Case:
    """The published election as the service would find it specified."""
    params, plans = published["params"], published["plans"]
    clock = ChainClock(
        datetime.fromtimestamp(params["block0_date"], UTC), params["slot_duration"], params["slots_per_epoch"]
    )
    start, end, committee_end = (
        clock.time_at(BlockDate.parse(plans[0][name])) for name in ("vote_start", "vote_end", "committee_end")
    )
    template = Template.model_validate(
        {
            "blockchain_configuration": {
                "discrimination": "production" if params["discrimination"] == 1 else "test",
                "block0_consensus": "bft",
                "slot_duration": params["slot_duration"],
                "slots_per_epoch": params["slots_per_epoch"],
                "block_content_max_size": params["block_content_max_size"],
                "tx_max_expiry_epochs": 1,
                "linear_fees": {"constant": 0, "coefficient": 0, "certificate": 0},
                "consensus_genesis_praos_active_slot_coeff": params["active_slot_coeff"] / 1000,
                "epoch_stability_depth": params["epoch_stability_depth"],
                "kes_update_speed": params["kes_update_speed"],
                "proposal_expiration": 100,
                "treasury": params["treasury"],
                "total_reward_supply": 0,
            }
        }
    )
    committee = tuple(
        CommitteeMember(id=public_key, index=index, public_key=new_member_key(jcli))
        for index, public_key in enumerate(published["committees"])
    )
    numbered = enumerate(proposal for plan in plans for proposal in plan["proposals"])
    proposals = tuple(
        Proposal(number, bytes.fromhex(proposal["external_id"]), tuple(map(str, range(proposal["options"]))))
        for number, proposal in numbered
    )
    # The committee's account is no voter: the service funds it by itself.
    voters = [
        (account_address(bytes.fromhex(key), production=template.production), power)
        for key, power in published["wallets"]
        if key not in published["committees"]
    ]
    spec = ElectionSpec(
        id=1,
        name="published",
        revision=1,
        fingerprint="",
        voting_start=start,
        voting_end=end,
        tallying_end=committee_end,
        committee_threshold=len(committee),
        voting_power_unit=1,
        committee=committee,
        objectives=(Objective(1, "all", PayloadType(plans[0]["payload_type"]), GROUP, proposals),),
        groups=(VotingGroup(GROUP, len(voters), len(voters), sum(power for _, power in voters)),),
        fund_holders=len(voters),
        address_prefixes=(template.address_prefix,),
    )
    leader_key = run(jcli, "key", "generate", "--type", "ed25519")
    own = run(jcli, "key", "to-public", "--input", "/dev/stdin", stdin=leader_key)
    others = [ed25519_public_key_text(bytes.fromhex(key)) for key in published["leaders"][1:]]
    nodes = tuple(NodeRow(f"leader{index}", key, None) for index, key in enumerate([own, *others]))
    offset_minutes = (clock.start - start).total_seconds() / 60
    return Case(spec, template, offset_minutes, nodes, voters, Secret(leader_key))


def new_member_key(jcli: str) -> str:
    """A new committee member's public key."""
    communication_key = run(jcli, "votes", "committee", "communication-key", "generate")
    public = run(
        jcli, "votes", "committee", "communication-key", "to-public", "--input", "/dev/stdin", stdin=communication_key
    )
    member_key = run(
        jcli,
        "votes",
        "committee",
        "member-key",
        "generate",
        "--threshold",
        "1",
        "--crs",
        "benchmark",
        "--index",
        "0",
        "--keys",
        public,
    )
    return run(jcli, "votes", "committee", "member-key", "to-public", "--input", "/dev/stdin", stdin=member_key)


def compare(published: dict[str, Any], summary: Block0Summary, case: Case) -> None:
    """Assert that the new block 0 says what the published one does, but for leader 0's key and its fund."""
    assert summary.configuration["block0_date"] == published["params"]["block0_date"]
    assert list(summary.committees) == published["committees"]
    assert list(summary.leader_ids[1:]) == [node.leader_id for node in case.nodes[1:]]
    assert len(summary.leader_ids) == len(published["leaders"])
    assert summary.funds.entries == len(published["wallets"]) + 1
    assert summary.funds.value == sum(value for _, value in published["wallets"]) + ACCOUNT_FUND
    assert [token.value for token in summary.tokens.values()] == [sum(power for _, power in case.voters)]
    assert len(summary.vote_plans) == len(published["plans"])
    for built, plan in zip(summary.vote_plans, published["plans"], strict=True):
        assert built.payload_type == plan["payload_type"]
        assert [str(built.vote_start), str(built.vote_end), str(built.committee_end)] == [
            plan["vote_start"],
            plan["vote_end"],
            plan["committee_end"],
        ]
        assert [(proposal.external_id, proposal.options) for proposal in built.proposals] == [
            (proposal["external_id"], proposal["options"]) for proposal in plan["proposals"]
        ]


def run(*command: str, stdin: str = "") -> str:
    """What *command* prints."""
    return subprocess.run(command, input=stdin, capture_output=True, check=True, text=True, timeout=600).stdout.strip()


def peak_megabytes() -> float:
    """The most memory that this process ever had, children not counted."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
