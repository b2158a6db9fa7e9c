"""The committee of an election with private votes: its keys, and its members at work, each a process of its own."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node_fsm.core.secret import Secret
from node_fsm.programs.jcli import Jcli
from node_fsm.storage.files import make_private, write_private
from node_fsm_sandbox.election.binaries import script
from node_fsm_sandbox.election.concurrency import together
from node_fsm_sandbox.election.environment import service_environment
from node_fsm_sandbox.election.errors import SandboxError
from node_fsm_sandbox.election.wallet import Wallet

_CRS = "node-fsm sandbox"
_SHARE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CommitteeMember:
    """One who keeps their key in *key_file*; *id* names their account in hex, *public_key* stands in the vote plan."""

    index: int
    id: str
    public_key: str
    key_file: Path

    async def post_share(self, election: str, settings: Mapping[str, str], temporary: Path) -> str:
        """Open one's part of the votes, as at one's own machine, with the database alone; what the command says."""
        own = {name: settings[name] for name in ("NODE_FSM_DATABASE_URL", "NODE_FSM_JCLI_PATH")}
        process = await asyncio.create_subprocess_exec(
            *(script("node-fsm"), "committee", "share", "--election", election, "--key-file", self.key_file),
            env=service_environment(os.environ, temporary, own),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(_SHARE_SECONDS):
                said, _ = await process.communicate()
        except BaseException:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        text = said.decode(errors="replace").strip()
        if process.returncode:
            raise SandboxError(f"member {self.index} could not post a share of {election}: {text}")
        return text


async def new_committee(jcli: Path, members: int, directory: Path) -> tuple[CommitteeMember, ...]:
    """Members with new keys, each in a file in *directory*."""
    make_private(directory)
    committee = []
    for index, (secret, public_key) in enumerate(await new_member_keys(Jcli(str(jcli)), members)):
        file = directory / f"member{index}.sk"
        write_private(file, secret.reveal().encode() + b"\n")
        committee.append(CommitteeMember(index, Wallet().public_key.hex(), public_key, file))
    return tuple(committee)


async def new_member_keys(jcli: Jcli, members: int) -> list[tuple[Secret, str]]:
    """Hold the ceremony: each member's communication key first, then each one's key over all of those; both halves."""
    own = await together(*(jcli.new_communication_key() for _ in range(members)))
    communication = await together(*map(jcli.communication_public_key, own))
    secrets = await together(*(jcli.new_member_key(members, _CRS, index, communication) for index in range(members)))
    return list(zip(secrets, await together(*map(jcli.member_public_key, secrets)), strict=True))
