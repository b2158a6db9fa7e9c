"""A private plan, from the members' keys to the decrypted sums on the chain."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import pytest_asyncio

from node_fsm.chain import bech32
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.core.chain_time import BlockDate
from node_fsm.programs.command import run_command
from tests.contract.binaries import Binaries
from tests.contract.chains import POWER, Chain, Plan, Transaction, Wallet, make_chain, tally, vote
from tests.contract.nodes import Node, until
from tests.support.polling import HANGING

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMBERS = 2
VOTE_END = BlockDate(0, 9)


@dataclass
class Committee:
    """The members of a committee, as jcli makes them; keys in bech32."""

    jcli: Path
    directory: Path
    secrets: list[str]
    member_keys: list[str]
    election_key: str

    @classmethod
    async def make(cls, jcli: Path, directory: Path) -> "Committee":
        """Members with keys in *directory*."""
        crs = token_hex(32)
        communication = ("votes", "committee", "communication-key")
        member = ("votes", "committee", "member-key")
        shared = [
            await printed(jcli, *communication, "to-public", stdin=await printed(jcli, *communication, "generate"))
            for _ in range(MEMBERS)
        ]
        secrets = [
            await printed(
                *(jcli, *member, "generate", "--threshold", str(MEMBERS), "--crs", crs),
                *("--index", str(index), "--keys", *shared),
            )
            for index in range(MEMBERS)
        ]
        keys = [await printed(jcli, *member, "to-public", stdin=secret) for secret in secrets]
        election_key = await printed(jcli, "votes", "election-key", "--keys", *keys)
        for index, secret in enumerate(secrets):
            (directory / f"member{index}.sk").write_text(f"{secret}\n")
        return cls(jcli, directory, secrets, keys, election_key)

    async def vote(self, plan_id: str, choice: int, *, options: int = 3, key: str | None = None) -> bytes:
        """The content of the certificate of a private vote on the first proposal."""
        file = self.directory / f"election-{token_hex(4)}.pk"
        file.write_text(f"{key or self.election_key}\n")
        text = await printed(
            *(self.jcli, "certificate", "new", "vote-cast", "private", "--vote-plan-id", plan_id),
            *("--proposal-index", "0", "--choice", str(choice), "--options-size", str(options)),
            *("--key-path", str(file)),
        )
        return content(text)

    async def decrypt(self, plans: str, plan_id: str) -> tuple[dict[str, Any], bytes]:
        """The decrypted plan, and the content of the certificate that says so."""
        active, merged, result = (self.directory / name for name in ("plans.json", "shares.json", "result.json"))
        active.write_text(plans)
        files = []
        for index in range(MEMBERS):
            share = await printed(
                *(self.jcli, "votes", "tally", "decryption-shares", "--vote-plan", str(active)),
                *("--vote-plan-id", plan_id, "--key", str(self.directory / f"member{index}.sk")),
            )
            files.append(self.directory / f"share{index}.json")
            files[-1].write_text(share)
        merged.write_text(await printed(self.jcli, "votes", "tally", "merge-shares", *map(str, files)))
        result.write_text(
            await printed(
                *(self.jcli, "votes", "tally", "decrypt-results", "--vote-plan", str(active)),
                *("--vote-plan-id", plan_id, "--shares", str(merged), "--threshold", str(MEMBERS)),
                *("--output-format", "json"),
            )
        )
        text = await printed(
            *(self.jcli, "certificate", "new", "vote-tally", "private", "--vote-plan", str(result)),
            *("--vote-plan-id", plan_id, "--shares", str(merged)),
        )
        return json.loads(result.read_text()), content(text)


def content(certificate: str) -> bytes:
    """What is in a certificate's text, behind its kind."""
    return bech32.decode(certificate, (bech32.BECH32, bech32.BECH32M))[1][1:]


async def printed(jcli: Path, *arguments: str, stdin: str | None = None) -> str:
    """What a command of jcli prints."""
    completed = await run_command(
        [str(jcli), *arguments], setting="jcli", timeout=HANGING, stdin=stdin.encode() if stdin is not None else None
    )
    return completed.stdout.decode().strip()


@dataclass
class Election:
    """A node on a chain with a private plan that is open for a few seconds."""

    node: Node
    chain: Chain
    committee: Committee
    voters: list[Wallet]
    powerless: Wallet
    foreign_key: str
    """The election key of another committee."""

    def cast(self, voter: Wallet, certificate: bytes, **other: Any) -> Fragment:
        return Transaction(self.chain, voter, certificate, **other).sign()

    def tally(self, certificate: bytes, lane: int) -> Fragment:
        leader = self.chain.leaders[0]
        return Transaction(self.chain, leader, certificate, kind=FragmentKind.VOTE_TALLY, lane=lane).sign()

    async def reasons(self, *fragments: Fragment) -> list[str | None]:
        """Why the ledger rejects each, without the words before the reason; None when it does not."""
        assert await self.node.post(*fragments) == dict.fromkeys(fragment.id for fragment in fragments)
        statuses = await self.node.outcomes(*fragments)
        return [
            status.reason and status.reason.rpartition("error while updating the value: ")[2] for status in statuses
        ]

    async def plan(self) -> dict[str, Any]:
        (plan,) = (await self.node.get("v0/vote/active/plans")).json()
        return dict(plan)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def election(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Election]:
    directory = tmp_path_factory.mktemp("election")
    committee = await Committee.make(binaries.jcli, directory)
    foreign = await Committee.make(binaries.jcli, tmp_path_factory.mktemp("foreign"))
    voters, powerless = [Wallet() for _ in range(4)], Wallet()
    chain = await make_chain(
        binaries.jcli,
        directory,
        voters=voters,
        powerless=[powerless],
        plans={"plan": Plan(vote_end=VOTE_END, member_keys=tuple(committee.member_keys))},
        parameters={"slot_duration": 3},  # private votes take jcli a while
    )
    node = Node(binaries, chain, directory / "node")
    await node.start()
    await node.height(1)
    yield Election(node, chain, committee, voters, powerless, foreign.election_key)
    await node.kill()


async def test_a_private_election(election: Election) -> None:
    chain, committee, voters, (plan_id,) = election.chain, election.committee, election.voters, election.chain.plan_ids
    plan = await election.plan()
    assert (plan["payload"], plan["committee_member_keys"]) == ("private", committee.member_keys)
    empty = encrypted(plan)

    stranger = Wallet()
    certificates = await asyncio.gather(
        committee.vote(plan_id, 1),
        committee.vote(plan_id, 2),
        committee.vote(plan_id, 0, key=election.foreign_key),
        committee.vote(plan_id, 0, options=4),
    )
    good, other, wrong_key, wrong_size = certificates
    found = await election.reasons(
        election.cast(voters[0], good),
        election.cast(voters[1], other),
        election.cast(voters[2], wrong_key),
        election.cast(voters[2], wrong_size, lane=1),
        vote(chain, voters[2], lane=2),
        election.cast(election.powerless, good),
        election.cast(stranger, good),
        election.cast(voters[0], other, counter=1),
        tally(chain, chain.leaders[0]),
    )
    assert found == [
        None,
        None,
        "Invalid private vote verification: Invalid vote proof",
        "Invalid private vote size (expected 3, got 4)",
        "Public is not the expected payload type, expected Private",
        "Account has no voting power",
        "Error or Invalid account: Account does not exist",
        "This account already voted for this proposal",
        "It is not possible to tally the votes for the proposals, time to tally the votes is between 0.9 to 2000.0.",
    ]
    plan = await election.plan()
    assert [proposal["votes_cast"] for proposal in plan["proposals"]] == [2, 0]
    assert encrypted(plan) != empty

    async def over() -> bool | None:
        stats = await election.node.stats()
        return (stats is not None and stats.tip_date >= VOTE_END) or None

    await until(over)
    plans = (await election.node.get("v0/vote/active/plans")).text
    decrypted, certificate = await committee.decrypt(plans, plan_id)
    results = [proposal["tally"]["Private"]["state"]["Decrypted"]["result"] for proposal in decrypted["proposals"]]
    assert [result["results"] for result in results] == [[0, POWER, POWER], [0, 0, 0]]
    forged = certificate[:-8] + (1).to_bytes(8)
    found = await election.reasons(
        election.tally(forged, lane=1), tally(chain, chain.leaders[0], lane=2), election.tally(certificate, lane=3)
    )
    assert found == [
        "Cannot tally votes: invalid decrypted tally",
        "Cannot tally votes: Invalid privacy",
        None,
    ]
    plan = await election.plan()
    assert [proposal["tally"] for proposal in plan["proposals"]] == [
        {"Private": {"state": {"Decrypted": {"result": result}}}} for result in results
    ]
    assert await election.reasons(election.tally(certificate, lane=4)) == [
        "Cannot tally votes: this private tally is already decryptred"
    ]


def encrypted(plan: dict[str, Any]) -> list[str]:
    return [proposal["tally"]["Private"]["state"]["Encrypted"]["encrypted_tally"] for proposal in plan["proposals"]]
