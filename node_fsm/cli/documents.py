"""What ``--output json`` prints of what is no table: the fields of each document, for docs/commands.md.

``x[]`` is each of a list, ``x.y`` the field of an object.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from node_fsm.cli.output import Column
from node_fsm.core.chain_time import ChainDates
from node_fsm.core.view import Deadline


def _fields(**meanings: str) -> Sequence[Column]:
    return [Column(name, None, meaning) for name, meaning in meanings.items()]


_DATES = (
    "The chain's clock and dates: `block0_date`, `slot_duration` (seconds), `slots_per_epoch`, and"
    " `vote_start`, `vote_end`,"
    " `committee_end` as `epoch.slot`; null before block 0 is published."
)

ELECTION = _fields(
    id="Its id in the database.",
    name="Its name.",
    description="Its description.",
    voting_start="When voting begins.",
    voting_end="When voting ends.",
    tallying_end="Until when shares are taken and results are posted.",
    committee_threshold="How many members of the committee are needed.",
    voting_power_unit="How much voting power is one vote.",
    cancelled_at="When it was cancelled; null when it was not.",
    revision="Counts the changes of what is specified.",
    block0_hash="Its block 0; null before it is published, and once it is withdrawn.",
    block0_size="The bytes of block 0.",
    stage="How far it is, as in `election list`.",
    fault="Why its row cannot be read; null when it can.",
    committee="The members: `id`, `member_index`, `member_public_key`.",
    voters="By group: `voting_group`, `voters` (how many), `voting_power` (of all).",
    proposals="`objective`, `payload_type`, `voting_group`, `id`, `title`, `external_id` (hex), `options`, `deleted`.",
    plans="The vote plans of each block 0 that was published: `block0_hash`, `index`, `chain_id` (the plan's"
    " id on the chain),"
    " `payload_type`, `voting_group`, `token`, `encryption_key`, `block0_date`, `slot_duration`, `slots_per_epoch`;"
    " `vote_start`, `vote_end`, `committee_end` as `epoch.slot`, and each as a time with `_at`; `withdrawn_at`,"
    " `published_at`, `published_by`; `fragment_id`, `on_chain`, `decided_at`, `disputed`, `confirmed_at` of its tally;"
    " `proposals` (`index`, `title`, `external_id`, `options`); `results`, the votes by option of each `external_id`.",
    archives="`block0_hash`, `kind`, `uri`, `bytes`, `sha256`, `verified_at`.",
)
STATUS = _fields(
    at="The moment, by the database's clock.",
    nodes="Each node: `hostname`, `is_listed` (in `jorm_nodes`), `kind`, `standing` (`heard`, `silent`, `stopped`,"
    " `never_heard`), `leader_id`, `p2p_address`, `heard_at`, `phase`, `since`, `election_id`, `election`,"
    " `block0_hash`, `height`, `tip`,"
    " `tip_date`, `peers`, `votes`, `next_deadline` (`name`, `at`), `conditions` (`type`, `reason`,"
    " `message`, `since`), `apart`,"
    " `version`.",
    elections="Each election: `id`, `name`, `stage`, `fault`, `voting_start`, `voting_end`, `tallying_end`,"
    " `deadlines` (times by"
    " name), `block0_hash`, `dates`, `plans`, `private_plans`, `decrypted`, `committee` (`index`,"
    " `public_key`, `plans`),"
    " `results`, `disputed`, `lost_votes`, `archives`. " + _DATES.replace("The chain's", "`dates` are the chain's", 1),
    journal="The last entries, the newest first.",
    lease="Who has the right to publish: `hostname`, `expires_at`, `stopped`, `unconfirmed`; null before the"
    " first leader 0.",
    problems="What needs a person, a sentence each.",
)
OUTLOOK = _fields(
    name="The election. There is an object for each.",
    stage="How far it is, as in `election list`.",
    at="The moment of looking, by the database's clock.",
    deadlines="When what happens: times by name.",
    dates=_DATES,
    plans="The vote plans that it has or will have.",
    voters="How many voters there are.",
    leader0="Leader 0's host; null when none is known.",
    leaders="All leaders' hosts.",
    block0_bytes="The size of block 0, or what it will be.",
    build_seconds="About how long block 0 takes to make; null once it is made.",
    decryption_seconds="At most about how long private votes take to decrypt; null when there are none.",
    problems="What would stop it, a sentence each.",
    warnings="What to know, a sentence each.",
)
FINDING = _fields(
    area="What part of it was looked at. There is an object for each check.",
    check="What was checked.",
    verdict="`ok`, `doubt`, `failed` or `skipped`.",
    said="What was seen, or what is to be done.",
)
SETTINGS = [
    Column("VARIABLE", None, "By the name of each setting its value, secrets as `***`; null when it is not set.")
]


def chain_dates(dates: ChainDates) -> Mapping[str, object]:
    """A chain's clock and dates for programs, these as ``epoch.slot``."""
    return {
        "block0_date": dates.clock.start,
        "slot_duration": dates.clock.slot_duration,
        "slots_per_epoch": dates.clock.slots_per_epoch,
        **{name: str(getattr(dates, name)) for name in ("vote_start", "vote_end", "committee_end")},
    }


def moments(deadlines: Iterable[Deadline]) -> Mapping[str, datetime]:
    """When each of *deadlines* is, for programs."""
    return {deadline.name: deadline.at for deadline in deadlines}
