"""A small election: two voters in each group, of whom the second has ten times the power of the first.

It may have a private objective as well, for whose votes there is a committee of two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import blake2b

from node_fsm.chain.address import account_address
from node_fsm.core.model import CommitteeMember, ElectionSpec, NodeRow, Objective, Proposal, VotingGroup
from node_fsm.core.payload_type import PayloadType
from node_fsm.ports import Clock
from tests.support.fake_jcli import new_secret, public_key
from tests.support.fakes import START
from tests.support.memory_database import MemoryDatabase, Row
from tests.support.private_jcli import member_public_key, new_member_secret

LEADER0, LEADER1 = new_secret("leader 0"), new_secret("leader 1")
MEMBERS = (new_member_secret(), new_member_secret())
"""The secret keys of the committee."""

ID, NAME = 1, "first"
VOTING_START = 60
"""Seconds from START, with which the chain begins; slots last one second, epochs 20."""
VOTING_END = 80
TALLYING_END = 140


def cluster(clock: Clock, groups: int, private: int = 0) -> MemoryDatabase:
    """A database with one election, two leaders and a follower."""
    nodes = [
        NodeRow("leader0", public_key(LEADER0), "/ip4/10.0.0.1/tcp/1"),
        NodeRow("leader1", public_key(LEADER1), "/ip4/10.0.0.2/tcp/1"),
        NodeRow("follower", None, "/ip4/10.0.0.3/tcp/1"),
    ]
    return MemoryDatabase(clock, rows={ID: row(groups=groups, private=private)}, nodes=nodes)


def account(voter: int) -> bytes:
    """The public key of a made-up voter."""
    return blake2b(b"voter %d" % voter, digest_size=32).digest()


def row(id_: int = ID, name: str = NAME, *, later: float = 0, groups: int = 1, private: int = 0) -> Row:
    """An election whose chain begins *later* than START, with a plan for each group of voters 0 and 1.

    The last *private* ones of the groups vote privately.
    """
    start = START + timedelta(seconds=later)
    names = [f"group {index}" for index in range(groups)]
    spec = ElectionSpec(
        id=id_,
        name=name,
        revision=1,
        fingerprint="1:a",
        voting_start=start + timedelta(seconds=VOTING_START),
        voting_end=start + timedelta(seconds=VOTING_END),
        tallying_end=start + timedelta(seconds=TALLYING_END),
        committee_threshold=len(MEMBERS) if private else 0,
        voting_power_unit=1,
        committee=tuple(_members()) if private else (),
        objectives=tuple(
            _objective(index, group, PayloadType.PRIVATE if index >= groups - private else PayloadType.PUBLIC)
            for index, group in enumerate(names)
        ),
        groups=tuple(VotingGroup(group, voters=2, token_holders=2, tokens=11) for group in names),
        fund_holders=2,
        address_prefixes=("ta",),
    )
    addresses = [account_address(account(voter), production=False) for voter in range(2)]
    voters = [(address, group, power) for group in names for address, power in zip(addresses, (1, 10), strict=True)]
    return Row(spec, voters)


def edited(spec: ElectionSpec) -> Sequence[Objective]:
    """The objectives of *spec* with an option more."""
    first, *rest = spec.objectives[0].proposals
    proposals = (replace(first, options=(*first.options, "another")), *rest)
    return (replace(spec.objectives[0], proposals=proposals), *spec.objectives[1:])


def _members() -> Iterator[CommitteeMember]:
    for index, secret in enumerate(MEMBERS):
        wallet = blake2b(b"member %d" % index, digest_size=32).hexdigest()
        yield CommitteeMember(wallet, index, member_public_key(secret))


def _objective(index: int, group: str, payload_type: PayloadType) -> Objective:
    proposals = (
        Proposal(2 * index, blake2b(b"%d" % index, digest_size=32).digest(), ("yes", "no", "abstain")),
        Proposal(2 * index + 1, blake2b(b"other %d" % index, digest_size=32).digest(), ("yes", "no")),
    )
    return Objective(index, f"objective {index}", payload_type, group, proposals)
