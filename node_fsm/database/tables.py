"""The tables as queries name them. What each is for stands in the migrations and in the documentation of the schema.

``election.extras`` holds block 0 and may have 260 MB: no query selects it.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()


def _time(name: str, *, nullable: bool = False, now: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=text("now()") if now else None)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _id(*, always: bool = True) -> Column[int]:
    return Column("id", BigInteger, Identity(always=always), primary_key=True)


def _election(ondelete: str, *, primary_key: bool = False) -> Column[int]:
    return Column(
        "election", BigInteger, ForeignKey("election.id", ondelete=ondelete), primary_key=primary_key, nullable=False
    )


election = Table(
    "election",
    metadata,
    _id(always=False),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text, nullable=False, server_default=""),
    _time("voting_start"),
    _time("voting_end"),
    _time("tallying_end"),
    Column("committee_threshold", Integer, nullable=False),
    Column("voting_power_unit", BigInteger, nullable=False, server_default=text("1")),
    _time("cancelled_at", nullable=True),
    Column("extras", JSONB, nullable=False, server_default="{}"),
    Column("block0_hash", Text, Computed("extras #>> '{block0,hash}'", persisted=True)),
    Column("block0_size", BigInteger, Computed("(extras #>> '{block0,size}')::bigint", persisted=True)),
    Column("block0_fingerprint", Text, Computed("extras #>> '{block0,fingerprint}'", persisted=True)),
    Column("block0_generation", BigInteger, Computed("(extras #>> '{block0,generation}')::bigint", persisted=True)),
)

election_revision = Table(
    "election_revision",
    metadata,
    _election("CASCADE", primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

jorm_nodes = Table(
    "jorm_nodes",
    metadata,
    Column("hostname", Text, primary_key=True),
    _text("leader_id", nullable=True),
    _text("p2p_address", nullable=True),
)

committee = Table(
    "committee",
    metadata,
    _election("CASCADE", primary_key=True),
    Column("id", Text, primary_key=True),
    Column("member_index", Integer, nullable=False),
    _text("member_public_key", nullable=True),
    UniqueConstraint("election", "member_index"),
)

objective = Table(
    "objective",
    metadata,
    _id(always=False),
    _election("CASCADE"),
    _text("title"),
    _text("payload_type"),
    _text("voting_group"),
    Index("objective_election", "election"),
)

proposal = Table(
    "proposal",
    metadata,
    _id(always=False),
    Column("objective", BigInteger, ForeignKey("objective.id", ondelete="CASCADE"), nullable=False),
    Column("external_id", LargeBinary),
    _text("title"),
    Column("options", ARRAY(Text), nullable=False),
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("objective", "external_id"),
)

voter = Table(
    "voter",
    metadata,
    _election("CASCADE", primary_key=True),
    Column("voting_key", Text(collation="C"), primary_key=True),
    Column("voting_group", Text(collation="C"), primary_key=True),
    Column("voting_power", BigInteger, nullable=False),
    Column("address", Text(collation="C"), nullable=False),
)

vote_plan = Table(
    "vote_plan",
    metadata,
    _id(),
    _election("RESTRICT"),
    _text("block0_hash"),
    _text("chain_id"),
    Column("index", Integer, nullable=False),
    _text("payload_type"),
    _text("voting_group"),
    _text("token"),
    _text("encryption_key", nullable=True),
    _time("block0_date"),
    Column("slot_duration", Integer, nullable=False),
    Column("slots_per_epoch", Integer, nullable=False),
    _text("vote_start"),
    _text("vote_end"),
    _text("committee_end"),
    _time("withdrawn_at", nullable=True),
    Column("tally_snapshot", JSONB),
    _text("tally_snapshot_hash", nullable=True),
    Column("decrypted", JSONB),
    UniqueConstraint("block0_hash", "index"),
    UniqueConstraint("block0_hash", "chain_id"),
    Index("vote_plan_election", "election"),
)

vote_plan_proposal = Table(
    "vote_plan_proposal",
    metadata,
    Column("vote_plan", BigInteger, ForeignKey("vote_plan.id", ondelete="CASCADE"), primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("proposal", BigInteger, nullable=False),
    Column("external_id", LargeBinary, nullable=False),
    Column("options", ARRAY(Text), nullable=False),
)

published_specification = Table(
    "published_specification",
    metadata,
    Column("block0_hash", Text, primary_key=True),
    Column("election", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    _text("canonical"),
    _text("published_by"),
    _time("published_at", now=True),
)

decryption_share = Table(
    "decryption_share",
    metadata,
    Column("vote_plan", BigInteger, ForeignKey("vote_plan.id", ondelete="CASCADE"), primary_key=True),
    Column("snapshot_hash", Text, primary_key=True),
    Column("committee_member", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),
    _text("share"),
    _time("posted_at", now=True),
    Column("posted_by", Text, nullable=False, server_default=text("SESSION_USER")),
)

tally = Table(
    "tally",
    metadata,
    Column("block0_hash", Text, primary_key=True),
    Column("vote_plan", Text, primary_key=True),
    Column("index", Integer, nullable=False),
    Column("election", BigInteger, nullable=False),
    _text("election_name"),
    _text("fragment_id", nullable=True),
    Column("on_chain", Boolean, nullable=False),
    _text("results_hash"),
    _time("decided_at", now=True),
    _text("disputed", nullable=True),
)

tally_confirmation = Table(
    "tally_confirmation",
    metadata,
    Column("block0_hash", Text, primary_key=True),
    Column("election", BigInteger, nullable=False),
    _text("election_name"),
    _time("confirmed_at", now=True),
)

tally_result = Table(
    "tally_result",
    metadata,
    Column("block0_hash", Text, primary_key=True),
    Column("vote_plan", Text, primary_key=True),
    Column("proposal_index", Integer, primary_key=True),
    Column("proposal", BigInteger, nullable=False),
    Column("external_id", LargeBinary, nullable=False),
    Column("option", Integer, primary_key=True),
    Column("votes", BigInteger, nullable=False),
    ForeignKeyConstraint(["block0_hash", "vote_plan"], ["tally.block0_hash", "tally.vote_plan"]),
)

archive = Table(
    "archive",
    metadata,
    Column("block0_hash", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("election", BigInteger, nullable=False),
    _text("election_name"),
    _text("kind"),
    _text("tip_hash"),
    _text("uri"),
    _text("sha256"),
    Column("bytes", BigInteger, nullable=False),
    _text("manifest"),
    _time("verified_at"),
)

archived_block = Table(
    "archived_block",
    metadata,
    Column("block0_hash", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("ids", LargeBinary, nullable=False),
    Column("votes", LargeBinary, nullable=False, server_default=""),
    ForeignKeyConstraint(["block0_hash", "run_id"], ["archive.block0_hash", "archive.run_id"]),
)

fragment_handover = Table(
    "fragment_handover",
    metadata,
    Column("block0_hash", Text, primary_key=True),
    Column("fragment_id", Text, primary_key=True),
    Column("raw", LargeBinary, nullable=False),
    _text("from_host"),
    _time("handed_at", now=True),
    _time("resolved_at", nullable=True),
)

uncounted_vote = Table(
    "uncounted_vote",
    metadata,
    Column("block0_hash", Text, primary_key=True),
    Column("fragment_id", Text, primary_key=True),
    Column("node", Text, primary_key=True),
    Column("election", BigInteger, nullable=False),
    _text("election_name"),
    _text("account"),
    Column("weight", BigInteger, nullable=False),
    _text("why"),
    Column("raw", LargeBinary, nullable=False),
    _time("at", now=True),
    _time("acknowledged_at", nullable=True),
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    _text("holder"),
    _text("instance"),
    _text("process"),
    Column("generation", BigInteger, nullable=False),
    _time("expires_at"),
    Column("stopped", Boolean, nullable=False),
    _text("unconfirmed_holder", nullable=True),
)

node_status = Table(
    "node_status",
    metadata,
    Column("hostname", Text, primary_key=True),
    _text("phase"),
    _time("since"),
    Column("election", BigInteger),
    _text("block0_hash", nullable=True),
    Column("height", BigInteger),
    _text("tip", nullable=True),
    _text("tip_date", nullable=True),
    Column("peers", Integer),
    Column("conditions", ARRAY(Text), nullable=False),
    _text("version"),
    _time("updated_at"),
    Column("marks", JSONB, nullable=False, server_default="[]"),
    Column("apart", ARRAY(Text), nullable=False, server_default="{}"),
    _text("last_counted", nullable=True),
    Column("decryption_speed", JSONB),
    _text("role", nullable=True),
    Column("votes", BigInteger),
    _text("deadline", nullable=True),
    _time("deadline_at", nullable=True),
    Column("condition_details", JSONB, nullable=False, server_default="[]"),
    _time("stopped_at", nullable=True),
)

chain_copy = Table(
    "chain_copy",
    metadata,
    Column("block0_hash", Text, primary_key=True),
    Column("hostname", Text, primary_key=True),
    Column("height", BigInteger, nullable=False),
    Column("lost", Boolean, nullable=False),
)

phase_journal = Table(
    "phase_journal",
    metadata,
    _id(),
    _text("hostname"),
    Column("election", BigInteger),
    _text("election_name", nullable=True),
    _text("from"),
    _text("event"),
    _text("to"),
    _time("at"),
    _text("reason"),
    UniqueConstraint("hostname", "at", "event", "election", postgresql_nulls_not_distinct=True),
)
