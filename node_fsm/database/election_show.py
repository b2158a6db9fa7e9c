"""An election as an operator looks at it: everything but the voters one by one and block 0's bytes."""

from collections import defaultdict
from typing import Any

from sqlalchemy import text

from node_fsm.database.administration import election_unknown
from node_fsm.database.overview import Overviews
from node_fsm.database.session import BULK_SECONDS, Session

_ELECTIONS = text("""
    SELECT election.id, name, description, voting_start, voting_end, tallying_end, committee_threshold,
        voting_power_unit, cancelled_at, revision, block0_hash, block0_size
    FROM election LEFT JOIN election_revision ON election_revision.election = election.id
    WHERE name = :name OR CAST(:name AS text) IS NULL ORDER BY voting_start, election.id
""")
_COMMITTEE = text("SELECT id, member_index, member_public_key FROM committee WHERE election = :election ORDER BY 2")
_GROUPS = text("""
    SELECT voting_group, count(*) AS voters, sum(voting_power)::bigint AS voting_power FROM voter
    WHERE election = :election GROUP BY 1 ORDER BY 1
""")
_PROPOSALS = text("""
    SELECT objective.title AS objective, payload_type, voting_group, proposal.id, proposal.title,
        encode(external_id, 'hex') AS external_id, options, deleted
    FROM objective JOIN proposal ON proposal.objective = objective.id
    WHERE election = :election ORDER BY objective.id, proposal.id
""")
_PLANS = text("""
    SELECT plan.block0_hash, plan.index, chain_id, payload_type, voting_group, token, encryption_key, block0_date,
        vote_start, vote_end, committee_end, withdrawn_at, published_at, published_by,
        fragment_id, on_chain, decided_at, disputed, confirmed_at
    FROM vote_plan plan
    LEFT JOIN published_specification published ON published.block0_hash = plan.block0_hash
    LEFT JOIN tally ON tally.block0_hash = plan.block0_hash AND tally.vote_plan = plan.chain_id
    LEFT JOIN tally_confirmation confirmation ON confirmation.block0_hash = plan.block0_hash
    WHERE plan.election = :election ORDER BY plan.id
""")
_RESULTS = text("""
    SELECT result.block0_hash, result.vote_plan, encode(external_id, 'hex') AS external_id,
        array_agg(votes ORDER BY option) AS votes
    FROM tally_result result JOIN tally USING (block0_hash, vote_plan)
    WHERE election = :election GROUP BY 1, 2, 3, proposal_index, tally.index ORDER BY 1, tally.index, proposal_index
""")
_ARCHIVES = text("""
    SELECT block0_hash, kind, uri, bytes, sha256, verified_at FROM archive WHERE election = :election
    ORDER BY verified_at
""")


async def list_elections(session: Session) -> list[dict[str, Any]]:
    """The rows of all elections by voting_start, each with the *fault* for which a service leaves it out, or None.

    A time that cannot be is text.
    """
    faults = await _faults(session)
    async with session.transaction("list_elections", snapshot=True) as connection:
        rows = [dict(row._mapping) for row in await connection.execute(_ELECTIONS, {"name": None})]
    return [row | {"fault": faults.get(row["id"])} for row in rows]


async def describe_election(session: Session, name: str) -> dict[str, Any]:
    """An election's row and *fault*, ``committee``, ``voters`` by group, ``proposals``, ``plans`` and ``archives``.

    Plans have their ``results``: votes per option by external id, in the order of the plan; empty before the tally.
    PermanentError ``ElectionUnknown`` when there is none of this name.
    """
    faults = await _faults(session)
    async with session.transaction("describe_election", BULK_SECONDS, snapshot=True) as connection:

        async def rows(query: Any, **arguments: Any) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in await connection.execute(query, arguments)]

        found = await rows(_ELECTIONS, name=name)
        if not found:
            raise election_unknown(name)
        election = found[0]
        results: defaultdict[tuple[str, str], dict[str, list[int]]] = defaultdict(dict)
        for result in await rows(_RESULTS, election=election["id"]):
            results[result["block0_hash"], result["vote_plan"]][result["external_id"]] = result["votes"]
        plans = await rows(_PLANS, election=election["id"])
        return {
            **election,
            "fault": faults.get(election["id"]),
            "committee": await rows(_COMMITTEE, election=election["id"]),
            "voters": await rows(_GROUPS, election=election["id"]),
            "proposals": await rows(_PROPOSALS, election=election["id"]),
            "plans": [{**plan, "results": results[plan["block0_hash"], plan["chain_id"]]} for plan in plans],
            "archives": await rows(_ARCHIVES, election=election["id"]),
        }


async def _faults(session: Session) -> dict[int, str]:
    """Why elections cannot be read, by id."""
    overview = await Overviews(session, specifications=None).overview([])
    return {row.id: row.why for row in overview.unreadable}
