"""Writing an imported election: all of it in one transaction, or nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.block0.checks.decryption import decryption_problems
from node_fsm.block0.checks.leaders import leader_problems
from node_fsm.block0.checks.voters import voter_problems
from node_fsm.block0.specification import count_leaders, doubts
from node_fsm.chain.address import account_address
from node_fsm.core.decryption import DecryptionLimit, DecryptionSpeed
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import NodeRow
from node_fsm.core.progress import Progress, Stages, untold
from node_fsm.database import tables
from node_fsm.database.session import Session, driver
from node_fsm.database.specification import read_specification
from node_fsm.importing.election_document import ElectionDocument
from node_fsm.importing.election_file import ElectionFile
from node_fsm.importing.errors import MAX_PROBLEMS, InputFileError
from node_fsm.importing.voters_file import read_voters

IMPORT_SECONDS = 3600.0

_STAGE = text("""
    CREATE TEMPORARY TABLE voter_staging (
        line bigint, voting_key text COLLATE "C", voting_group text, voting_power bigint, address text
    ) ON COMMIT DROP
""")
_REPEATED = text("""
    SELECT voting_key, voting_group, array_agg(line ORDER BY line) AS lines FROM voter_staging
    GROUP BY voting_key, voting_group HAVING count(*) > 1 ORDER BY min(line) LIMIT :limit
""")
# In the order in which block 0 reads them.
_VOTERS = text("""
    INSERT INTO voter (election, voting_key, voting_group, voting_power, address)
    SELECT :election, voting_key, voting_group, voting_power, address FROM voter_staging ORDER BY voting_key
""")
_OVERLAPPING = text("""
    SELECT name, voting_start, tallying_end FROM election
    WHERE id <> :id AND cancelled_at IS NULL AND voting_start < :end AND tallying_end > :start
    ORDER BY voting_start, id
""")
_NODES = select(*tables.jorm_nodes.c["hostname", "leader_id", "p2p_address"]).order_by(tables.jorm_nodes.c.hostname)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import wrote, and what a person may want to look at again."""

    election_id: int
    voters: int
    warnings: tuple[str, ...]


async def import_election(
    session: Session,
    document: ElectionDocument,
    voters: Path,
    *,
    replace: bool,
    decryption: DecryptionLimit | None = None,
    stages: Stages = untold,
) -> Imported:
    """Write the election of *document* and the voters of the file *voters*.

    *decryption* says how long private votes may take to be opened, if that is known; *stages* are told what is done.
    The file is read once and never held as a whole. InputFileError when it is no voters' file, repeats a voter, or no
    chain can be made of what is imported; PermanentError ``ElectionExists`` when the name is taken and not to be
    replaced, ``ElectionPublished`` when its block 0 is published.
    """
    election = document.election
    async with session.transaction("import_election", IMPORT_SECONDS) as connection:
        progress = stages(f"reading {voters}")
        await _stage(connection, voters, election, progress, production=document.template.production)
        election_id = await _write_election(connection, election, replace=replace)
        await _write_objectives(connection, election_id, election)
        stages("writing the voters")(0, 0)
        written = await connection.execute(_VOTERS, {"election": election_id})
        stages("checking what was written")(0, 0)
        spec = (await read_specification(connection, election_id)).spec
        nodes = tuple(NodeRow(*row) for row in await connection.execute(_NODES))
        problems = list(voter_problems(spec, document.template, count_leaders(nodes)))
        if decryption:
            problems += decryption_problems(spec, document.template, decryption)
        if problems:
            raise InputFileError(document.placed(problems, str(voters)))
        return Imported(
            election_id=election_id,
            voters=written.rowcount,
            warnings=(
                *[
                    f"it overlaps with {row.name} ({row.voting_start.isoformat()} to {row.tallying_end.isoformat()});"
                    " elections run one after the other, the later one late"
                    for row in await connection.execute(
                        _OVERLAPPING, {"id": election_id, "start": election.voting_start, "end": election.tallying_end}
                    )
                ],
                *doubts(spec, nodes, document.template),
                *_doubtful_leaders(nodes),
            ),
        )


async def reported_decryption_speed(session: Session) -> DecryptionSpeed | None:
    """How fast leader 0 opens private votes, as it last told; None when none has told."""
    status = tables.node_status.c
    query = (
        select(status.decryption_speed)
        .where(func.jsonb_typeof(status.decryption_speed) == "object")
        .order_by(status.updated_at.desc())
        .limit(1)
    )
    async with session.transaction("decryption_speed") as connection:
        return DecryptionSpeed.parse(await connection.scalar(query))


def _doubtful_leaders(nodes: Sequence[NodeRow]) -> Iterator[str]:
    """What must be mended before the chain begins, of rows that may well be added after the import."""
    yield from leader_problems(nodes)
    if not count_leaders(nodes):
        yield "jorm_nodes has no leaders yet; add them with `node-fsm node add HOSTNAME --leader-id PUBLIC_KEY`"


async def _stage(
    connection: AsyncConnection, voters: Path, election: ElectionFile, progress: Progress, *, production: bool
) -> None:
    """Bring all voters to the server and check there what no single row shows."""
    await connection.execute(_STAGE)
    rows = read_voters(voters, election.voting_groups, progress)
    records = ((*row, account_address(bytes.fromhex(row.voting_key), production=production)) for row in rows)
    await (await driver(connection)).copy_records_to_table("voter_staging", records=records, timeout=IMPORT_SECONDS)
    repeated = (await connection.execute(_REPEATED, {"limit": MAX_PROBLEMS})).all()
    if repeated:
        raise InputFileError(
            [
                f"{voters}, lines {' and '.join(map(str, row.lines))}: the same voting_key {row.voting_key} in group"
                f" {row.voting_group!r}; keep one, with the voter's whole power"
                for row in repeated
            ]
        )


async def _write_election(connection: AsyncConnection, election: ElectionFile, *, replace: bool) -> int:
    """The id of the new row, or of the replaced one, emptied of its committee, objectives and voters."""
    values = {
        "name": election.name,
        "description": election.description,
        "voting_start": election.voting_start,
        "voting_end": election.voting_end,
        "tallying_end": election.tallying_end,
        "committee_threshold": election.committee_threshold,
        "voting_power_unit": election.voting_power_unit,
    }
    column, plan = tables.election.c, tables.vote_plan.c
    standing: int | None = await connection.scalar(
        select(column.id).where(column.name == election.name).with_for_update(key_share=True)
    )
    if standing is None:
        created: int = (
            await connection.execute(insert(tables.election).values(values).returning(column.id))
        ).scalar_one()
        return created
    if not replace:
        raise PermanentError(
            "ElectionExists", f"there is an election {election.name!r} already; choose another name, or give --replace"
        )
    published = select(plan.block0_hash).where(plan.election == standing, plan.withdrawn_at.is_(None)).limit(1)
    if block0_hash := await connection.scalar(published):
        raise PermanentError(
            "ElectionPublished",
            f"block 0 {block0_hash} of {election.name!r} is published, so that the election cannot be replaced any"
            " more; end it with `node-fsm election cancel` first",
        )
    await connection.execute(update(tables.election).where(column.id == standing).values(**values, cancelled_at=None))
    for table in (tables.committee, tables.objective, tables.voter):
        await connection.execute(delete(table).where(table.c.election == standing))
    return standing


async def _write_objectives(connection: AsyncConnection, election_id: int, election: ElectionFile) -> None:
    if election.committee:
        members = [{"election": election_id, **member.model_dump()} for member in election.committee]
        await connection.execute(insert(tables.committee), members)
    for index, objective in enumerate(election.objectives):
        objective_id = await connection.scalar(
            insert(tables.objective)
            .values(
                election=election_id,
                title=objective.title,
                payload_type=objective.payload_type.value,
                voting_group=objective.voting_group,
            )
            .returning(tables.objective.c.id)
        )
        proposals = [
            {
                "objective": objective_id,
                "external_id": election.external_id(index, number),
                "title": proposal.title,
                "options": proposal.options,
            }
            for number, proposal in enumerate(objective.proposals)
        ]
        await connection.execute(insert(tables.proposal), proposals)
