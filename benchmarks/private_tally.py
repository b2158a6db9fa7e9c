"""The tally of a private election by the service, beside the commands that a person would type.

    python -m benchmarks.private_tally ELECTION.json.gz [--ballots 2000] [--voters 250] [--members 1]

ELECTION.json.gz is what a published block 0 says, as JSON: its proposals, its slots and size of blocks, and the largest
of its wallets' powers are taken. The ballots are made by jcli and cast on the real node; members' keys
are in S3. Whatever was drawn must come out. The service's time is from the stored sums until all results stand in the
database; it checks the shares and the results by their proofs, too. Meanwhile its heartbeat is asked for all the time,
and must answer within 100 ms. Then the commands are run one after the other on the same sums. The goal is at most 1.10
times their time, and less than it on two cores.
"""

import argparse
import asyncio
import gzip
import json
import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import yaml
from node_fsm_sandbox.election.binaries import Binaries, script
from node_fsm_sandbox.election.cluster import Cluster, Member, closing
from node_fsm_sandbox.election.committee import new_member_keys
from node_fsm_sandbox.election.draw import Ballot, Question, Voter
from node_fsm_sandbox.election.environment import isolate, service_environment
from node_fsm_sandbox.election.outside import Servers, running_servers
from node_fsm_sandbox.election.part import leader0
from node_fsm_sandbox.election.polling_station import BallotPaper, PollingStation, fill_in
from node_fsm_sandbox.election.wallet import Wallet
from node_fsm_sandbox.servers.s3 import put_object
from sqlalchemy import TextClause, text

from benchmarks.real_election import GROUP, binary, objectives_of, proposals_of, run
from node_fsm.aio.beside import side_by_side
from node_fsm.chain.limits import LANES
from node_fsm.core.errors import ServiceError
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.secret import Secret
from node_fsm.database.session import Session
from node_fsm.ports.answers import ChainSettings
from node_fsm.programs.jcli import Jcli
from node_fsm.settings.model import packaged_template

BUCKET, NAME = "node-fsm", "private"
LEAD, VOTING, TALLYING = 90, 120, 600
BATCH = 100
LONGEST_HEARTBEAT = 0.1
SEED = 6

_STORED = text("SELECT count(tally_snapshot), count(decrypted), count(*) FROM vote_plan")
_SUMS = text("SELECT tally_snapshot FROM vote_plan ORDER BY index")
_RESULTS = text("SELECT encode(external_id, 'hex'), option, votes FROM tally_result")
_ON_CHAIN = text("SELECT count(*) FROM tally WHERE on_chain")
_PHASES = text('SELECT "to", at FROM phase_journal WHERE "from" <> "to" ORDER BY at')


async def main() -> None:
    """Run the election, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("election", type=Path)
    parser.add_argument("--ballots", type=int, default=2000)
    parser.add_argument("--voters", type=int, default=250)
    parser.add_argument("--members", type=int, default=1)
    options = parser.parse_args()
    if options.ballots > LANES * options.voters:
        parser.error(f"a voter casts {LANES} ballots at most: each has a lane of its own")
    binaries = await Binaries.find(binary("jcli", "NODE_FSM_JCLI_PATH"), binary("jormungandr", "NODE_FSM_JORM_PATH"))
    with gzip.open(options.election) as file:
        published = json.load(file)
    isolate(os.environ)
    async with running_servers(BUCKET) as servers:
        with TemporaryDirectory() as directory:
            await measure(published, options, binaries, servers, Path(directory))


async def measure(
    published: dict[str, Any], options: argparse.Namespace, binaries: Binaries, servers: Servers, directory: Path
) -> None:
    """Hold the election, and compare the service with the commands."""
    jcli, session = Jcli(str(binaries.jcli)), servers.session
    members = await new_member_keys(jcli, options.members)
    powers = sorted((power for _, power in published["wallets"][1:]), reverse=True)
    voters = [Voter(Wallet(), power) for power in powers[: options.voters]]
    ballots = drawn(published, voters, options.ballots)
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=LEAD)
    settings = settings_of_all(published, binaries, directory)
    async with closing(Cluster(servers.outside, directory, directory, settings)) as cluster:
        (member,) = await cluster.add(leader0())
        for index, (secret, _) in enumerate(members):
            await put_object(servers.outside.s3_url, BUCKET, f"members/{NAME}/{index}", secret.reveal().encode())
        files = import_files(published, start, voters, [key for _, key in members], directory)
        environment = service_environment(os.environ, directory, member.service.settings)
        print(run(str(script("node-fsm")), "election", "import", *files, environment=environment))
        await member.service.start()
        await member.service.wait_for(LEAD, phase="Running")
        begin = perf_counter()
        await chain_of(member)
        paper = await PollingStation(member.node, []).paper()
        fragments = await cast_by_jcli(binaries.jcli, ballots, paper)
        print(f"{len(fragments)} ballots of {len(voters)} voters made by jcli in {perf_counter() - begin:.1f} s")
        await post(member, fragments, start)
        took, longest = await opened(session, member)
        await member.service.wait_for(TALLYING, phase="Waiting")
        assert await cluster.stop() == []
    await compare(session, ballots)
    sums = await rows(session, _SUMS)
    directory_of_plans = directory / "by-hand"
    directory_of_plans.mkdir()
    plans = directory_of_plans / "active_plans.json"
    plans.write_text(json.dumps([plan for (plan,) in sums]))
    by_hand = min(
        tallied_by_hand(str(binaries.jcli), plans, [plan["id"] for (plan,) in sums], members) for _ in range(2)
    )
    print(f"commands in a row {by_hand:7.2f} s")
    print(f"the service       {took:7.2f} s = {took / by_hand:.2f} x")
    print(f"longest heartbeat {1000 * longest:7.1f} ms")
    if took > 1.10 * by_hand or longest > LONGEST_HEARTBEAT:
        raise SystemExit("the goal is missed")


def drawn(published: dict[str, Any], voters: Sequence[Voter], count: int) -> list[Ballot]:
    """So many ballots, each voter's on proposals that all differ."""
    random, proposals = Random(SEED), proposals_of(published)
    ballots = []
    for number, voter in enumerate(voters):
        own = count // len(voters) + (number < count % len(voters))
        for lane, proposal in enumerate(random.sample(proposals, own)):
            options = tuple(f"option {option}" for option in range(proposal["options"]))
            question = Question("", options, proposal["external_id"], PayloadType.PRIVATE)
            ballots.append(Ballot(voter, question, random.randrange(len(options)), lane))
    return ballots


def settings_of_all(published: dict[str, Any], binaries: Binaries, directory: Path) -> dict[str, str]:
    """The settings of the service: the shipped template with the published slots and size of blocks."""
    template = yaml.safe_load(packaged_template().read_text())
    template["blockchain_configuration"] |= {
        "slot_duration": published["params"]["slot_duration"],
        "block_content_max_size": published["params"]["block_content_max_size"],
    }
    file = directory / "template.yaml"
    file.write_text(yaml.safe_dump(template))
    return {
        "NODE_FSM_BLOCK0_TEMPLATE": str(file),
        "NODE_FSM_JCLI_PATH": str(binaries.jcli),
        "NODE_FSM_JORM_PATH": str(binaries.jormungandr),
        "NODE_FSM_VOTING_START_OFFSET_MINUTES": str(-(LEAD - 10) / 60),
        "NODE_FSM_MEMBER_KEYS_S3_URI": f"s3://{BUCKET}/members",
    }


def import_files(
    published: dict[str, Any],
    start: datetime,
    voters: Sequence[Voter],
    members: Sequence[str],
    directory: Path,
) -> list[str]:
    """Write the election as an operator would."""
    times = {"voting_start": 0, "voting_end": VOTING, "tallying_end": VOTING + TALLYING}
    document = {
        "name": NAME,
        **{column: (start + timedelta(seconds=later)).isoformat() for column, later in times.items()},
        "committee_threshold": len(members),
        "committee": [
            {"id": Wallet().public_key.hex(), "member_index": index, "member_public_key": key}
            for index, key in enumerate(members)
        ],
        "objectives": objectives_of(published, "private"),
    }
    election, file = directory / "election.yaml", directory / "voters.csv"
    election.write_text(yaml.safe_dump(document, sort_keys=False))
    lines = [f"{voter.wallet.public_key.hex()},{GROUP},{voter.power}" for voter in voters]
    file.write_text("\n".join(["voting_key,voting_group,voting_power", *lines]) + "\n")
    return [str(election), "--voters", str(file)]


async def chain_of(member: Member) -> ChainSettings:
    """What the node says of its chain, once it answers."""
    async with asyncio.timeout(LEAD):
        while True:
            try:
                return await member.node.settings()
            except ServiceError:
                await asyncio.sleep(0.5)


async def cast_by_jcli(jcli: Path, ballots: Sequence[Ballot], paper: BallotPaper) -> list[bytes]:
    """The ballots as fragments, ready to be posted; as many at a time are made as there are cores."""

    async def cast(ballot: Ballot) -> bytes:
        return (await fill_in(ballot, paper, jcli)).raw

    return await side_by_side(cast, ballots)


async def post(member: Member, fragments: Sequence[bytes], start: datetime) -> None:
    """Post the ballots once the chain takes them, and see all of them counted in."""
    clock = (await chain_of(member)).clock
    async with asyncio.timeout(LEAD + VOTING):
        while True:
            if clock.time_at((await member.node.stats()).tip_date) >= start:
                break
            await asyncio.sleep(0.2)
        begin = perf_counter()
        waiting = list(fragments)
        while waiting:
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            posted = await member.node.post_fragments(batch)
            refused = [raw for raw, one in zip(batch, posted, strict=True) if not one.accepted]
            assert {one.reason for one in posted if not one.accepted} <= {"PoolOverflow"}
            if refused:  # no more wait than a block takes
                waiting = refused + waiting
                await asyncio.sleep(0.5)
        while True:
            if (cast := await votes_cast(member)) >= len(fragments):
                break
            await asyncio.sleep(0.5)
    assert cast == len(fragments)
    print(f"all {cast} in blocks after {perf_counter() - begin:.1f} s")


async def votes_cast(member: Member) -> int:
    """How many votes the node counts in; 0 while it does not answer, as when it is started anew for lost votes."""
    try:
        plans = await member.node.vote_plans()
    except ServiceError:
        return 0
    return sum(proposal.votes_cast for plan in plans.values() for proposal in plan.proposals)


async def opened(session: Session, member: Member) -> tuple[float, float]:
    """Seconds from when the sums are stored until all results are, and that the longest heartbeat took meanwhile."""
    begin, longest = None, 0.0
    async with asyncio.timeout(VOTING + TALLYING):
        while True:
            ((stored, decrypted, plans),) = await rows(session, _STORED)
            if begin is None and stored == plans:
                begin = perf_counter()
            if begin is not None and decrypted == plans:
                return perf_counter() - begin, longest
            asked = perf_counter()
            await member.service.heartbeat()
            longest = max(longest, perf_counter() - asked)
            await asyncio.sleep(0.005)


async def compare(session: Session, ballots: Sequence[Ballot]) -> None:
    """Assert that the results are what was drawn, and on the chain; print how long the phases took."""
    expected: dict[tuple[str, int], int] = {}
    for ballot in ballots:
        place = ballot.question.external_id, ballot.choice
        expected[place] = expected.get(place, 0) + ballot.voter.power
    found = {(external_id, option): votes for external_id, option, votes in await rows(session, _RESULTS)}
    assert {place: votes for place, votes in found.items() if votes} == expected
    ((on_chain,),) = await rows(session, _ON_CHAIN)
    print(f"equal: {len(found)} results, {sum(expected.values())} votes in all; {on_chain} tallies on the chain")
    phases = await rows(session, _PHASES)
    for (phase, at), (_, left) in pairwise(phases):
        print(f"{phase:16} {(left - at).total_seconds():7.1f} s")


def tallied_by_hand(jcli: str, plans: Path, plan_ids: Sequence[str], members: Sequence[tuple[Secret, str]]) -> float:
    """Seconds that the commands take, one after the other."""
    directory, begin = plans.parent, perf_counter()
    for plan_id in plan_ids:
        of_plan = ("--vote-plan", str(plans), "--vote-plan-id", plan_id)
        shares = []
        for index, (secret, _) in enumerate(members):
            share = directory / f"share-{index}.json"
            command = (jcli, "votes", "tally", "decryption-shares", *of_plan, "--key", "/dev/stdin")
            done = subprocess.run(command, input=secret.reveal().encode(), stdout=subprocess.PIPE, check=True)
            share.write_bytes(done.stdout)
            shares.append(str(share))
        merged, result = directory / "shares.json", directory / "result.json"
        merged.write_text(run(jcli, "votes", "tally", "merge-shares", *shares))
        threshold = ("--shares", str(merged), "--threshold", str(len(members)), "--output-format", "json")
        result.write_text(run(jcli, "votes", "tally", "decrypt-results", *of_plan, *threshold))
    return perf_counter() - begin


async def rows(session: Session, query: TextClause) -> Sequence[Any]:
    """What a query gives."""
    async with session.transaction("benchmark") as connection:
        return (await connection.execute(query)).all()


if __name__ == "__main__":
    asyncio.run(main())
