"""A small election on the real jcli and node, and a recording of what they wrote.

``python -m tests.chain.recording`` records it anew into the data directory: ``blocks.b64`` (the chain),
``block0.yaml`` (``genesis decode`` of its block 0), ``plans.json`` and ``statuses.json`` (what the node says of plans
and fragments), ``fragment_log.b64`` (its persistent log); and ``full_block0.*``, a block 0 that sets every parameter.
"""

import asyncio
import base64
import io
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from node_fsm.chain.address import account_address, ed25519_public_key
from node_fsm.chain.blocks import NO_PARENT, read_blocks
from tests.support.polling import HANGING

NO_POLICY = "00" * 28
PUBLIC_TOKEN = f"{NO_POLICY}.{b'public'.hex()}"
PRIVATE_TOKEN = f"{NO_POLICY}.{b'private'.hex()}"
VOTE_END = 12
SLOTS_PER_EPOCH = 60
EXPIRY = f"1.{SLOTS_PER_EPOCH - 1}"
POLL_SECONDS = 0.1

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Recording:
    """What an election left.

    ``block0`` is ``genesis decode`` of its block 0, ``blocks`` the whole chain, ``plans`` the node's answer about the
    plans at the end, ``log`` its persistent log, ``statuses`` the node's status for each fragment posted, by id.
    """

    block0: str
    blocks: bytes
    plans: list[dict[str, Any]]
    log: bytes
    statuses: dict[str, Any]


class Jcli:
    """The real jcli, run in one directory."""

    def __init__(self, executable: str, directory: Path) -> None:
        self._executable = executable
        self.directory = directory

    def __call__(self, *arguments: str) -> str:
        """Standard output without the line's end."""
        done = subprocess.run(
            [self._executable, *arguments],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=HANGING,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"jcli {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    def write(self, name: str, content: Any) -> str:
        """Store *content*, as JSON unless it is text, for jcli to read."""
        (self.directory / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return name

    def key_pair(self, name: str) -> str:
        """Make ``name.sk`` and return the public key."""
        self("key", "generate", "--type=ed25519", f"{name}.sk")
        return self("key", "to-public", "--input", f"{name}.sk")

    def member_keys(self, count: int) -> list[str]:
        """Make ``member0.sk`` and so on, and return their public keys."""
        communication = []
        for index in range(count):
            self("votes", "committee", "communication-key", "generate", f"comm{index}.sk")
            communication.append(
                self("votes", "committee", "communication-key", "to-public", "--input", f"comm{index}.sk")
            )
        public = []
        for index in range(count):
            self(
                *("votes", "committee", "member-key", "generate", "--threshold", str(count), "--crs", "crs"),
                *("--index", str(index), "--keys", *communication, "--", f"member{index}.sk"),
            )
            public.append(self("votes", "committee", "member-key", "to-public", "--input", f"member{index}.sk"))
        return public

    def signed_plan(self, name: str, plan: dict[str, Any], key: str) -> tuple[str, str]:
        """The id of *plan* and its certificate signed with ``key.sk``."""
        self.write(f"{name}.json", plan)
        self("certificate", "new", "vote-plan", f"{name}.json", "--output", f"{name}.cert")
        signed = self("certificate", "sign", "--certificate", f"{name}.cert", "--key", f"{key}.sk")
        return self("certificate", "show", "vote-plan-id", "--input", f"{name}.cert"), signed

    def encode_block0(self, genesis: dict[str, Any]) -> Path:
        """Encode *genesis* and return the file of block 0."""
        self.write("genesis.json", genesis)
        self("genesis", "encode", "--input", "genesis.json", "--output", "block0.bin")
        return self.directory / "block0.bin"

    def fragment(
        self, certificate: str, payer: str, address: str, *, block0: str, lane: int, counter: int, auth: bool
    ) -> bytes:
        """A fragment with the certificate of that file, paid by ``payer.sk``, signed by it as committee if *auth*."""
        staging = ("--staging", "transaction.staging")
        self("transaction", "new", *staging)
        self("transaction", "add-account", address, "0", *staging)
        self("transaction", "add-certificate", (self.directory / certificate).read_text().strip(), *staging)
        self("transaction", "set-expiry-date", EXPIRY, *staging)
        self("transaction", "finalize", *staging)
        self(
            *("transaction", "make-witness", self("transaction", "data-for-witness", *staging)),
            *("--genesis-block-hash", block0, "--type", "account", "--account-spending-counter", str(counter)),
            *("--account-spending-counter-lane", str(lane), "witness", f"{payer}.sk"),
        )
        self("transaction", "add-witness", "witness", *staging)
        self("transaction", "seal", *staging)
        if auth:
            self("transaction", "auth", *staging, "--key", f"{payer}.sk")
        return bytes.fromhex(self("transaction", "to-message", *staging))


def configuration(**changes: Any) -> dict[str, Any]:
    """The configuration of a small chain of one-second slots."""
    return {
        "block0_date": int(time.time()),
        "discrimination": "test",
        "block0_consensus": "bft",
        "slots_per_epoch": SLOTS_PER_EPOCH,
        "slot_duration": 1,
        "epoch_stability_depth": 102400,
        "consensus_genesis_praos_active_slot_coeff": "0.100",
        "linear_fees": {"constant": 0, "coefficient": 0, "certificate": 0},
        "proposal_expiration": 100,
        "kes_update_speed": 43200,
        "block_content_max_size": 102400,
        "treasury": 0,
        "total_reward_supply": 0,
    } | changes


def vote_plan(payload_type: str, options: list[int], token: str, member_keys: list[str]) -> dict[str, Any]:
    """A plan with a proposal for each of *options*, in the form that jcli reads."""
    return {
        "payload_type": payload_type,
        "vote_start": {"epoch": 0, "slot_id": 0},
        "vote_end": {"epoch": 0, "slot_id": VOTE_END},
        "committee_end": {"epoch": 1, "slot_id": 0},
        "proposals": [
            {"external_id": f"{index + 1:02x}" * 32, "options": count, "action": "off_chain"}
            for index, count in enumerate(options)
        ],
        "committee_member_public_keys": member_keys,
        "voting_token": token,
    }


def full_genesis(jcli: Jcli) -> dict[str, Any]:
    """A genesis for a production chain that sets all there is to set."""
    leaders = [jcli.key_pair(name) for name in ("leader0", "leader1")]
    committees = [ed25519_public_key(jcli.key_pair(name)).hex() for name in ("member_a", "member_b")]
    key, group = jcli.key_pair("holder"), jcli.key_pair("group")
    addresses = [jcli("address", "account", key), jcli("address", "single", key), jcli("address", "single", key, group)]
    return {
        "blockchain_configuration": configuration(
            discrimination="production",
            consensus_leader_ids=leaders,
            committees=committees,
            consensus_genesis_praos_active_slot_coeff="1.000",
            linear_fees={
                "constant": 1,
                "coefficient": 2,
                "certificate": 3,
                "per_certificate_fees": {"certificate_pool_registration": 4, "certificate_owner_stake_delegation": 5},
                "per_vote_certificate_fees": {"certificate_vote_plan": 6, "certificate_vote_cast": 7},
            },
            tx_max_expiry_epochs=2,
            fees_go_to="treasury",
            treasury=1_000_000,
            treasury_parameters={"fixed": 8, "ratio": "9/10", "max_limit": 11},
            total_reward_supply=12,
            reward_parameters={
                "halving": {"constant": 13, "ratio": "14/15", "epoch_start": 16, "epoch_rate": 17},
            },
            reward_constraints={
                "reward_drawing_limit_max": "18/19",
                "pool_participation_capping": {"min": 20, "max": 21},
            },
        ),
        "initial": [
            {"fund": [{"address": address, "value": index + 1} for index, address in enumerate(addresses)]},
            {"fund": [{"address": addresses[0], "value": 2**63}]},
            {"token": {"token_id": NO_POLICY, "to": [{"address": addresses[0], "value": 2**63}]}},
        ],
    }


async def record(jcli: Jcli, jormungandr: str) -> Recording:
    """Run the election: votes on a public and a private plan, votes that are refused, both tallies."""
    names = ["leader", "ann", "bob", "eve", "poor"]
    keys = {name: jcli.key_pair(name) for name in names}
    addresses = {name: account_address(ed25519_public_key(key), production=False) for name, key in keys.items()}
    member_keys = jcli.member_keys(2)
    public_id, public_cert = jcli.signed_plan("public", vote_plan("public", [3, 2], PUBLIC_TOKEN, []), "leader")
    private_id, private_cert = jcli.signed_plan(
        "private", vote_plan("private", [2], PRIVATE_TOKEN, member_keys), "leader"
    )

    def to(**values: int) -> list[dict[str, Any]]:
        return [{"address": addresses[name], "value": value} for name, value in values.items()]

    genesis = {
        "blockchain_configuration": configuration(consensus_leader_ids=[keys["leader"]]),
        "initial": [
            {"fund": [{"address": address, "value": 1000} for address in addresses.values()]},
            {"token": {"token_id": PUBLIC_TOKEN, "to": to(ann=10, bob=20, eve=300, leader=1)}},
            {"token": {"token_id": PUBLIC_TOKEN, "to": to(ann=5)}},
            {"token": {"token_id": PRIVATE_TOKEN, "to": to(ann=7, eve=11)}},
            {"cert": public_cert},
            {"cert": private_cert},
        ],
    }
    block0_file = jcli.encode_block0(genesis)
    block0_id = jcli("genesis", "hash", "--input", "block0.bin")
    jcli.write("election.pk", jcli("votes", "election-key", "--keys", *member_keys))

    async with _node(jcli.directory, jormungandr, block0_file) as rest:
        posted: list[str] = []

        async def post(certificate: str, payer: str, lane: int = 0, counter: int = 0, *, auth: bool = False) -> None:
            raw = jcli.fragment(
                certificate, payer, addresses[payer], block0=block0_id, lane=lane, counter=counter, auth=auth
            )
            answer = await rest.post("/v1/fragments", json={"fail_fast": False, "fragments": [raw.hex()]})
            posted.extend(answer.json()["accepted"])

        async def vote(voter: str, proposal: int, choice: int, *, lane: int, plan: str = public_id) -> None:
            certificate = ("--vote-plan-id", plan, "--proposal-index", str(proposal), "--choice", str(choice))
            kind = ("public",) if plan == public_id else ("private", "--options-size", "2", "--key-path", "election.pk")
            jcli("certificate", "new", "vote-cast", *kind, *certificate, "--output", "vote.cert")
            await post("vote.cert", voter, lane)

        async def decided() -> dict[str, Any] | None:
            answer = await rest.get("/v1/fragments/statuses", params={"fragment_ids": ",".join(posted)})
            statuses: dict[str, Any] = answer.json()
            return statuses if len(statuses) == len(posted) and "Pending" not in statuses.values() else None

        async def voting_over() -> bool:
            stats = (await rest.get("/v0/node/stats")).json()
            return int(stats["lastBlockDate"].split(".")[1]) >= VOTE_END

        await vote("ann", 0, 1, lane=0)
        await vote("ann", 1, 0, lane=1)
        await vote("ann", 0, 0, lane=2, plan=private_id)
        await vote("bob", 0, 1, lane=0)
        await vote("eve", 0, 2, lane=0)
        await vote("eve", 0, 1, lane=1, plan=private_id)
        await vote("poor", 0, 2, lane=0)
        await _eventually(decided)
        await vote("ann", 0, 2, lane=3)
        await _eventually(decided)
        await _eventually(voting_over)
        await vote("bob", 1, 1, lane=1)

        jcli.write("plans.json", (await rest.get("/v0/vote/active/plans")).json())
        plan = ("--vote-plan-id", private_id)
        shares = [
            jcli.write(
                f"share{index}.json",
                jcli(
                    "votes",
                    "tally",
                    "decryption-shares",
                    "--vote-plan",
                    "plans.json",
                    *plan,
                    "--key",
                    f"member{index}.sk",
                ),
            )
            for index in range(2)
        ]
        jcli.write("shares.json", jcli("votes", "tally", "merge-shares", *shares))
        decrypted = ("--vote-plan", "plans.json", *plan, "--shares", "shares.json", "--threshold", "2")
        result = jcli("votes", "tally", "decrypt-results", *decrypted, "--output-format", "json")
        jcli.write("result.json", result)
        jcli("certificate", "new", "vote-tally", "public", "--vote-plan-id", public_id, "--output", "public.tally")
        tally = ("--vote-plan", "result.json", *plan, "--shares", "shares.json", "--output", "private.tally")
        jcli("certificate", "new", "vote-tally", "private", *tally)
        await post("public.tally", "leader", auth=True)
        await post("private.tally", "leader", counter=1, auth=True)
        statuses = await _eventually(decided)
        plans = (await rest.get("/v0/vote/active/plans")).json()
        blocks = await _blocks(rest)

    log = b"".join(path.read_bytes() for path in sorted((jcli.directory / "log").iterdir()))
    return Recording(jcli("genesis", "decode", "--input", "block0.bin"), blocks, plans, log, statuses)


async def _eventually(check: Callable[[], Awaitable[_T | None]]) -> _T:
    """What *check* gives as soon as that is true; TimeoutError after the deadline."""
    async with asyncio.timeout(HANGING):
        while True:
            if result := await check():
                return result
            await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def _node(directory: Path, jormungandr: str, block0: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A node that makes the chain of *block0*, with a client of its REST interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = {
        "skip_bootstrap": True,
        "rest": {"listen": f"127.0.0.1:{port}"},
        "storage": str(directory / "storage"),
        "mempool": {"persistent_log": {"dir": str(directory / "log")}},
        "log": {"level": "warn", "format": "json", "output": "stderr"},
    }
    (directory / "node.json").write_text(json.dumps(config))
    (directory / "secret.json").write_text(
        json.dumps({"bft": {"signing_key": (directory / "leader.sk").read_text().strip()}})
    )
    arguments = ("--config", "node.json", "--genesis-block", str(block0), "--secret", "secret.json")
    with (directory / "node.log").open("wb") as output:
        node = await asyncio.create_subprocess_exec(
            jormungandr, *arguments, cwd=directory, stdout=output, stderr=output
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api", timeout=5) as rest:

                async def running() -> bool:
                    if node.returncode is not None:
                        raise RuntimeError(f"the node ended: {(directory / 'node.log').read_text()}")
                    try:
                        return (await rest.get("/v0/node/stats")).status_code == 200
                    except httpx.TransportError:
                        return False

                await _eventually(running)
                yield rest
        finally:
            if node.returncode is None:
                node.terminate()
            await asyncio.wait_for(node.wait(), HANGING)


async def _blocks(rest: httpx.AsyncClient) -> bytes:
    """The chain from block 0 to the tip."""
    blocks: list[bytes] = []
    wanted = (await rest.get("/v0/tip")).text
    while wanted != NO_PARENT:
        raw = (await rest.get(f"/v0/block/{wanted}")).content
        blocks.append(raw)
        wanted = next(read_blocks(io.BytesIO(raw))).header.parent
    return b"".join(reversed(blocks))


def main() -> None:
    """Record into the data directory."""
    data = Path(__file__).parent / "data"
    executable = os.environ.get("NODE_FSM_JCLI_PATH") or "jcli"
    with tempfile.TemporaryDirectory() as directory:
        recording = asyncio.run(
            record(Jcli(executable, Path(directory)), os.environ.get("NODE_FSM_JORM_PATH") or "jormungandr")
        )
    with tempfile.TemporaryDirectory() as directory:
        jcli = Jcli(executable, Path(directory))
        full = jcli.encode_block0(full_genesis(jcli)).read_bytes()
        full_decoded = jcli("genesis", "decode", "--input", "block0.bin")
    for name, content in (("blocks", recording.blocks), ("fragment_log", recording.log), ("full_block0", full)):
        (data / f"{name}.b64").write_bytes(base64.encodebytes(content))
    for name, text in (("block0", recording.block0), ("full_block0", full_decoded)):
        (data / f"{name}.yaml").write_text(text + "\n")
    (data / "plans.json").write_text(json.dumps(recording.plans, indent=1) + "\n")
    (data / "statuses.json").write_text(json.dumps(recording.statuses, indent=1) + "\n")


if __name__ == "__main__":
    main()
