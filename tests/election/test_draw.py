"""What is drawn, and what must come of it."""

from node_fsm_sandbox.election.draw import Voter

from tests.support.drawn import VOTERS, drawn


def test_the_voters_have_different_powers() -> None:
    voters = drawn().voters
    assert len(voters) == VOTERS
    assert len({voter.power for voter in voters}) == len({voter.wallet.public_key for voter in voters}) == VOTERS


def test_everybody_votes_once_on_everything_but_who_abstains_and_who_is_late() -> None:
    election = drawn()
    voted: dict[Voter, list[str]] = {}
    for ballot in election.ballots:
        voted.setdefault(ballot.voter, []).append(ballot.question.external_id)
    assert set(election.voters) - set(voted) == {election.abstaining, election.late.voter}
    everything = sorted(question.external_id for question in election.questions)
    assert all(sorted(proposals) == everything for proposals in voted.values())


def test_one_votes_again_otherwise() -> None:
    election = drawn()
    again = election.again
    (before,) = [b for b in election.ballots if b.voter is again.voter and b.question is again.question]
    assert again.choice != before.choice
    assert again.choice < len(again.question.options)


def test_no_ballot_of_a_voter_waits_for_another() -> None:
    election = drawn()
    lanes = [(ballot.voter, ballot.lane) for ballot in (*election.ballots, election.again, election.late)]
    assert len(set(lanes)) == len(lanes)


def test_expected_are_the_powers_of_those_whose_votes_count() -> None:
    election = drawn()
    counted = sum(voter.power for voter in election.voters) - election.abstaining.power - election.late.voter.power
    expected = election.expected()
    assert list(expected) == [question.external_id for question in election.questions]
    for question in election.questions:
        votes = expected[question.external_id]
        assert len(votes) == len(question.options)
        assert sum(votes) == counted
    first = election.questions[0]
    yes = [ballot.voter.power for ballot in election.ballots if ballot.question is first and ballot.choice == 0]
    assert expected[first.external_id][0] == sum(yes)


def test_another_drawing_is_another_election() -> None:
    assert list(drawn(seed=1).expected().values()) != list(drawn(seed=2).expected().values())
