"""Elections as a test draws them: voters with different powers, votes drawn beforehand, and what must come out."""

import csv
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from tests.support.wallet import Wallet

TEMPLATE = {
    "blockchain_configuration": {
        "discrimination": "test",
        "block0_consensus": "bft",
        "slot_duration": 1,
        "slots_per_epoch": 20,
        "block_content_max_size": 102400,
        "tx_max_expiry_epochs": 2,
        "linear_fees": {"constant": 0, "coefficient": 0, "certificate": 0},
        "consensus_genesis_praos_active_slot_coeff": 1.0,
        "epoch_stability_depth": 102400,
        "kes_update_speed": 46800,
        "proposal_expiration": 100,
        "treasury": 0,
        "total_reward_supply": 0,
    }
}


@dataclass(frozen=True)
class Voter:
    """A wallet with its voting power."""

    wallet: Wallet
    power: int


@dataclass(frozen=True)
class Ballot:
    """One voter's choice on one proposal; *counter* is how many transactions the voter made before."""

    voter: "Voter"
    proposal: int
    choice: int
    counter: int


@dataclass
class DrawnElection:
    """An election whose outcome is known before it begins, because the votes are drawn here."""

    name: str
    voters: list[Voter]
    proposals: int = 2
    options: int = 3
    seed: int = 0
    voting_start: datetime = field(default_factory=lambda: datetime.now(UTC))
    voting_end: datetime = field(default_factory=lambda: datetime.now(UTC))
    tallying_end: datetime = field(default_factory=lambda: datetime.now(UTC))

    def schedule(self, *, lead: float, voting: int, tallying: int) -> None:
        """Set the times, from *lead* seconds from now on."""
        start = (datetime.now(UTC) + timedelta(seconds=lead)).replace(microsecond=0)
        self.voting_start = start
        self.voting_end = start + timedelta(seconds=voting)
        self.tallying_end = self.voting_end + timedelta(seconds=tallying)

    @property
    def abstaining(self) -> Voter:
        """The voter who does not vote."""
        return self.voters[-1]

    @property
    def late(self) -> Voter:
        """The voter who votes on the last proposal only after the end."""
        return self.voters[-2]

    def ballots(self) -> list[Ballot]:
        """The votes that count. Every option of every proposal gets one."""
        drawing = random.Random(self.seed)
        drawn = []
        for proposal in range(self.proposals):
            voters = [voter for voter in self.voters if voter is not self.abstaining]
            if proposal == self.proposals - 1:
                voters.remove(self.late)
            drawing.shuffle(voters)
            for place, voter in enumerate(voters):
                choice = place if place < self.options else drawing.randrange(self.options)
                drawn.append(Ballot(voter, proposal, choice, counter=proposal))
        return drawn

    def expected(self) -> list[list[int]]:
        """The sum of powers by proposal and option, from what was drawn."""
        sums = [[0] * self.options for _ in range(self.proposals)]
        for ballot in self.ballots():
            sums[ballot.proposal][ballot.choice] += ballot.voter.power
        return sums

    def write(self, directory: Path) -> tuple[Path, Path]:
        """The import file and the voters' file."""
        document = {
            "name": self.name,
            "description": "drawn by a test",
            "voting_start": self.voting_start.isoformat(),
            "voting_end": self.voting_end.isoformat(),
            "tallying_end": self.tallying_end.isoformat(),
            "committee_threshold": 0,
            "committee": [],
            "objectives": [
                {
                    "title": "an objective",
                    "payload_type": "public",
                    "voting_group": "direct",
                    "proposals": [
                        {
                            "title": f"proposal {index}",
                            "options": [f"option {option}" for option in range(self.options)],
                        }
                        for index in range(self.proposals)
                    ],
                }
            ],
        }
        election, voters = directory / f"{self.name}.yaml", directory / f"{self.name}.csv"
        election.write_text(yaml.safe_dump(document))
        with voters.open("w", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(["voting_key", "voting_group", "voting_power"])
            rows.writerows([voter.wallet.id, "direct", voter.power] for voter in self.voters)
        return election, voters
