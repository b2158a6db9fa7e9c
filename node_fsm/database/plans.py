"""The vote plans of published chains."""

from collections import defaultdict

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.model import Proposal, Publication, VotePlan
from node_fsm.database import tables
from node_fsm.database.session import Session
from node_fsm.database.specification import read_payload_type


class VotePlans:
    """Of the Database port: the plans of a chain."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def vote_plans(self, block0_hash: str) -> tuple[VotePlan, ...]:
        """The plans published with this block 0, withdrawn or not, by index; empty when it never was published."""
        async with self._session.transaction("vote_plans", snapshot=True) as connection:
            return await read_plans(connection, block0_hash)


async def read_plans(connection: AsyncConnection, block0_hash: str) -> tuple[VotePlan, ...]:
    """The plans published with this block 0 by index."""
    plan, proposal = tables.vote_plan.c, tables.vote_plan_proposal.c
    proposals: defaultdict[int, list[Proposal]] = defaultdict(list)
    query = (
        select(proposal.vote_plan, proposal.proposal, proposal.external_id, proposal.options)
        .join_from(tables.vote_plan_proposal, tables.vote_plan)
        .where(plan.block0_hash == block0_hash)
        .order_by(proposal.vote_plan, proposal.index)
    )
    for row in await connection.execute(query):
        proposals[row.vote_plan].append(Proposal(row.proposal, row.external_id, tuple(row.options)))
    rows = await connection.execute(
        select(
            plan.id,
            plan.index.label("plan_index"),
            plan.chain_id,
            plan.payload_type,
            plan.voting_group,
            plan.token,
            plan.encryption_key,
        )
        .where(plan.block0_hash == block0_hash)
        .order_by(plan.index)
    )
    return tuple(
        VotePlan(
            index=row.plan_index,
            id=row.chain_id,
            payload_type=read_payload_type(row.payload_type, f"vote_plan.payload_type of vote_plan {row.id}"),
            voting_group=row.voting_group,
            token=row.token,
            encryption_key=row.encryption_key,
            proposals=tuple(proposals[row.id]),
        )
        for row in rows
    )


async def write_plans(connection: AsyncConnection, publication: Publication) -> None:
    """Insert the plans of a chain that is being published."""
    clock = publication.dates.clock
    of_chain = {
        "election": publication.election_id,
        "block0_hash": publication.hash,
        "block0_date": clock.start,
        "slot_duration": clock.slot_duration,
        "slots_per_epoch": clock.slots_per_epoch,
        "vote_start": str(publication.dates.vote_start),
        "vote_end": str(publication.dates.vote_end),
        "committee_end": str(publication.dates.committee_end),
    }
    for plan in publication.plans:
        of_plan = {
            "chain_id": plan.id,
            "index": plan.index,
            "payload_type": plan.payload_type.value,
            "voting_group": plan.voting_group,
            "token": plan.token,
            "encryption_key": plan.encryption_key,
        }
        row_id = await connection.scalar(insert(tables.vote_plan).returning(tables.vote_plan.c.id), of_chain | of_plan)
        await connection.execute(
            insert(tables.vote_plan_proposal),
            [
                {
                    "vote_plan": row_id,
                    "index": index,
                    "proposal": proposal.id,
                    "external_id": proposal.external_id,
                    "options": list(proposal.options),
                }
                for index, proposal in enumerate(plan.proposals)
            ],
        )
