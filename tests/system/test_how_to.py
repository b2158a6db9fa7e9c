"""What the how-to pages tell an operator to type, typed on a leader 0 in Waiting, and what is to come of it.

What they say of a chain that runs is held by the other tests here: a lost disk and a withdrawn block 0 by those of the
cluster, cancelled and edited elections by those of faults.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from node_fsm_sandbox.election.draw import DrawnElection, draw_voters
from node_fsm_sandbox.election.environment import service_environment
from node_fsm_sandbox.election.polling_station import PollingStation
from node_fsm_sandbox.election.service_process import ServiceProcess
from node_fsm_sandbox.servers.postgres import INSTALLATION, EmbeddedPostgres, installed
from sqlalchemy import make_url

from node_fsm.core.secret import Secret
from node_fsm.ports.answers import FragmentState
from node_fsm.programs.jcli import Jcli
from node_fsm.sidecar.answers import State
from tests.docs.pages import ROOT, blocks
from tests.docs.shell import run, script
from tests.support.polling import HANGING
from tests.support.roles import DatabaseRole, execute, grant
from tests.system.conftest import Operator, draw, undisturbed, until

DOCS = ROOT / "docs"


async def follow(operator: Operator, page: str, replaced: dict[str, str], *, section: str = "", **set_: str) -> str:
    """Run the commands of a page as the operator; what they printed."""
    settings = operator.environment | {"NODE_FSM_DATABASE_URL": url_of(operator, DatabaseRole.OPERATOR)} | set_
    # pg_dump must be as new as the server is.
    programs = (Path(sys.executable).parent, installed() / INSTALLATION / "bin", os.environ["PATH"])
    settings["PATH"] = ":".join(map(str, programs))
    environment = service_environment(os.environ, operator.directory, settings)
    text = script(DOCS / page, replaced, section=section)
    return await asyncio.to_thread(run, text, operator.directory, environment, seconds=HANGING)


def url_of(operator: Operator, role: DatabaseRole, database: str | None = None) -> str:
    """The URL of the test's database, or of another on its server, for *role*, as pg_dump and people write it."""
    url = make_url(role.url(operator.outside.database_url)).set(drivername="postgresql")
    return (url.set(database=database) if database else url).render_as_string(hide_password=False)


async def restart(service: ServiceProcess, **settings: str) -> State:
    """Start the service again with other settings; its state once it is in Waiting and looked at what it will need."""
    await service.stop()
    service.settings |= settings
    await service.start()
    return await in_order(service)


async def back_up(operator: Operator) -> None:
    """Back up the database as it is written."""
    backup = url_of(operator, DatabaseRole.BACKUP)
    await follow(operator, "backup.md", {}, section="A backup", NODE_FSM_DATABASE_URL=backup)


@asynccontextmanager
async def restored(operator: Operator, server: EmbeddedPostgres) -> AsyncIterator[Operator]:
    """The operator of another database, into which the backup was restored as it is written."""
    new = await server.create_database("restored", template="template0")
    try:
        await execute(new, f"ALTER DATABASE restored OWNER TO {DatabaseRole.OWNER}")
        owner = url_of(operator, DatabaseRole.OWNER, "restored")
        assert "Fund 15" in await follow(operator, "backup.md", {}, section="A restore", NEW_URL=owner)
        await grant(new)
        yield replace(operator, outside=replace(operator.outside, database_url=new))
    finally:
        await server.drop_database("restored")


def fund_15() -> DrawnElection:
    """The election that the pages name, days away."""
    return draw("Fund 15", draw_voters(Random(1), 5), lead=2 * 86400, voting=7200, tallying=7200)


async def in_order(service: ServiceProcess) -> State:
    """Wait until the service is in Waiting and complains of nothing but stand-ins, once it has looked at those."""
    has_stand_ins = Path(service.settings["NODE_FSM_JCLI_PATH"]).read_bytes().startswith(b"#!")
    return await service.wait_until(
        lambda state: state.phase == "Waiting" and undisturbed(state) and has_stand_ins == bool(state.conditions),
        HANGING,
    )


def bucket_of(operator: Operator) -> dict[str, str]:
    """The replacement of the pages' bucket of keys by the test's."""
    return {"s3://keys/": f"s3://{operator.bucket.name}/"}


async def test_a_rotated_key_is_taken_after_a_restart(operator: Operator, service: ServiceProcess) -> None:
    before = (await operator.add_leader0()).leader_id
    await service.start()
    await in_order(service)
    host = {"node add leader1": f"node add --yes {service.hostname}"}
    await follow(operator, "rotate-a-key.md", bucket_of(operator) | host)
    assert (await service.wait_for_condition("key_unusable", HANGING)).reason == "KeyNotThisNodes"
    await restart(service, NODE_FSM_SIGNING_KEY_S3_URI=f"s3://{operator.bucket.name}/leader1-2.sk")
    after = await operator.sql("SELECT leader_id FROM jorm_nodes")
    assert after != before
    secret = operator.bucket.client.get_object(Bucket=operator.bucket.name, Key="leader1-2.sk")["Body"].read().decode()
    assert await Jcli(operator.environment["NODE_FSM_JCLI_PATH"]).public_key(Secret(secret.strip())) == after


async def test_leader_0_moves_to_another_name(operator: Operator, service: ServiceProcess) -> None:
    leader_id = (await operator.add_leader0()).leader_id
    await service.start()
    await in_order(service)

    async def move(old: str, new: str) -> None:
        names = {"node remove leader0": f"node remove --yes {old}", "node add leader9": f"node add {new}"}
        names["node-fsm lease take\n"] = ""
        await follow(operator, "move-leader-0.md", names, leader_id=leader_id)
        service.settings |= {"NODE_FSM_HOSTNAME": new, "NODE_FSM_STORAGE_DIR": str(operator.directory / new)}
        await service.start()

    async def held_by(name: str) -> None:
        await until(lambda: operator.sql("SELECT holder = $1 AND unconfirmed_holder IS NULL FROM lease", name))

    await held_by(service.hostname)
    await service.stop()
    await move(service.hostname, "leader9")
    await held_by("leader9")
    await in_order(service)
    await service.kill()
    await move("leader9", "leader8")
    held = await service.wait_for_condition("other_leader0", HANGING)
    assert held.reason in {"LeaseHeldElsewhere", "OtherLeader0Unconfirmed"}  # by whether the lease has expired
    taken = [block.text for block in blocks(DOCS / "move-leader-0.md") if "lease take" in block.text]
    assert len(taken) == 1
    operator.environment["NODE_FSM_HOSTNAME"] = "leader8"
    operator.cli(*taken[0].split()[1:], "--yes")
    await held_by("leader8")
    await in_order(service)


async def test_a_restored_backup_is_gone_on_with(
    operator: Operator, service: ServiceProcess, postgres_server: EmbeddedPostgres
) -> None:
    await operator.add_leader0()
    operator.import_election(fund_15())
    await service.start()
    await in_order(service)
    await back_up(operator)
    async with restored(operator, postgres_server) as new:
        await restart(service, NODE_FSM_DATABASE_URL=url_of(new, DatabaseRole.LEADER0))
        await service.wait_until(lambda state: state.next_deadline is not None, HANGING)
        await service.stop()


async def test_a_backup_of_before_the_publication_is_gone_on_with_when_voting_is_over(
    operator: Operator, service: ServiceProcess, station: PollingStation, postgres_server: EmbeddedPostgres
) -> None:
    await operator.add_leader0()
    election = draw("Fund 15", draw_voters(Random(1), 5), lead=45, voting=45, tallying=300)
    operator.import_election(election)
    await back_up(operator)
    await service.start()
    await service.wait_for(HANGING, phase="Running", election=election.name)
    await station.wait_for_tip(election.times.voting_start, HANGING)
    outcomes = await station.settled(await station.cast(election.ballots), HANGING)
    assert {status.state for status in outcomes} == {FragmentState.IN_A_BLOCK}
    await service.kill()
    published = await operator.sql("SELECT block0_hash FROM election")
    async with restored(operator, postgres_server) as new:
        assert await new.sql("SELECT count(*) FROM vote_plan") == 0
        await asyncio.sleep((election.times.voting_end - datetime.now(UTC)).total_seconds())
        service.settings["NODE_FSM_DATABASE_URL"] = url_of(new, DatabaseRole.LEADER0)
        await service.start()
        await until(lambda: new.sql("SELECT count(*) = 1 FROM archive WHERE verified_at IS NOT NULL"))
        shown = new.show(election.name)
        (plan,) = shown["plans"]
        assert plan["results"] == election.expected()
        assert plan["on_chain"]
        (archive,) = shown["archives"]
        assert (archive["kind"], archive["block0_hash"]) == ("final", published)
        facts = 'SELECT string_agg(event, \' \' ORDER BY id) FROM phase_journal WHERE "from" = "to"'
        assert await new.sql(facts) == "block0_restored results_written archive_written"
        assert await service.stop() == 0


async def test_an_election_is_edited_and_cancelled_as_it_is_written(operator: Operator) -> None:
    election = fund_15()
    operator.import_election(election)
    [statements] = [block.text for block in blocks(DOCS / "hot-reload.md") if block.language == "sql"]
    await operator.sql(statements)
    moved = "SELECT voting_end = $1::timestamptz + interval '1 day' FROM election"
    assert await operator.sql(moved, election.times.voting_end)
    await follow(operator, "cancel-an-election.md", {})
    assert await operator.sql("SELECT cancelled_at IS NOT NULL FROM election")


async def test_nodes_are_added_as_it_is_written(operator: Operator) -> None:
    await follow(operator, "deploy.md", bucket_of(operator))
    added = "SELECT array_agg(hostname ORDER BY hostname)::text FROM jorm_nodes WHERE (leader_id IS NULL) = $1"
    assert await operator.sql(added, False) == "{leader1}"
    assert await operator.sql(added, True) == "{follower3}"
