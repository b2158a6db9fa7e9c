"""The files that are imported, and the votes that are kept."""

import csv
from pathlib import Path

import yaml
from node_fsm_sandbox.election.importing import write_election, write_template

from node_fsm.block0.template import load_template
from node_fsm.core.capacity import fitting_block_size
from node_fsm.importing.election_document import parse_election
from node_fsm.importing.voters_file import read_voters
from node_fsm.settings.model import packaged_template
from tests.support.drawn import drawn


def test_an_operator_could_import_them(tmp_path: Path) -> None:
    election = drawn()
    file, voters = write_election(election, tmp_path / "first")
    write_template(tmp_path / "template.yaml")
    parsed = parse_election(file.read_text(), str(file), load_template(tmp_path / "template.yaml"), -1).election
    assert (parsed.voting_start, parsed.voting_end) == (election.times.voting_start, election.times.voting_end)
    (objective,) = parsed.objectives
    assert [(p.external_id, tuple(p.options)) for p in objective.proposals] == [
        (question.external_id, question.options) for question in election.questions
    ]
    rows = {row.voting_key: row.voting_power for row in read_voters(voters, parsed.voting_groups)}
    assert rows == {voter.wallet.public_key.hex(): voter.power for voter in election.voters}


def test_whoever_keeps_the_votes_can_add_them_up(tmp_path: Path) -> None:
    election = drawn()
    write_election(election, tmp_path / "first")
    assert add_up(tmp_path / "first") == election.expected()


def test_the_template_differs_from_the_packaged_one_in_the_slots_and_what_fits_into_one(tmp_path: Path) -> None:
    write_template(tmp_path / "template.yaml")
    ours, packaged = load_template(tmp_path / "template.yaml"), load_template(packaged_template())
    assert ours.slot_duration == 1
    differences = {"slot_duration": 1, "block_content_max_size": fitting_block_size(1)}
    assert ours.blockchain_configuration == packaged.blockchain_configuration.model_copy(update=differences)


def add_up(directory: Path) -> dict[str, list[int]]:
    """The votes per option by external id, as a stranger would count them from the files of an election."""
    (objective,) = yaml.safe_load((directory / "election.yaml").read_text())["objectives"]
    sums = {proposal["external_id"]: [0] * len(proposal["options"]) for proposal in objective["proposals"]}
    with (directory / "ballots.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            if not row["why_not"]:
                sums[row["external_id"]][int(row["option"])] += int(row["voting_power"])
    return sums
