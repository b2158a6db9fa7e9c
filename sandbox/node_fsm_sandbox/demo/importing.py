"""What an operator does before an election: importing it, by the same code as the command line."""

import asyncio
from functools import partial
from pathlib import Path

from node_fsm.block0.template import Template
from node_fsm.chain.address import account_address
from node_fsm.database.election_import import import_election
from node_fsm.database.session import Session
from node_fsm.importing.election_file import parse_election
from node_fsm.importing.voters_file import read_voters


async def import_files(session: Session, file: Path, voters: Path, template: Template) -> None:
    """Check an election and its voters and write both into the database."""
    election = parse_election(await asyncio.to_thread(file.read_text), str(file))
    await import_election(
        session,
        election,
        read_voters(voters, election.voting_groups),
        partial(account_address, production=template.production),
        replace=False,
    )
