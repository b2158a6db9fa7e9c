"""A good import file and a good voters' CSV, and how to spoil them."""

from pathlib import Path

from node_fsm.block0.template import Template, load_template
from node_fsm.chain import bech32, ristretto
from node_fsm.chain.address import MEMBER_KEY_PREFIX
from node_fsm.importing.election_document import ElectionDocument, parse_election
from node_fsm.settings.model import packaged_template


def member_key(number: int) -> str:
    """A text of the form of a member's public key."""
    return bech32.encode(MEMBER_KEY_PREFIX, ristretto.multiply_base(ristretto.scalar(number)))


ELECTION = f"""\
name: Fund 1
description: The first
voting_start: 2030-01-01T12:00:00Z
voting_end: 2030-01-02T14:00:00+02:00
tallying_end: 2030-01-03T12:00:00Z
committee_threshold: 2
voting_power_unit: 10
committee:
  - id: 0x{"AB" * 32}
    member_index: 0
    member_public_key: {member_key(1)}
  - id: {"cd" * 32}
    member_index: 1
    member_public_key: {member_key(2)}
objectives:
  - title: Roads
    payload_type: public
    voting_group: direct
    proposals:
      - title: North
        options: [yes, no]
      - title: South
        options: [0x12, 2026]
        external_id: 0x{"EF" * 32}
  - title: Schools
    payload_type: private
    voting_group: rep
    proposals:
      - title: Town
        options: ["yes", "no", "null"]
        external_id: ~
"""

VOTERS = f"""\
voting_key,voting_group,voting_power
0x{"01" * 32},direct,5000
{"02" * 32},direct,15
{"01" * 32},rep,70
"""

SHIPPED = load_template(packaged_template())


def chains_as(**changes: object) -> Template:
    """The shipped template with *changes* to its parameters."""
    return Template.model_validate(
        {"blockchain_configuration": SHIPPED.blockchain_configuration.model_dump() | changes}
    )


def parsed(text: str, template: Template = SHIPPED, offset_minutes: float = -60) -> ElectionDocument:
    """*text* as it is read by whoever set nothing else."""
    return parse_election(text, "election.yaml", template, offset_minutes)


def spoiled(text: str, line: str, instead: str) -> str:
    """*text* with the only line that begins so replaced; without it when *instead* is empty."""
    lines = text.splitlines()
    [number] = [number for number, there in enumerate(lines) if there.strip().removeprefix("- ").startswith(line)]
    indent = lines[number][: lines[number].index(line)]
    lines[number : number + 1] = [indent + instead] if instead else []
    return "\n".join(lines) + "\n"


def written(directory: Path, name: str, text: str) -> Path:
    """A file of this content."""
    file = directory / name
    file.write_text(text, encoding="utf-8")
    return file
