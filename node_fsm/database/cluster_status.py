"""The cluster as people look at it: one reading of what all services wrote of themselves and of elections."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.cluster_status import (
    SILENT_AFTER,
    ClusterArchive,
    ClusterElection,
    ClusterNode,
    ClusterStatus,
    LeaseHolder,
    MemberShares,
    NodeKind,
    ProposalResult,
    Stage,
    Standing,
    ToldCondition,
    stage,
)
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind, ElectionOverview, JournalEntry, Overview
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.phases import Role
from node_fsm.core.view import Deadline
from node_fsm.database.overview import SELECT_ELECTIONS, Overviews, read_election
from node_fsm.database.session import Session

ENDED_ELECTIONS = 3
"""So many of those that are over are shown, too."""

JOURNAL_ENTRIES = 20

_ENDED = text(
    SELECT_ELECTIONS
    + """
    WHERE EXISTS (SELECT FROM archive WHERE archive.block0_hash = election.block0_hash AND kind = 'final')
    ORDER BY election.voting_start DESC, election.id DESC LIMIT :limit
"""
)
_NODES = text("""
    SELECT coalesce(node.hostname, status.hostname) AS hostname, node.hostname IS NOT NULL AS is_listed,
        node.leader_id, node.p2p_address, status.role, status.phase, status.since, status.election AS election_id,
        election.name AS election, status.block0_hash, status.height, status.tip, status.tip_date, status.peers,
        status.votes, status.deadline, status.deadline_at, status.conditions, status.condition_details, status.apart,
        status.version, status.updated_at, status.stopped_at
    FROM jorm_nodes node
    FULL JOIN node_status status ON status.hostname = node.hostname
    LEFT JOIN election ON election.id = status.election
""")
_PLANS = text("""
    SELECT block0_hash, count(*) AS plans, count(*) FILTER (WHERE payload_type = 'private') AS private,
        count(*) FILTER (WHERE payload_type = 'private' AND decrypted IS NOT NULL) AS decrypted
    FROM vote_plan WHERE block0_hash = ANY(:chains) GROUP BY block0_hash
""")
_SHARES = text("""
    SELECT committee.election, committee.member_index, committee.member_public_key,
        count(DISTINCT plan.id) FILTER (WHERE share.sha256 IS NOT NULL) AS plans
    FROM committee
    JOIN vote_plan plan ON plan.election = committee.election AND plan.payload_type = 'private'
    LEFT JOIN decryption_share share ON share.vote_plan = plan.id AND share.snapshot_hash = plan.tally_snapshot_hash
        AND share.committee_member = committee.member_public_key
    WHERE plan.block0_hash = ANY(:chains)
    GROUP BY 1, 2, 3 ORDER BY 1, 2
""")
_RESULTS = text("""
    SELECT result.block0_hash, result.vote_plan, result.proposal_index, plan.payload_type, plan.voting_group,
        objective.title AS objective, proposal.title, planned.options, array_agg(result.votes ORDER BY option) AS votes
    FROM tally_result result
    JOIN vote_plan plan ON plan.block0_hash = result.block0_hash AND plan.chain_id = result.vote_plan
    JOIN vote_plan_proposal planned ON planned.vote_plan = plan.id AND planned.index = result.proposal_index
    LEFT JOIN proposal ON proposal.id = result.proposal
    LEFT JOIN objective ON objective.id = proposal.objective
    WHERE result.block0_hash = ANY(:chains)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, plan.index ORDER BY 1, plan.index, 3
""")
_ARCHIVES = text("""
    SELECT election, kind, uri, bytes, verified_at FROM archive WHERE election = ANY(:elections) ORDER BY verified_at
""")
_JOURNAL = text("""
    SELECT hostname, election AS election_id, election_name, "from" AS source, event, "to" AS target, at, reason
    FROM phase_journal ORDER BY id DESC LIMIT :limit
""")
_LEASE = text("SELECT holder, expires_at, stopped, unconfirmed_holder FROM lease")


async def cluster_status(session: Session, *, journal: int = JOURNAL_ENTRIES) -> ClusterStatus:
    """The cluster now, with the last *journal* entries. It only reads, a few kilobytes, and no voters.

    Raises TemporaryError when the database is away, PermanentError when its schema is older than this version.
    """
    _, status = await read_cluster(session, journal=journal)
    return status


async def read_cluster(session: Session, *, journal: int = JOURNAL_ENTRIES) -> tuple[Overview, ClusterStatus]:
    """The same, with what services read of elections and nodes."""
    overview = await Overviews(session, specifications=None).overview([])
    lost: defaultdict[str, int] = defaultdict(int)
    for votes in overview.lost:
        lost[votes.block0_hash] += votes.count
    disputed = {tally.block0_hash: tally.why for tally in overview.disputed}
    async with session.transaction("cluster_status", snapshot=True) as connection:
        ended = await _ended(connection)
        readable = [*ended, *overview.missed, *overview.elections]
        chains = [election.block0.hash for election in readable if election.block0]
        details = await _Details.read(connection, chains, [election.id for election in readable])
        nodes = [_node(row, overview.database_time) for row in await connection.execute(_NODES)]
        entries = [_entry(row) for row in await connection.execute(_JOURNAL, {"limit": journal})]
        lease = (await connection.execute(_LEASE)).one_or_none()
    elections = [
        replace(
            details.election(election, stage(election, overview.database_time)),
            disputed=disputed.get(election.block0.hash) if election.block0 else None,
            lost_votes=lost[election.block0.hash] if election.block0 else 0,
        )
        for election in sorted(readable, key=lambda election: (election.voting_start, election.id))
    ]
    unreadable = [ClusterElection(row.id, row.name, Stage.UNREADABLE, fault=row.why) for row in overview.unreadable]
    return overview, ClusterStatus(
        at=overview.database_time,
        nodes=tuple(sorted(nodes, key=lambda node: (node.kind is not NodeKind.LEADER0, node.hostname))),
        elections=(*elections, *unreadable),
        journal=tuple(entry for entry in entries if entry),
        lease=LeaseHolder(lease.holder, _time(lease.expires_at), lease.stopped, lease.unconfirmed_holder)
        if lease
        else None,
    )


async def _ended(connection: AsyncConnection) -> list[ElectionOverview]:
    """The last elections that are over, as far as they can be read."""
    found = []
    for row in await connection.execute(_ENDED, {"limit": ENDED_ELECTIONS}):
        try:
            found.append(replace(read_election(row), archived=True))
        except PermanentError:
            continue  # of what is over nothing is to be mended
    return found


class _Details:
    """What belongs to elections, by block 0 hash or election id."""

    def __init__(
        self,
        plans: Mapping[str, Row[Any]],
        shares: Mapping[int, list[MemberShares]],
        results: Mapping[str, list[ProposalResult]],
        archives: Mapping[int, list[ClusterArchive]],
    ) -> None:
        self._plans = plans
        self._shares = shares
        self._results = results
        self._archives = archives

    @classmethod
    async def read(cls, connection: AsyncConnection, chains: Sequence[str], elections: Sequence[int]) -> "_Details":
        """All of these *chains* and *elections*."""

        async def rows(query: TextClause) -> Iterable[Row[Any]]:
            return await connection.execute(query, {"chains": list(chains)})

        shares: defaultdict[int, list[MemberShares]] = defaultdict(list)
        for row in await rows(_SHARES):
            shares[row.election].append(MemberShares(row.member_index, row.member_public_key, row.plans))
        results: defaultdict[str, list[ProposalResult]] = defaultdict(list)
        for row in await rows(_RESULTS):
            results[row.block0_hash].append(_result(row))
        archives: defaultdict[int, list[ClusterArchive]] = defaultdict(list)
        for row in await connection.execute(_ARCHIVES, {"elections": list(elections)}):
            archive = ClusterArchive(ArchiveKind(row.kind), row.uri, row.bytes, _time(row.verified_at))
            archives[row.election].append(archive)
        return cls({row.block0_hash: row for row in await rows(_PLANS)}, shares, results, archives)

    def election(self, election: ElectionOverview, at: Stage) -> ClusterElection:
        """*election*, which is at this stage, with all that belongs to it."""
        chain = election.block0.hash if election.block0 else None
        plans = self._plans.get(chain) if chain else None
        return ClusterElection(
            id=election.id,
            name=election.name,
            stage=at,
            voting_start=election.voting_start,
            voting_end=election.voting_end,
            tallying_end=election.tallying_end,
            block0_hash=chain,
            dates=election.block0.dates if election.block0 else None,
            plans=plans.plans if plans else 0,
            private_plans=plans.private if plans else 0,
            decrypted=plans.decrypted if plans else 0,
            committee=tuple(self._shares.get(election.id, ())),
            results=tuple(self._results.get(chain, ())) if chain else (),
            archives=tuple(self._archives.get(election.id, ())),
        )


def _result(row: Row[Any]) -> ProposalResult:
    return ProposalResult(
        plan_id=row.vote_plan,
        index=row.proposal_index,
        payload_type=PayloadType(row.payload_type),
        voting_group=row.voting_group,
        objective=row.objective,
        title=row.title,
        options=tuple(row.options),
        votes=tuple(row.votes),
    )


def _node(row: Row[Any], now: datetime) -> ClusterNode:
    heard_at = _time(row.updated_at)
    deadline_at = _time(row.deadline_at)
    return ClusterNode(
        hostname=row.hostname,
        is_listed=row.is_listed,
        kind=_kind(row),
        standing=_standing(row, heard_at, now),
        leader_id=row.leader_id,
        p2p_address=row.p2p_address,
        heard_at=heard_at,
        phase=row.phase,
        since=_time(row.since),
        election_id=row.election_id,
        election=row.election,
        block0_hash=row.block0_hash,
        height=row.height,
        tip=row.tip,
        tip_date=row.tip_date,
        peers=row.peers,
        votes=row.votes,
        next_deadline=Deadline(row.deadline, deadline_at) if row.deadline and deadline_at else None,
        conditions=_conditions(row.conditions or (), row.condition_details),
        apart=tuple(row.apart or ()),
        version=row.version,
    )


def _kind(row: Row[Any]) -> NodeKind | None:
    """What the service said that it is goes before the key in its row, which every leader has."""
    if row.role == Role.LEADER0:
        return NodeKind.LEADER0
    if row.is_listed:
        return NodeKind.LEADER if row.leader_id else NodeKind.FOLLOWER
    return None


def _standing(row: Row[Any], heard_at: datetime | None, now: datetime) -> Standing:
    if row.updated_at is None:
        return Standing.NEVER_HEARD
    stopped_at = _time(row.stopped_at)
    if stopped_at and heard_at and stopped_at >= heard_at:
        return Standing.STOPPED
    return Standing.HEARD if heard_at and now - heard_at < SILENT_AFTER else Standing.SILENT


def _conditions(types: Collection[str], details: object) -> tuple[ToldCondition, ...]:
    """The conditions of these *types*, with what *details* say of them, which an older service leaves as they were."""
    known = {}
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping) and all(isinstance(value, str) for value in detail.values()):
            known[detail.get("type")] = detail
    return tuple(_condition(type_, known.get(type_, {})) for type_ in types)


def _condition(type_: str, detail: Mapping[str, str]) -> ToldCondition:
    since = None
    with suppress(KeyError, ValueError):  # of an older version, or written by hand
        since = datetime.fromisoformat(detail["since"])
    return ToldCondition(type_, detail.get("reason"), detail.get("message"), since)


def _entry(row: Row[Any]) -> JournalEntry | None:
    at = _time(row.at)
    if at is None:
        return None
    return JournalEntry(
        hostname=row.hostname,
        election_id=row.election_id,
        election_name=row.election_name,
        source=row.source,
        event=row.event,
        target=row.target,
        at=at,
        reason=row.reason,
    )


def _time(value: datetime | str | None) -> datetime | None:
    """A time of a row; one that cannot be, which comes as text, is not known."""
    return value if isinstance(value, datetime) else None
