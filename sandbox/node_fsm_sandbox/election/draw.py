"""Drawing an election: voters, powers and votes, so that its result is known before it begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from node_fsm.core.payload_type import PayloadType
from node_fsm_sandbox.election.committee import CommitteeMember
from node_fsm_sandbox.election.schedule import Times
from node_fsm_sandbox.election.wallet import Wallet

_HIGHEST_POWER = 10_000
_FEWEST_VOTERS = 4

_QUESTIONS = (
    ("A new library", ("yes", "no")),
    ("Where the park goes", ("north", "river", "south")),
)


@dataclass(frozen=True, slots=True)
class Voter:
    """A wallet with its voting power."""

    wallet: Wallet
    power: int


@dataclass(frozen=True, slots=True)
class Question:
    """What is voted on, a proposal of the election; *external_id* in hex."""

    title: str
    options: tuple[str, ...]
    external_id: str
    payload_type: PayloadType = PayloadType.PUBLIC


@dataclass(frozen=True, slots=True)
class Ballot:
    """One voter's choice, the index of an option.

    Each ballot of a voter uses a *lane* of its own, so that none waits for, or falls with, another.
    """

    voter: Voter
    question: Question
    choice: int
    lane: int


@dataclass(frozen=True, slots=True)
class DrawnElection:
    """An election and its votes: *ballots* count, *again* and *late* must not.

    *again* is the second vote of a voter on a question, for another option; *late* the only vote of a voter who
    comes when voting has ended. *abstaining* never votes. The *committee* opens private votes.
    """

    name: str
    times: Times
    questions: tuple[Question, ...]
    voters: tuple[Voter, ...]
    ballots: tuple[Ballot, ...]
    again: Ballot
    late: Ballot
    abstaining: Voter
    committee: tuple[CommitteeMember, ...] = ()

    def expected(self) -> dict[str, list[int]]:
        """The votes per option, by external id: the sums of the powers of those who chose it."""
        sums = {question.external_id: [0] * len(question.options) for question in self.questions}
        for ballot in self.ballots:
            sums[ballot.question.external_id][ballot.choice] += ballot.voter.power
        return sums


def draw_voters(random: Random, count: int) -> tuple[Voter, ...]:
    """That many voters, four or more, with powers that all differ."""
    assert count >= _FEWEST_VOTERS, "one abstains, one is late, one votes twice, and one just votes"
    powers = random.sample(range(1, _HIGHEST_POWER), count)
    return tuple(Voter(Wallet(), power) for power in powers)


def draw_election(
    name: str,
    times: Times,
    voters: Sequence[Voter],
    random: Random,
    committee: Sequence[CommitteeMember] = (),
    *,
    public: int | None = None,
) -> DrawnElection:
    """Draw who abstains, who votes twice, who comes late, and what everybody chooses.

    The first *public* questions, all if it is None, are voted on in public, the others in private: those need a
    *committee*.
    """
    public = len(_QUESTIONS) if public is None else public
    assert committee or public == len(_QUESTIONS), "only a committee opens private votes"
    abstaining, late, twice, *_ = random.sample(voters, len(voters))
    questions = tuple(
        Question(
            title,
            options,
            random.randbytes(32).hex(),
            PayloadType.PUBLIC if number < public else PayloadType.PRIVATE,
        )
        for number, (title, options) in enumerate(_QUESTIONS)
    )
    ballots = [
        Ballot(voter, question, random.randrange(len(question.options)), lane)
        for lane, question in enumerate(questions)
        for voter in voters
        if voter not in (abstaining, late)
    ]
    random.shuffle(ballots)
    first = questions[0]
    (chosen,) = (ballot.choice for ballot in ballots if ballot.voter is twice and ballot.question is first)
    return DrawnElection(
        name=name,
        times=times,
        questions=questions,
        voters=tuple(voters),
        ballots=tuple(ballots),
        again=Ballot(twice, first, (chosen + 1) % len(first.options), lane=len(questions)),
        late=Ballot(late, first, 0, lane=0),
        abstaining=abstaining,
        committee=tuple(committee),
    )
