"""What an operator gets wrong: the phase stays, a condition says what to do, nothing is published, and once it is
mended the service goes on by itself."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from random import Random

import asyncpg
import pytest
import yaml
from node_fsm_sandbox.election.draw import DrawnElection, draw_voters
from node_fsm_sandbox.election.service_process import ServiceProcess
from node_fsm_sandbox.election.wallet import Wallet

from node_fsm.core.secret import Secret
from node_fsm.sidecar.answers import HeldCondition
from tests.support.executable import write_executable
from tests.support.polling import HANGING
from tests.support.template import TEMPLATE
from tests.system.conftest import Operator, draw, on_the_real_node, undisturbed


@pytest.fixture
def election(operator: Operator) -> DrawnElection:
    """An election whose chain starts at once and which is open for minutes."""
    operator.environment["NODE_FSM_RESCAN_SECONDS"] = "1"
    return draw("first", draw_voters(Random(1), 4), lead=8, voting=200, tallying=200)


async def expect(service: ServiceProcess, type_: str, *words: str, phase: str) -> HeldCondition:
    """The condition comes with these words in its message, the phase being as given; it is in metrics and log too."""
    condition = await service.wait_for_condition(type_, HANGING)
    for word in words:
        assert word in condition.message, condition
    state = await service.wait_for(HANGING, phase=phase)
    assert state.block0_hash is None
    assert f'node_fsm_condition{{type="{type_}"}} 1.0' in await service.metrics()
    assert condition.message[:60] in service.log.read_text()
    return condition


async def is_published(operator: Operator) -> bool:
    return bool(await operator.sql("SELECT count(*) FROM election WHERE block0_hash IS NOT NULL"))


async def move(operator: Operator, interval: str) -> None:
    """Move the election's times."""
    columns = ("voting_start", "voting_end", "tallying_end")
    await operator.sql(
        "UPDATE election SET " + ", ".join(f"{name} = {name} + interval '{interval}'" for name in columns)
    )


async def goes_on(service: ServiceProcess) -> None:
    """Once mended, the election runs and nothing is complained about."""
    await service.wait_for(HANGING, phase="Running", election="first")
    await service.wait_until(undisturbed, HANGING)


def missing_key(operator: Operator) -> None:
    operator.bucket.client.delete_object(Bucket=operator.bucket.name, Key="leader0.sk")


def malformed_key(operator: Operator) -> None:
    operator.put_key(Secret("ed25519_sk1 but not really"))


def other_nodes_key(operator: Operator) -> None:
    operator.put_key(Wallet().secret)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing_key, ["leader0.sk"]),
        (malformed_key, ["NODE_FSM_SIGNING_KEY_S3_URI", "jcli key generate"]),
        (other_nodes_key, ["jorm_nodes.leader_id", "leader0"]),
    ],
)
async def test_keys(
    operator: Operator,
    service: ServiceProcess,
    election: DrawnElection,
    spoil: Callable[[Operator], None],
    words: list[str],
) -> None:
    key = await operator.add_leader0()
    operator.import_election(election)
    spoil(operator)
    await service.start()
    await expect(service, "work_failing", *words, phase="FetchingKey")
    assert not await is_published(operator)
    operator.put_key(key.secret)
    await goes_on(service)
    assert "not really" not in service.log.read_text()
    assert key.secret.reveal() not in service.log.read_text()


@on_the_real_node
@pytest.mark.parametrize(
    ("field", "value", "word"),
    [("slot_duration", None, "slot_duration is missing"), ("gossip", 1, "gossip is not a field")],
)
async def test_template(
    operator: Operator, service: ServiceProcess, election: DrawnElection, field: str, value: int | None, word: str
) -> None:
    await operator.add_leader0()
    operator.import_election(election)
    template = Path(operator.environment["NODE_FSM_BLOCK0_TEMPLATE"])
    configuration = dict(TEMPLATE["blockchain_configuration"]) | {field: value}
    if value is None:
        del configuration[field]
    template.write_text(yaml.safe_dump({"blockchain_configuration": configuration}))
    await service.start()
    await expect(service, "template_invalid", str(template), word, phase="Waiting")
    assert not await is_published(operator)
    template.write_text(yaml.safe_dump(TEMPLATE))
    await goes_on(service)


@on_the_real_node
@pytest.mark.parametrize(
    ("spoil", "mend", "word"),
    [
        ("UPDATE proposal SET deleted = true", "UPDATE proposal SET deleted = false", "proposal"),
        (
            "CREATE TABLE kept AS SELECT * FROM voter; DELETE FROM voter",
            "INSERT INTO voter SELECT * FROM kept",
            "voter",
        ),
    ],
)
async def test_nothing_to_vote_on_and_nobody_to_vote(
    operator: Operator, service: ServiceProcess, election: DrawnElection, spoil: str, mend: str, word: str
) -> None:
    await operator.add_leader0()
    operator.import_election(election)
    await operator.sql(spoil)
    await move(operator, "100 seconds")
    await service.start()
    await expect(service, "election_invalid", word, phase="Waiting")
    await move(operator, "-100 seconds")
    await expect(service, "work_failing", word, phase="BuildingVotePlan")
    assert not await is_published(operator)
    await operator.sql(mend)
    await goes_on(service)


async def test_times_off_the_slot_grid(operator: Operator, service: ServiceProcess, election: DrawnElection) -> None:
    configuration = dict(TEMPLATE["blockchain_configuration"]) | {"slot_duration": 2}
    template = {"blockchain_configuration": configuration}
    Path(operator.environment["NODE_FSM_BLOCK0_TEMPLATE"]).write_text(yaml.safe_dump(template))
    await operator.add_leader0()
    operator.import_election(election)
    await operator.sql("UPDATE election SET voting_end = voting_end + interval '1 second'")
    await service.start()
    condition = await expect(
        service, "work_failing", "election.voting_end", "nearest good times", phase="BuildingVotePlan"
    )
    assert election.times.voting_end.strftime("%H:%M:%S") in condition.message
    assert not await is_published(operator)
    await operator.sql("UPDATE election SET voting_end = voting_end - interval '1 second'")
    await goes_on(service)


async def test_times_out_of_order_are_refused_by_the_database(operator: Operator, election: DrawnElection) -> None:
    operator.import_election(election)
    with pytest.raises(asyncpg.CheckViolationError, match="voting_end"):
        await operator.sql("UPDATE election SET voting_end = voting_start")


@on_the_real_node
@pytest.mark.parametrize(
    ("program", "words"),
    [
        (None, ["NODE_FSM_JCLI_PATH"]),
        ("import sys; sys.exit('this jcli is broken')", ["this jcli is broken"]),
        ("import time; time.sleep(600)", ["did not end within"]),
    ],
    ids=["missing", "failing", "hanging"],
)
async def test_jcli(
    operator: Operator,
    service: ServiceProcess,
    election: DrawnElection,
    tmp_path: Path,
    program: str | None,
    words: list[str],
) -> None:
    await operator.add_leader0()
    operator.import_election(election)
    real, link = operator.environment["NODE_FSM_JCLI_PATH"], tmp_path / "jcli"
    operator.environment["NODE_FSM_JCLI_PATH"] = str(link)
    if program:
        write_executable(link, program)
    await service.start()
    condition = await service.wait_for_condition("work_failing", HANGING)
    assert all(word in condition.message for word in words), condition
    await service.wait_for(HANGING, phase="FetchingKey")
    assert not await is_published(operator)
    link.unlink(missing_ok=True)
    link.symlink_to(real)
    await service.wait_for(HANGING, phase="Running", election="first")


@on_the_real_node
async def test_the_nodes_port_is_taken(operator: Operator, service: ServiceProcess, election: DrawnElection) -> None:
    await operator.add_leader0()
    operator.import_election(election)
    host, port = operator.environment["NODE_FSM_NODE_P2P_LISTEN"].split(":")
    with socket.create_server((host, int(port))):
        await service.start()
        condition = await service.wait_for_condition("node_not_running", HANGING)
        assert "NODE_FSM_NODE_P2P_LISTEN" in condition.message
        await service.wait_for(HANGING, phase="Running")
    await goes_on(service)


async def test_unknown_settings_end_the_service_at_once(operator: Operator, service: ServiceProcess) -> None:
    service.settings = operator.environment | {"NODE_FSM_HOTRELOAD": "yes", "NODE_FSM_RESCAN_SECONDS": "often"}
    await service.start()
    async with asyncio.timeout(HANGING):
        assert await service.ended() == 2
    said = service.log.read_text()
    assert "NODE_FSM_HOT_RELOAD" in said
    assert "NODE_FSM_RESCAN_SECONDS" in said
