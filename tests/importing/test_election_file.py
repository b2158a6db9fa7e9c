"""The import file: what a good one says, and where a bad one says it is bad."""

from datetime import UTC, datetime

import pytest

from node_fsm.core.payload_type import PayloadType
from node_fsm.importing.election_file import MAX_PROBLEMS, ElectionFile, InputFileError, parse_election
from tests.importing.files import ELECTION, member_key, spoiled


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(InputFileError) as caught:
        parse_election(text, "election.yaml")
    return caught.value.problems


def test_a_good_file_says_what_it_says() -> None:
    election = parse_election(ELECTION, "election.yaml")
    assert (election.name, election.description) == ("Fund 1", "The first")
    assert election.voting_end == datetime(2030, 1, 2, 12, tzinfo=UTC)
    assert (election.committee_threshold, election.voting_power_unit) == (2, 10)
    assert [member.id for member in election.committee] == ["ab" * 32, "cd" * 32]
    assert election.committee[1].member_public_key == member_key(2)
    roads, schools = election.objectives
    assert (roads.payload_type, schools.payload_type) == (PayloadType.PUBLIC, PayloadType.PRIVATE)
    assert election.voting_groups == {"direct", "rep"}
    assert roads.proposals[1].external_id == "ef" * 32
    assert schools.proposals[0].external_id is None


def test_options_stay_the_texts_they_are() -> None:
    election = parse_election(ELECTION, "election.yaml")
    assert [proposal.options for objective in election.objectives for proposal in objective.proposals] == [
        ["yes", "no"],
        ["0x12", "2026"],
        ["yes", "no", "null"],
    ]


def test_what_may_be_left_out_has_a_default() -> None:
    text = ELECTION
    for line in ("description", "voting_power_unit"):
        text = spoiled(text, line, "")
    election = parse_election(text, "election.yaml")
    assert (election.description, election.voting_power_unit) == ("", 1)


@pytest.mark.parametrize(
    ("line", "instead", "problem"),
    [
        ("name:", "", "line 1, column 1: name is missing; add it"),
        ("name:", "name:", "line 1, column 6: name is not valid: input should be a valid string"),
        ("name:", "name: ' '", "line 1, column 7: name is not valid: string should have at least 1 character"),
        ("description:", "title: x", "line 2, column 8: title is not a field of the import file; remove it or"),
        ("voting_start:", "voting_start: 2030-01-01T12:00:00", "line 3, column 15: voting_start has no time zone;"),
        ("voting_start:", "voting_start: 2030-01-01T12:00:00.5Z", "voting_start must be a whole second"),
        ("voting_start:", "voting_start: soon", "voting_start must be a date and time with its zone"),
        ("voting_start:", "voting_start: 1893499200", "voting_start must be a date and time with its zone"),
        ("voting_end:", "voting_end: 2030-01-01T12:00:00Z", "line 4, column 13: voting_end must be after voting_start"),
        ("tallying_end:", "tallying_end: 2030-01-02T12:00:00Z", "line 5, column 15: tallying_end must be after voting"),
        ("committee_threshold:", "committee_threshold: 1", "committee_threshold must be the number of members, 2,"),
        ("committee_threshold:", "committee_threshold: two", "committee_threshold is not valid: input should be a"),
        ("committee_threshold:", "committee_threshold: -1", "greater than or equal to 0"),
        ("voting_power_unit:", "voting_power_unit: 0", "voting_power_unit is not valid: input should be greater"),
        ("voting_power_unit:", f"voting_power_unit: {2**63}", "voting_power_unit is not valid: input should be less"),
        ("id: cd", "id: cd", "line 12, column 9: committee[1].id must be 32 bytes in hex: 64 digits"),
        ("id: cd", f"id: {'zz' * 32}", "committee[1].id must be 32 bytes in hex"),
        ("id: cd", f"id: {'ab' * 32}", "committee[1].id is also that of an earlier member"),
        ("member_index: 1", "member_index: 0", "line 13, column 19: committee[1].member_index is also that of an"),
        ("member_index: 1", "member_index: -1", "committee[1].member_index is not valid"),
        (f"member_public_key: {member_key(2)}", "member_public_key:", "committee[1].member_public_key must be given,"),
        (
            f"member_public_key: {member_key(2)}",
            f"member_public_key: {member_key(2)[:-1]}q",
            "committee[1].member_public_key is not a member's public key (ristretto255_memberpk1…): bech32 text has",
        ),
        (
            f"member_public_key: {member_key(2)}",
            f"member_public_key: {member_key(1)}",
            "committee[1].member_public_key is also that of an earlier member",
        ),
        ("payload_type: public", "payload_type: open", "line 17, column 19: objectives[0].payload_type is not valid:"),
        ("voting_group: direct", "voting_group: ''", "line 18, column 19: objectives[0].voting_group is not valid:"),
        ("options: [yes, no]", "", "objectives[0].proposals[0].options is missing"),
        ("options: [yes, no]", "options: []", "line 21, column 18: objectives[0].proposals[0].options is not valid:"),
        ("options: [yes, no]", f"options: [{', '.join(map(str, range(17)))}]", "at most 16 items"),
        ("options: [yes, no]", "options: [yes, yes]", "objectives[0].proposals[0].options has 'yes' twice"),
        (
            "options: [yes, no]",
            "options: [yes, '']",
            "line 21, column 24: objectives[0].proposals[0].options[1] is not",
        ),
        ("options: [yes, no]", "options: yes", "objectives[0].proposals[0].options is not valid: input should be a"),
        ("external_id: 0x", "external_id: 12", "line 24, column 22: objectives[0].proposals[1].external_id must be 32"),
        ("name:", r'name: "Fund\0"', r"line 1, column 7: name has the control character '\x00'"),
        ("description:", r'description: "\e[31m"', r"line 2, column 14: description has the control character '\x1b'"),
        (
            "name:",
            f"name: {'x' * 501}",
            "line 1, column 7: name is not valid: string should have at most 500 characters",
        ),
        ("name:", "name: [Fund 1", "line 2, column"),
        ("name:", "name: \tx: y: z", "line 1, column"),
        ("description:", "name: again", "line 2, column 1: name is given twice"),
        ("description:", "? [a]\n: b", "line 2, column 3: a key must be a text"),
    ],
)
def test_a_bad_value_is_named_with_its_place(line: str, instead: str, problem: str) -> None:
    [said] = problems(spoiled(ELECTION, line, instead))
    assert said.startswith("election.yaml, line ")
    assert problem in said


def test_everything_wrong_is_named_at_once_in_the_order_of_the_file() -> None:
    text = spoiled(ELECTION, "payload_type: public", "payload_type: x")
    for line in ("voting_end:", "name:"):
        text = spoiled(text, line, "")
    said = problems(text)
    assert [problem.split(": ", 1)[1].split(" is ")[0] for problem in said] == [
        "name",
        "voting_end",
        "objectives[0].payload_type",
    ]


def test_a_message_that_would_be_endless_is_cut() -> None:
    text = ELECTION + "".join(f"field{number}: x\n" for number in range(MAX_PROBLEMS + 5))
    with pytest.raises(InputFileError) as caught:
        parse_election(text, "election.yaml")
    assert caught.value.message.count("\n") == MAX_PROBLEMS
    assert caught.value.message.endswith("there are more; mend these first")


def test_a_secret_key_in_the_wrong_place_is_not_repeated() -> None:
    secret = "ristretto255_membersk1" + "q" * 58
    text = spoiled(ELECTION, f"member_public_key: {member_key(2)}", f"member_public_key: {secret}")
    text = spoiled(text, "id: cd", f"id: {secret}")
    assert secret not in "".join(problems(text))


def test_a_public_election_needs_no_committee() -> None:
    head, _, tail = ELECTION.partition("committee:\n")
    _, _, objectives = tail.partition("objectives:\n")
    text = f"{head}committee: []\nobjectives:\n{objectives}".replace("payload_type: private", "payload_type: public")
    assert parse_election(text, "election.yaml").committee == []
    [said] = problems(f"{head}objectives:\n{objectives}")
    assert "committee must have members, because objective 'Schools' is private" in said


def test_the_same_proposal_may_be_voted_on_by_several_groups_but_once_by_each() -> None:
    south = f"external_id: 0x{'EF' * 32}"
    text = spoiled(ELECTION, "external_id: ~", south)
    parse_election(text, "election.yaml")
    for there, instead in (("payload_type: private", "payload_type: public"), ("group: rep", "group: direct")):
        text = text.replace(there, instead)
    [said] = problems(text)
    assert "objectives[1].proposals[0].external_id is also that of an earlier public proposal of group 'direct'" in said


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "~"])
def test_a_file_that_is_no_mapping_is_refused(text: str) -> None:
    assert problems(text) == ("election.yaml: must be a mapping of field names to values, beginning with name:",)


def test_a_file_that_nests_without_end_is_refused() -> None:
    assert "nested too deeply" in problems("name: " + "[" * 5000 + "]" * 5000)[0]


def test_a_short_file_cannot_become_a_large_one() -> None:
    assert "write the value itself, not an alias" in problems("name: &a [*a]")[0]


def test_a_character_that_yaml_does_not_allow_is_placed() -> None:
    assert problems("name: x\ndescription: \x07\n")[0].startswith("election.yaml, line 2, column 1: character")


def test_the_packaged_model_has_exactly_the_documented_fields() -> None:
    assert list(ElectionFile.model_fields) == [
        "name",
        "description",
        "voting_start",
        "voting_end",
        "tallying_end",
        "committee_threshold",
        "voting_power_unit",
        "committee",
        "objectives",
    ]
