"""The import file: what a good one says, and where a bad one says it is bad."""

from datetime import UTC, datetime

import pytest

from node_fsm.core.payload_type import PayloadType
from node_fsm.importing.election_file import ElectionFile
from node_fsm.importing.errors import MAX_PROBLEMS, InputFileError
from tests.importing.files import ELECTION, member_key, parsed, spoiled


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(InputFileError) as caught:
        parsed(text)
    return caught.value.problems


def warnings(text: str) -> list[str]:
    return parsed(text).warnings(datetime(2029, 1, 1, tzinfo=UTC))


def test_a_good_file_says_what_it_says() -> None:
    election = parsed(ELECTION).election
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
    election = parsed(ELECTION).election
    assert [proposal.options for objective in election.objectives for proposal in objective.proposals] == [
        ["yes", "no"],
        ["0x12", "2026"],
        ["yes", "no", "null"],
    ]


def test_what_may_be_left_out_has_a_default() -> None:
    text = ELECTION
    for line in ("description", "voting_power_unit"):
        text = spoiled(text, line, "")
    election = parsed(text).election
    assert (election.description, election.voting_power_unit) == ("", 1)


@pytest.mark.parametrize(
    ("line", "instead", "problem"),
    [
        ("name:", "", "line 1, column 1: name is missing; add it"),
        ("name:", "name:", "line 1, column 6: name is empty; give a text, in quotes if"),
        ("name:", "name: ' '", "line 1, column 7: name is empty; give a text"),
        ("description:", "title: x", "line 2, column 8: title is not a field of the import file; remove it or"),
        ("voting_start:", "voting_start: 2030-01-01T12:00:00", "line 3, column 15: voting_start has no time zone;"),
        ("voting_start:", "voting_start: 2030-01-01T12:00:00.5Z", "voting_start must be a whole second"),
        ("voting_start:", "voting_start: soon", "voting_start must be a date and time with its zone"),
        ("voting_start:", "voting_start: 1893499200", "voting_start must be a date and time with its zone"),
        (
            "voting_end:",
            "voting_end: 2030-01-01T12:00:00Z",
            "voting_end 2030-01-01 12:00:00+00:00 is not after",
        ),
        (
            "tallying_end:",
            "tallying_end: 2030-01-02T12:00:00Z",
            "tallying_end 2030-01-02 12:00:00+00:00 is",
        ),
        ("committee_threshold:", "committee_threshold: 1", "committee_threshold is 1 of 2 members, but"),
        ("committee_threshold:", "committee_threshold: two", "committee_threshold must be a whole number, in digits"),
        ("committee_threshold:", "committee_threshold: -1", "committee_threshold must be 0 or more"),
        ("voting_power_unit:", "voting_power_unit: 0", "voting_power_unit must be 1 or more"),
        ("voting_power_unit:", f"voting_power_unit: {2**63}", "voting_power_unit must be 9223372036854775807 or less"),
        ("id: cd", "id: cd", "line 12, column 9: committee[1].id must be 32 bytes in hex: 64 digits"),
        ("id: cd", f"id: {'zz' * 32}", "committee[1].id must be 32 bytes in hex"),
        ("id: cd", f"id: {'ab' * 32}", "committee[1].id is also that of an earlier member"),
        ("member_index: 1", "member_index: 0", "line 13, column 19: committee[1].member_index is also that of an"),
        ("member_index: 1", "member_index: -1", "committee[1].member_index must be 0 or more"),
        (
            "member_index: 1",
            "member_index: 3",
            "line 13, column 19: committee[1].member_index is 3, and nobody of the 2 members has 1, but",
        ),
        (f"member_public_key: {member_key(2)}", "member_public_key:", "committee[1].member_public_key is missing, but"),
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
        (
            "payload_type: public",
            "payload_type: open",
            "line 17, column 19: objectives[0].payload_type must be 'pub",
        ),
        ("voting_group: direct", "voting_group: ''", "line 18, column 19: objectives[0].voting_group is empty;"),
        ("options: [yes, no]", "", "objectives[0].proposals[0].options is missing"),
        ("options: [yes, no]", "options: []", "line 21, column 18: objectives[0].proposals[0].options has no entries;"),
        ("options: [yes, no]", f"options: [{', '.join(map(str, range(17)))}]", "has 17 entries; give at most 16"),
        ("options: [yes, no]", "options: [yes, yes]", "objectives[0].proposals[0].options has 'yes' twice"),
        (
            "options: [yes, no]",
            "options: [yes, '']",
            "line 21, column 24: objectives[0].proposals[0].options[1] is empty",
        ),
        ("options: [yes, no]", "options: yes", "objectives[0].proposals[0].options must be a list:"),
        ("external_id: 0x", "external_id: 12", "line 24, column 22: objectives[0].proposals[1].external_id must be 32"),
        ("name:", r'name: "Fund\0"', r"line 1, column 7: name has the control character '\x00'"),
        ("description:", r'description: "\e[31m"', r"line 2, column 14: description has the control character '\x1b'"),
        (
            "name:",
            f"name: {'x' * 501}",
            "line 1, column 7: name has more than 500 characters",
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


@pytest.mark.parametrize(
    ("line", "instead", "problem"),
    [
        (
            "voting_start:",
            "voting_start: 2030-01-01T12:00:00+02:00:30",
            "voting_start has a time zone with seconds",
        ),
        ("voting_start:", "voting_start: 1969-12-31T23:59:59Z", "must be from the year 1970 on and before 9000"),
        (
            "voting_start:",
            "voting_start: 1970-01-01T00:00:00Z",
            "00:00:00+00:00 has its chain begin at 1969",
        ),
        ("tallying_end:", "tallying_end: 9999-12-31T23:59:59-12:00", "tallying_end must be from the year 1970 on and"),
        (
            "voting_end:",
            "voting_end: 2030-01-02T12:00:01Z",
            "voting_end 2030-01-02 12:00:01+00:00 is not",
        ),
        ("tallying_end:", "tallying_end: 2030-01-03T12:00:01Z", "the nearest good times are 2030-01-03 12:00:00+00:00"),
        (
            "tallying_end:",
            "tallying_end: 2330-01-03T12:00:00Z",
            "is more than 10 years after voting_start 2030",
        ),
    ],
)
def test_times_that_no_chain_can_keep_are_refused(line: str, instead: str, problem: str) -> None:
    assert any(problem in said for said in problems(spoiled(ELECTION, line, instead)))


@pytest.mark.parametrize(
    ("title", "problem"),
    [
        ("Fix: the roads", 'put a text that has ": " in it in quotes'),
        ("@home", "put a text that begins with this character in quotes"),
        ("%1", "put a text that begins with this character in quotes"),
        ("*bold* roads", "put a text that begins with * or & in quotes"),
        ("*co", "write the value itself, not an alias; put a text that begins with * in quotes"),
        ("&co", "line 16, column 12: &co would be taken for an anchor; put a text that begins with & in quotes"),
        ("&co roads", "put a text that begins with & in quotes"),
        ("!important roads", "line 16, column 12: !important would be taken for a tag; put a text that begins with !"),
        ("'Fix", "line 16, column 12: found unexpected end of stream; the quote that begins here is not closed"),
        (r'"C:\roads\x"', "write the backslash twice, or put the text in single quotes"),
        ("[Draft] roads", "put all of a text in quotes that goes on after a quote, ] or }"),
        ("- one", "put a text that begins with - or ? in quotes"),
        ("? one", "put a text that begins with - or ? in quotes"),
        ("| one", "put a text that begins with | or > in quotes"),
        ("> 50% of all", "put a text that begins with | or > in quotes"),
        (r'"C:\new"', "line 16, column 12: objectives[0].title must be one line without tabs; in double quotes"),
        (r'"C:\there"', "objectives[0].title must be one line without tabs; in double quotes"),
        ("[Draft #1", "put a text that has brackets, commas or # in it in quotes"),
        ("[Draft]", "must be a text; put it in quotes if it has brackets"),
        ("null", "line 16, column 12: objectives[0].title is empty; give a text, in quotes if it is to be ~ or null"),
        ("#1 issue", "is empty before the comment '#1 issue'; put it in quotes if it is none"),
        ("Fix\n\tit", "write blanks, not tabs"),
    ],
)
def test_a_title_that_yaml_reads_otherwise_gets_the_hint_that_mends_it(title: str, problem: str) -> None:
    [said] = problems(spoiled(ELECTION, "title: Roads", f"title: {title}"))
    assert problem in said


@pytest.mark.parametrize(
    ("line", "instead", "warning"),
    [
        (
            "title: Roads",
            "title: Fix #1 issue",
            (
                "election.yaml, line 16, column 12: objectives[0].title ends before '#1 issue', which is a comment; put"
                " it all in quotes if that is a part of it"
            ),
        ),
        ("name:", "name: Fund  # 1", "election.yaml, line 1, column 7: name ends before '# 1', which is a comment;"),
        ("description:", "description: C #1", "election.yaml, line 2, column 14: description ends before '#1', which"),
        ("voting_group: direct", "voting_group: direct # all", "objectives[0].voting_group ends before '# all', which"),
        ("title: North", "title: North #2", "objectives[0].proposals[0].title ends before '#2', which is a comment;"),
        ("options: [yes, no]", "options: [yes, no #1\n        ]", "options[1] ends before '#1', which is a comment;"),
    ],
)
def test_a_text_that_a_comment_cuts_short_is_warned_of(line: str, instead: str, warning: str) -> None:
    assert any(warning in said for said in warnings(spoiled(ELECTION, line, instead)))


def test_a_comment_that_cuts_no_text_is_none_to_warn_of() -> None:
    text = spoiled(ELECTION, "voting_power_unit:", "voting_power_unit: 10 # lovelace")
    text = spoiled(text, "title: Roads", "title: 'Fix #1 issue' # quoted")
    text = "# An election\n" + spoiled(text, "title: North", "title: C#1")
    assert not any("comment" in said for said in warnings(text))


def test_times_that_have_passed_are_warned_of_with_their_places() -> None:
    def said(now: str) -> list[str]:
        found = parsed(ELECTION).warnings(datetime.fromisoformat(now))
        return [warning for warning in found if "voting_" in warning]

    assert said("2030-01-01T10:59:59Z") == []
    [near] = said("2030-01-01T11:00:00Z")
    assert near.startswith("election.yaml, line 3, column 15: voting_start is so near that its chain should have")
    [late] = said("2030-01-01T12:00:00Z")
    assert late.startswith("election.yaml, line 3, column 15: voting_start has passed: voting begins late")
    [missed] = said("2030-01-02T12:00:00Z")
    assert missed.startswith("election.yaml, line 4, column 13: voting_end has passed, so that the election will")


def test_everything_wrong_is_named_at_once_in_the_order_of_the_file() -> None:
    text = spoiled(ELECTION, "payload_type: public", "payload_type: x")
    for line in ("voting_end:", "name:"):
        text = spoiled(text, line, "")
    said = problems(text)
    assert [problem.split(": ", 1)[1].split(" ")[0] for problem in said] == [
        "name",
        "voting_end",
        "objectives[0].payload_type",
    ]


def test_a_message_that_would_be_endless_is_cut() -> None:
    text = ELECTION + "".join(f"field{number}: x\n" for number in range(MAX_PROBLEMS + 5))
    with pytest.raises(InputFileError) as caught:
        parsed(text)
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
    assert parsed(text).election.committee == []
    [said] = problems(f"{head}objectives:\n{objectives}")
    assert "committee has no members, but objective 'Schools' is private" in said


def test_the_same_proposal_may_be_voted_on_by_several_groups_but_once_by_each() -> None:
    south = f"external_id: 0x{'EF' * 32}"
    text = spoiled(ELECTION, "external_id: ~", south)
    parsed(text)
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
    assert "write the value itself, not an alias" in problems("name: [*a]")[0]


def test_a_character_that_yaml_does_not_allow_is_placed() -> None:
    assert problems("name: x\ndescription: \x07\n")[0].startswith("election.yaml, line 2, column 14: character")


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
