"""What an operator does before an election: the template, the files, and importing them as the command line does."""

import asyncio
import csv
from collections.abc import Iterator
from pathlib import Path

import yaml

from node_fsm.block0.template import Template
from node_fsm.core.capacity import fitting_block_size
from node_fsm.database.election_import import import_election
from node_fsm.database.session import Session
from node_fsm.importing.election_document import parse_election
from node_fsm.importing.text_file import read_text
from node_fsm.settings.model import packaged_template
from node_fsm_sandbox.election.draw import DrawnElection

SLOT_DURATION = 1
_GROUP = "citizens"


def write_template(file: Path) -> None:
    """The block 0 template that comes with the package, but with slots of a second and blocks that fit into one."""
    template = yaml.safe_load(packaged_template().read_text())
    template["blockchain_configuration"]["slot_duration"] = SLOT_DURATION
    template["blockchain_configuration"]["block_content_max_size"] = fitting_block_size(SLOT_DURATION)
    file.write_text(yaml.safe_dump(template))


def write_election(election: DrawnElection, directory: Path) -> tuple[Path, Path]:
    """The import file and the voters' file in *directory*, and beside them ``ballots.csv``: every vote drawn."""
    directory.mkdir(parents=True)
    file, voters = directory / "election.yaml", directory / "voters.csv"
    file.write_text(yaml.safe_dump(_document(election), sort_keys=False))
    _write_csv(
        voters,
        ("voting_key", "voting_group", "voting_power"),
        ((voter.wallet.public_key.hex(), _GROUP, voter.power) for voter in election.voters),
    )
    _write_csv(
        directory / "ballots.csv", ("voting_key", "voting_power", "external_id", "option", "why_not"), _rows(election)
    )
    return file, voters


async def import_files(session: Session, file: Path, voters: Path, template: Template, offset_minutes: float) -> None:
    """Check an election and its voters and write both into the database."""
    document = parse_election(await asyncio.to_thread(read_text, file), str(file), template, offset_minutes)
    await import_election(session, document, voters, replace=False)


def _document(election: DrawnElection) -> dict[str, object]:
    return {
        "name": election.name,
        "description": "An election that was drawn",
        "voting_start": election.times.voting_start.isoformat(),
        "voting_end": election.times.voting_end.isoformat(),
        "tallying_end": election.times.tallying_end.isoformat(),
        "committee_threshold": len(election.committee),
        "committee": [
            {"id": member.id, "member_index": member.index, "member_public_key": member.public_key}
            for member in election.committee
        ],
        "objectives": [
            {
                "title": f"Questions to all, {payload_type}",
                "payload_type": payload_type.value,
                "voting_group": _GROUP,
                "proposals": [
                    {
                        "title": question.title,
                        "options": list(question.options),
                        "external_id": question.external_id,
                    }
                    for question in election.questions
                    if question.payload_type is payload_type
                ],
            }
            for payload_type in dict.fromkeys(question.payload_type for question in election.questions)
        ],
    }


def _rows(election: DrawnElection) -> Iterator[tuple[object, ...]]:
    """Every ballot; the last column is empty for those that count."""
    votes = [*((ballot, "") for ballot in election.ballots), (election.again, "voted already"), (election.late, "late")]
    for ballot, why_not in votes:
        voter, question = ballot.voter, ballot.question
        yield voter.wallet.public_key.hex(), voter.power, question.external_id, ballot.choice, why_not


def _write_csv(file: Path, header: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
