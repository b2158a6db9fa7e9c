"""An election as an operator looks at it: everything but the voters one by one and block 0's bytes."""

from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.chain_time import BlockDate, ChainClock
from node_fsm.core.cluster_status import Stage, stage
from node_fsm.core.errors import PermanentError
from node_fsm.database.administration import election_unknown
from node_fsm.database.overview import SELECT_ELECTIONS, read_election
from node_fsm.database.session import BULK_SECONDS, Session

_ELECTIONS = text("""
    SELECT election.id, name, description, voting_start, voting_end, tallying_end, committee_threshold,
        voting_power_unit, cancelled_at, revision, block0_hash, block0_size
    FROM election LEFT JOIN election_revision ON election_revision.election = election.id
    WHERE name = :name OR CAST(:name AS text) IS NULL ORDER BY voting_start, election.id
""")
_READ = text(SELECT_ELECTIONS)
_OVER = text("""
    SELECT DISTINCT election.id FROM election JOIN archive ON archive.block0_hash = election.block0_hash
    WHERE kind = 'final'
""")
_DATES = ("vote_start", "vote_end", "committee_end")
_TIME = text("SELECT clock_timestamp()")
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
    SELECT plan.id, plan.block0_hash, plan.index, chain_id, payload_type, voting_group, token, encryption_key,
        block0_date, slot_duration, slots_per_epoch, vote_start, vote_end, committee_end, withdrawn_at, published_at,
        published_by,
        fragment_id, on_chain, decided_at, disputed, confirmed_at
    FROM vote_plan plan
    LEFT JOIN published_specification published ON published.block0_hash = plan.block0_hash
    LEFT JOIN tally ON tally.block0_hash = plan.block0_hash AND tally.vote_plan = plan.chain_id
    LEFT JOIN tally_confirmation confirmation ON confirmation.block0_hash = plan.block0_hash
    WHERE plan.election = :election ORDER BY plan.id
""")
_PLANNED = text("""
    SELECT planned.vote_plan, planned.index, proposal.title, encode(planned.external_id, 'hex') AS external_id,
        planned.options
    FROM vote_plan_proposal planned JOIN vote_plan plan ON plan.id = planned.vote_plan
    LEFT JOIN proposal ON proposal.id = planned.proposal
    WHERE plan.election = :election ORDER BY planned.vote_plan, planned.index
""")
_RESULTS = text("""
    SELECT result.block0_hash, result.vote_plan, encode(external_id, 'hex') AS external_id,
        array_agg(votes ORDER BY option) AS votes
    FROM tally_result result JOIN tally USING (block0_hash, vote_plan)
    WHERE election = :election GROUP BY 1, 2, 3, proposal_index, tally.index ORDER BY 1, tally.index, proposal_index
""")
_COUNTED = text("""
    SELECT tally.election_name AS election, objective.title AS objective, proposal.title AS proposal,
        planned.options[result.option + 1] AS option, result.votes, plan.voting_group, plan.payload_type,
        encode(result.external_id, 'hex') AS external_id, result.option AS option_index,
        tally.vote_plan AS plan, tally.index AS plan_index, result.proposal_index, tally.block0_hash,
        tally.on_chain, tally.fragment_id, tally.disputed, confirmed_at, tally.decided_at
    FROM tally
    JOIN tally_result result ON result.block0_hash = tally.block0_hash AND result.vote_plan = tally.vote_plan
    LEFT JOIN vote_plan plan ON plan.block0_hash = tally.block0_hash AND plan.chain_id = tally.vote_plan
    LEFT JOIN vote_plan_proposal planned ON planned.vote_plan = plan.id AND planned.index = result.proposal_index
    LEFT JOIN proposal ON proposal.id = result.proposal
    LEFT JOIN objective ON objective.id = proposal.objective
    LEFT JOIN tally_confirmation confirmation ON confirmation.block0_hash = tally.block0_hash
    WHERE tally.election = :election ORDER BY tally.decided_at, tally.block0_hash, tally.index, 12, 9
""")
_ARCHIVES = text("""
    SELECT block0_hash, kind, uri, bytes, sha256, verified_at FROM archive WHERE election = :election
    ORDER BY verified_at
""")


async def list_elections(session: Session) -> list[dict[str, Any]]:
    """The rows of all elections by voting_start, each with its *stage*.

    *fault* is why a service leaves it out, or None. A time that cannot be is text.
    """
    async with session.transaction("list_elections", snapshot=True) as connection:
        stages = await _stages(connection)
        rows = [dict(row._mapping) for row in await connection.execute(_ELECTIONS, {"name": None})]
    return [row | stages[row["id"]] for row in rows]


async def election_results(session: Session, name: str) -> tuple[Stage, list[dict[str, Any]]]:
    """How far the election is, and its counted votes: a row for each option of each proposal, in the plans' order.

    Titles are None once their rows are gone. PermanentError ``ElectionUnknown``.
    """
    async with session.transaction("election_results", BULK_SECONDS, snapshot=True) as connection:
        found = (await connection.execute(_ELECTIONS, {"name": name})).one_or_none()
        if found is None:
            raise election_unknown(name)
        stages = await _stages(connection)
        rows = [dict(row._mapping) for row in await connection.execute(_COUNTED, {"election": found.id})]
    return stages[found.id]["stage"], rows


async def describe_election(session: Session, name: str) -> dict[str, Any]:
    """An election's row, *stage* and *fault*, ``committee``, ``voters`` by group, ``proposals``, ``plans``, archives.

    Plans have their ``proposals`` in the plan's order, the times of their dates (``vote_start_at``…, None where a date
    is none), and ``results``: votes per option by external id; empty before the tally.
    PermanentError ``ElectionUnknown`` when there is none of this name.
    """
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
        proposals: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        for proposal in await rows(_PLANNED, election=election["id"]):
            proposals[proposal.pop("vote_plan")].append(proposal)
        plans = await rows(_PLANS, election=election["id"])
        return {
            **election,
            **(await _stages(connection))[election["id"]],
            "committee": await rows(_COMMITTEE, election=election["id"]),
            "voters": await rows(_GROUPS, election=election["id"]),
            "proposals": await rows(_PROPOSALS, election=election["id"]),
            "plans": [
                {
                    **plan,
                    **_times(plan),
                    "proposals": proposals[plan.pop("id")],
                    "results": results[plan["block0_hash"], plan["chain_id"]],
                }
                for plan in plans
            ],
            "archives": await rows(_ARCHIVES, election=election["id"]),
        }


async def _stages(connection: AsyncConnection) -> dict[int, dict[str, Any]]:
    """The *stage* of each election by id, and the *fault* for which it cannot be read, or None."""
    over = set(await connection.scalars(_OVER))
    now = await connection.scalar(_TIME)
    stages: dict[int, dict[str, Any]] = {}
    for row in await connection.execute(_READ):
        try:
            reached = stage(replace(read_election(row), archived=row.id in over), now)
            stages[row.id] = {"stage": reached, "fault": None}
        except PermanentError as error:
            stages[row.id] = {"stage": Stage.UNREADABLE, "fault": error.message}
    return stages


def _times(plan: dict[str, Any]) -> dict[str, datetime | None]:
    """When the dates of a plan are."""
    times: dict[str, datetime | None] = dict.fromkeys(f"{name}_at" for name in _DATES)
    with suppress(ValueError, OverflowError, TypeError):  # a row that cannot be is shown as it is
        clock = ChainClock(plan["block0_date"], plan["slot_duration"], plan["slots_per_epoch"])
        times |= {f"{name}_at": clock.time_at(BlockDate.parse(plan[name])) for name in _DATES}
    return times
