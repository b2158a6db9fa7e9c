"""A real election through the whole service: imported, built, published and run on the real node.

    python benchmarks/real_election.py ELECTION.json.gz

ELECTION.json.gz is what a published block 0 says, as JSON: params, leaders, committees, wallets and plans. It is
imported with its times shifted by whole epochs, so that its chain starts now, and with one more leader, whose key is
made here; so are the keys of a committee's members when its votes are private. Block 0 is decoded with jcli and must
say the same; the node must make blocks on it. Printed: the time of BuildingVotePlan and GeneratingBlock0 beside jcli
alone on the same JSON, and the service's peak memory. The goal is at most 1.10 times jcli's own time plus 0.5 s.
"""

import argparse
import asyncio
import csv
import gzip
import json
import os
import shutil
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import yaml
from node_fsm_sandbox.election.binaries import Binaries, script
from node_fsm_sandbox.election.cluster import Cluster, Member, closing
from node_fsm_sandbox.election.committee import new_member_keys
from node_fsm_sandbox.election.environment import isolate, service_environment
from node_fsm_sandbox.election.outside import Servers, running_servers
from node_fsm_sandbox.election.part import leader0
from sqlalchemy import text

from node_fsm.chain.address import ed25519_public_key_text, parse_account_address
from node_fsm.chain.block0 import summarise
from node_fsm.core.chain_time import BlockDate, ChainClock
from node_fsm.core.errors import ServiceError
from node_fsm.database.administration import add_node
from node_fsm.database.session import Session
from node_fsm.ports.answers import NodeStats
from node_fsm.programs.jcli import Jcli
from node_fsm.steps.decryption_speed import measure as measure_speed
from node_fsm.storage.workspace import Workspace

BUCKET, NAME, GROUP = "node-fsm", "published", "voters"
SECONDS = 180

_PHASES = text('SELECT "from", "to", at FROM phase_journal ORDER BY at')


async def main() -> None:
    """Run the election up to its first blocks, compare, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("election", type=Path)
    options = parser.parse_args()
    binaries = await Binaries.find(binary("jcli", "NODE_FSM_JCLI_PATH"), binary("jormungandr", "NODE_FSM_JORM_PATH"))
    with gzip.open(options.election) as file:
        published = json.load(file)
    isolate(os.environ)
    async with running_servers(BUCKET) as servers:
        with TemporaryDirectory() as directory:
            await measure(published, binaries, servers, Path(directory))


async def measure(published: dict[str, Any], binaries: Binaries, servers: Servers, directory: Path) -> None:
    """Import the election, run the service until the node makes blocks, and compare."""
    jcli, clock = str(binaries.jcli), shifted_clock(published)
    for number, key in enumerate(published["leaders"], 1):
        await add_node(servers.session, f"leader{number}", ed25519_public_key_text(bytes.fromhex(key)))
    settings = settings_of_all(published, clock, binaries, directory)
    members = [key for _, key in await new_member_keys(Jcli(jcli), members_of(published))]
    async with closing(Cluster(servers.outside, directory, directory, settings)) as cluster:
        part = leader0()
        assert part.wallet
        (member,) = await cluster.add(part)
        start = perf_counter()
        command = [str(script("node-fsm")), "election", "import", *import_files(published, members, clock, directory)]
        run(*command, environment=service_environment(os.environ, directory, member.service.settings))
        print(f"imported {len(published['wallets']) - 1} voters in {perf_counter() - start:.2f} s")
        if members:
            await measure_decryption(binaries, member.storage)
        await member.service.start()
        stats = await first_blocks(member)
        peak = peak_megabytes(member.service.process.pid)
        assert await cluster.stop() == []
        (chain,) = member.storage.glob("elections/*/*/block0.bin")
    compare(published, run(jcli, "genesis", "decode", "--input", str(chain)), clock, part.wallet.leader_id)
    compare_plans(published, members, chain)
    print(f"the node runs on it: height {stats.height}, date {stats.tip_date}")
    building = await building_seconds(servers.session)
    alone = min(encode_seconds(jcli, chain.with_name("genesis.json")) for _ in range(3))
    goal = 1.10 * alone + 0.5
    print(f"block 0 has {chain.stat().st_size} bytes")
    print(f"jcli genesis encode alone              {alone:7.3f} s")
    print(f"BuildingVotePlan and GeneratingBlock0  {building:7.3f} s = {building / alone:.2f} x, goal {goal:.3f} s")
    print(f"the service's peak memory              {peak:7.1f} MB")
    if building > goal:
        raise SystemExit("the goal is missed")


def shifted_clock(published: dict[str, Any]) -> ChainClock:
    """The published chain's clock, later by as many whole epochs as bring its start close to now."""
    params = published["params"]
    clock = ChainClock(
        datetime.fromtimestamp(params["block0_date"], UTC), params["slot_duration"], params["slots_per_epoch"]
    )
    epoch = timedelta(seconds=clock.slot_duration * clock.slots_per_epoch)
    return ChainClock(
        clock.start + (datetime.now(UTC) - clock.start) // epoch * epoch, clock.slot_duration, clock.slots_per_epoch
    )


def settings_of_all(
    published: dict[str, Any], clock: ChainClock, binaries: Binaries, directory: Path
) -> dict[str, str]:
    """The settings of every service and command, a template with the published parameters among them."""
    params = published["params"]
    template = {
        "discrimination": "production",
        "block0_consensus": "bft",
        "slot_duration": clock.slot_duration,
        "slots_per_epoch": clock.slots_per_epoch,
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
    file = directory / "template.yaml"
    file.write_text(yaml.safe_dump({"blockchain_configuration": template}))
    offset = -(date_time(published, clock, "vote_start") - clock.start).total_seconds() / 60
    return {
        "NODE_FSM_BLOCK0_TEMPLATE": str(file),
        "NODE_FSM_JCLI_PATH": str(binaries.jcli),
        "NODE_FSM_JORM_PATH": str(binaries.jormungandr),
        "NODE_FSM_VOTING_START_OFFSET_MINUTES": str(offset),
    }


async def measure_decryption(binaries: Binaries, storage: Path) -> None:
    """Do what a service does in Waiting when the first private election is to come: once for each version of jcli."""
    storage.mkdir(mode=0o700)
    start = perf_counter()
    speed = await measure_speed(Jcli(str(binaries.jcli)), storage)
    print(f"the speed of decryption measured in {perf_counter() - start:.2f} s")
    Workspace(storage).decryption_speed.write_text(json.dumps(speed.document()))


def import_files(published: dict[str, Any], members: list[str], clock: ChainClock, directory: Path) -> list[str]:
    """Write the election as an operator would; the committee's account is no voter: the service funds it itself."""
    names = {"voting_start": "vote_start", "voting_end": "vote_end", "tallying_end": "committee_end"}
    document = {
        "name": NAME,
        "description": "a published election, later",
        **{column: date_time(published, clock, date).isoformat() for column, date in names.items()},
        "committee_threshold": len(members),
        "committee": [
            {"id": key, "member_index": index, "member_public_key": members[index] if members else None}
            for index, key in enumerate(published["committees"])
        ],
        "objectives": objectives_of(published, published["plans"][0]["payload_type"]),
    }
    election, voters = directory / "election.yaml", directory / "voters.csv"
    election.write_text(yaml.safe_dump(document, sort_keys=False))
    with voters.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["voting_key", "voting_group", "voting_power"])
        rows.writerows([key, GROUP, power] for key, power in published["wallets"] if key not in published["committees"])
    return [str(election), "--voters", str(voters)]


def objectives_of(published: dict[str, Any], payload_type: str) -> list[dict[str, Any]]:
    """All published proposals in one objective, as an import file has them."""
    proposals = [
        {
            "title": f"proposal {number}",
            "options": [f"option {option}" for option in range(proposal["options"])],
            "external_id": proposal["external_id"],
        }
        for number, proposal in enumerate(proposals_of(published))
    ]
    return [{"title": "all", "payload_type": payload_type, "voting_group": GROUP, "proposals": proposals}]


async def first_blocks(member: Member) -> NodeStats:
    """Wait until the node has made a block; its statistics."""
    await member.service.wait_for(SECONDS, phase="Running")
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                stats = await member.node.stats()
                if stats.height > 0:
                    return stats
            except ServiceError:
                pass  # it starts
            await asyncio.sleep(0.5)


def compare(published: dict[str, Any], decoded: str, clock: ChainClock, own: str) -> None:
    """Assert that the new block 0 says what the published one does, but for our leader and its fund."""
    said = yaml.load(decoded, Loader=yaml.CSafeLoader)
    configuration = said["blockchain_configuration"]
    assert configuration["block0_date"] == int(clock.start.timestamp())
    leaders = {ed25519_public_key_text(bytes.fromhex(key)) for key in published["leaders"]} | {own}
    assert set(configuration["consensus_leader_ids"]) == leaders
    assert configuration["committees"] == published["committees"]
    funds, tokens, certificates = Counter[str](), Counter[str](), 0
    for entry in said["initial"]:
        for output in entry.get("fund", ()):
            funds[parse_account_address(output["address"]).public_key.hex()] += output["value"]
        for output in entry.get("token", {}).get("to", ()):
            tokens[parse_account_address(output["address"]).public_key.hex()] += output["value"]
        certificates += "cert" in entry
    wallets = dict(published["wallets"])
    fund_of_own = [key for key in funds if key not in wallets]
    assert len(fund_of_own) == 1
    assert {key: value for key, value in funds.items() if key in wallets} == wallets
    assert tokens == {key: power for key, power in wallets.items() if key not in published["committees"]}
    assert certificates == len(published["plans"])
    print(
        f"equal: {len(wallets)} wallets, {len(tokens)} token holders with {tokens.total()} tokens,"
        f" {len(published['committees'])} committee, {len(leaders)} leaders"
    )


def compare_plans(published: dict[str, Any], members: list[str], block0: Path) -> None:
    """Assert that plans, kinds of votes, proposals in order, and dates are the published ones."""
    with block0.open("rb") as stream:
        plans = summarise(stream).vote_plans
    for built, plan in zip(plans, published["plans"], strict=True):
        dates = [str(built.vote_start), str(built.vote_end), str(built.committee_end)]
        assert dates == [plan["vote_start"], plan["vote_end"], plan["committee_end"]]
        assert built.payload_type == plan["payload_type"]
        assert built.committee_member_public_keys == tuple(members)
        assert [(proposal.external_id, proposal.options) for proposal in built.proposals] == [
            (proposal["external_id"], proposal["options"]) for proposal in plan["proposals"]
        ]
    kind = f"{plan['payload_type']} plans"
    print(f"equal: {len(plans)} {kind}, {len(proposals_of(published))} proposals in order, dates {', '.join(dates)}")


async def building_seconds(session: Session) -> float:
    """From the entry into BuildingVotePlan to the end of GeneratingBlock0, by the journal."""
    async with session.transaction("journal") as connection:
        rows = (await connection.execute(_PHASES)).all()
    entered = next(row.at for row in rows if row.to == "BuildingVotePlan")
    left = next(row.at for row in rows if row[0] == "GeneratingBlock0" != row.to)
    return float((left - entered).total_seconds())


def encode_seconds(jcli: str, genesis: Path) -> float:
    """The time of jcli alone on the same JSON."""
    start = perf_counter()
    run(jcli, "genesis", "encode", "--input", str(genesis), "--output", str(genesis.with_name("alone.bin")))
    return perf_counter() - start


def peak_megabytes(pid: int) -> float:
    """The most memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def binary(name: str, variable: str) -> Path:
    """The path of a real binary."""
    found = os.environ.get(variable) or shutil.which(name)
    if found is None:
        raise SystemExit(f"no {name}: set {variable}, or have it in PATH")
    return Path(found)


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """What *command* prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def members_of(published: dict[str, Any]) -> int:
    """How many members open the votes; the same of all plans, and one for each account of the committee."""
    (members,) = {plan["committee_member_keys"] for plan in published["plans"]}
    assert members in {0, len(published["committees"])}
    return int(members)


def proposals_of(published: dict[str, Any]) -> list[dict[str, Any]]:
    """All proposals in the order of the plans."""
    return [proposal for plan in published["plans"] for proposal in plan["proposals"]]


def date_time(published: dict[str, Any], clock: ChainClock, name: str) -> datetime:
    """When a date of the plans is on the shifted chain."""
    return clock.time_at(BlockDate.parse(published["plans"][0][name]))


if __name__ == "__main__":
    asyncio.run(main())
