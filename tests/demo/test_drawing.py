"""What is drawn, and what must come of it."""

from node_fsm_sandbox.demo.drawing import VOTERS, Voter

from tests.demo.examples import drawn


def test_there_are_more_than_twenty_voters_with_different_powers() -> None:
    voters = drawn().voters
    assert len(voters) == VOTERS >= 20
    assert len({voter.power for voter in voters}) == len({voter.wallet.public_key for voter in voters}) == VOTERS


def test_everybody_votes_once_on_everything_but_who_abstains_and_who_is_late() -> None:
    election = drawn()
    voted: dict[Voter, list[str]] = {}
    for ballot in election.ballots:
        voted.setdefault(ballot.voter, []).append(ballot.proposal.external_id)
    assert set(election.voters) - set(voted) == {election.abstaining, election.late.voter}
    everything = sorted(proposal.external_id for proposal in election.proposals)
    assert all(sorted(proposals) == everything for proposals in voted.values())


def test_one_votes_again_otherwise() -> None:
    election = drawn()
    again = election.again
    (before,) = [b for b in election.ballots if b.voter is again.voter and b.proposal is again.proposal]
    assert again.choice != before.choice
    assert again.choice < len(again.proposal.options)


def test_no_ballot_of_a_voter_waits_for_another() -> None:
    election = drawn()
    lanes = [(ballot.voter, ballot.lane) for ballot in (*election.ballots, election.again, election.late)]
    assert len(set(lanes)) == len(lanes)


def test_expected_are_the_powers_of_those_whose_votes_count() -> None:
    election = drawn()
    counted = sum(voter.power for voter in election.voters) - election.abstaining.power - election.late.voter.power
    expected = election.expected()
    assert list(expected) == [proposal.external_id for proposal in election.proposals]
    for proposal in election.proposals:
        votes = expected[proposal.external_id]
        assert len(votes) == len(proposal.options)
        assert sum(votes) == counted
    first = election.proposals[0]
    yes = [ballot.voter.power for ballot in election.ballots if ballot.proposal is first and ballot.choice == 0]
    assert expected[first.external_id][0] == sum(yes)


def test_another_drawing_is_another_election() -> None:
    assert list(drawn(seed=1).expected().values()) != list(drawn(seed=2).expected().values())
