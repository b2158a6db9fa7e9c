"""A small election to vary: two groups of voters, one with a public objective, the other with a private one."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

from node_fsm.block0.genesis import GenesisContents, leader_ids, signing_accounts, write_genesis
from node_fsm.block0.plans import voting_token
from node_fsm.block0.template import Template, load_template
from node_fsm.chain.address import account_address
from node_fsm.core.chain_time import ChainClock
from node_fsm.core.model import (
    CommitteeMember,
    ElectionSpec,
    NodeRow,
    Objective,
    Proposal,
    VotingGroup,
)
from node_fsm.core.payload_type import PayloadType
from node_fsm.storage.files import NewFile

TEMPLATE_FILE = Path(__file__).parents[2] / "block0_template.yaml"
_SHIPPED = load_template(TEMPLATE_FILE).blockchain_configuration.model_dump()
TEMPLATE = Template.model_validate(
    {"blockchain_configuration": _SHIPPED | {"block_content_max_size": 20 * 2**20}},
)
"""The shipped one, but for the size of blocks, which is that of the recorded block 0."""

LEADER_SEED = blake2b(b"leader", digest_size=32).hexdigest()
LEADER_ID = "ed25519_pk1utchwguggknc2q9yzmyfkqqknaz4709kr5trq08mw8s5aktgfwkqrhv76y"
"""The public half of the key that jcli generates from LEADER_SEED."""
OTHER_LEADER_ID = "ed25519_pk18st5qzevy0r4ke0xnkv5yxhcz8w2gnulxs2tmy3a2x8jh0gmvv4sw7q3q6"
NODES = (
    NodeRow("leader0", LEADER_ID, None),
    NodeRow("follower", None, None),
    NodeRow("leader1", OTHER_LEADER_ID, None),
)

MEMBER_KEYS = (
    "ristretto255_memberpk1agnpht3r6utgu6wghcv75njyejv9u2d34n4k89qw92jyqxx7qumqha0f97",
    "ristretto255_memberpk17ckgan8t5akq6nhdk4m04mksnzen5ply596j6lsqashueg04kfgsvdfnkp",
)
COMMITTEE = tuple(
    CommitteeMember(id=blake2b(b"member %d" % index, digest_size=32).hexdigest(), index=index, public_key=key)
    for index, key in enumerate(MEMBER_KEYS)
)

DIRECT, DELEGATES = "direct", "delegates"
VOTING_START = datetime(2030, 1, 7, 12, tzinfo=UTC)


def address(voter: int | str) -> str:
    """The address of a made-up account."""
    return account_address(blake2b(f"voter {voter}".encode(), digest_size=32).digest(), production=True)


def proposal(number: int, options: int = 3) -> Proposal:
    return Proposal(
        id=number,
        external_id=blake2b(f"proposal {number}".encode(), digest_size=32).digest(),
        options=tuple(f"option {option}" for option in range(options)),
    )


PUBLIC_OBJECTIVE = Objective(
    id=1,
    title="Roads",
    payload_type=PayloadType.PUBLIC,
    voting_group=DIRECT,
    proposals=tuple(map(proposal, range(1, 6))),
)
PRIVATE_OBJECTIVE = Objective(
    id=2,
    title="Bridges",
    payload_type=PayloadType.PRIVATE,
    voting_group=DELEGATES,
    proposals=tuple(map(proposal, range(6, 9))),
)

SPEC = ElectionSpec(
    id=7,
    name="Spring",
    revision=3,
    fingerprint="1:abc",
    voting_start=VOTING_START,
    voting_end=datetime(2030, 1, 14, 12, tzinfo=UTC),
    tallying_end=datetime(2030, 1, 15, 12, tzinfo=UTC),
    committee_threshold=2,
    voting_power_unit=1,
    committee=COMMITTEE,
    objectives=(PUBLIC_OBJECTIVE, PRIVATE_OBJECTIVE),
    groups=(
        VotingGroup(DIRECT, voters=300, token_holders=300, tokens=45_150),
        VotingGroup(DELEGATES, voters=2, token_holders=2, tokens=3_000),
    ),
    fund_holders=301,
    address_prefixes=("ca",),
)


async def batches(amounts: list[tuple[str, int]], size: int = 100) -> AsyncIterator[list[tuple[str, int]]]:
    """*amounts* as the database gives them: in batches of its own size."""
    for start in range(0, len(amounts), size):
        yield amounts[start : start + size]


LEADER_ACCOUNT, *COMMITTEE_ACCOUNTS = signing_accounts(LEADER_ID, [member.id for member in COMMITTEE], TEMPLATE)

# Among the voters are one of both groups, leader 0 itself and a member of the committee.
HOLDERS = {
    DIRECT: [
        *[(address(voter), voter) for voter in range(1, 299)],
        (LEADER_ACCOUNT, 299),
        (COMMITTEE_ACCOUNTS[0], 300),
    ],
    DELEGATES: [(address(1), 1_000), (address("delegate"), 2_000)],
}
FUNDS = [(address(1), 1_001), *HOLDERS[DIRECT][1:], (address("delegate"), 2_000)]

DATA = Path(__file__).parent / "data"
BLOCK0 = DATA / "block0.bin"
"""What jcli 0.13.0 makes of `write_example` with the certificates beside it, which it signed by LEADER_SEED."""
CERTIFICATES = {
    "1a6a3b021210888d5f8fa3faa60eb6ad8bbc5d367b67a7f922f204bf3e2596ea": (DATA / "public.signed").read_text().strip(),
    "331c2cb1f9fdd37939db8181ce810a319969832d25ef5653818adb103a1986d7": (DATA / "private.signed").read_text().strip(),
}


async def write_example(target: Path, **changes: Any) -> GenesisContents:
    """The example's genesis JSON, with *changes* to the arguments of write_genesis."""
    arguments: dict[str, Any] = {
        "template": TEMPLATE,
        "clock": ChainClock(VOTING_START - timedelta(hours=1), TEMPLATE.slot_duration, TEMPLATE.slots_per_epoch),
        "leaders": leader_ids(NODES),
        "committees": [member.id for member in COMMITTEE],
        "accounts": [LEADER_ACCOUNT, *COMMITTEE_ACCOUNTS],
        "funds": batches(FUNDS),
        "tokens": [(voting_token(SPEC.id, group), batches(holders)) for group, holders in HOLDERS.items()],
        "certificates": CERTIFICATES,
    }
    with NewFile(target) as new:
        return await write_genesis(new.write, **(arguments | changes))
