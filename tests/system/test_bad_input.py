"""What an operator gets wrong: the phase stays, a condition says what to do, nothing is published, and once it is
mended the service goes on by itself."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

from node_fsm.core.secret import Secret
from tests.support.election import TEMPLATE, DrawnElection
from tests.support.executable import write_executable
from tests.support.service_process import ServiceProcess
from tests.system.conftest import HOSTNAME, Operator, on_the_real_node, undisturbed

SECONDS = 30


@pytest.fixture
def election(operator: Operator) -> DrawnElection:
    """An election whose chain starts at once and which is open for minutes."""
    operator.environment["NODE_FSM_RESCAN_SECONDS"] = "1"
    drawn = DrawnElection("first", operator.voters(3), seed=1)
    drawn.schedule(lead=8, voting=200, tallying=200)
    return drawn


def expect(service: ServiceProcess, type_: str, *words: str, phase: str) -> dict[str, Any]:
    """The condition comes with these words in its message, the phase being as given; it is in metrics and log too."""
    condition = service.wait_for_condition(type_, SECONDS)
    for word in words:
        assert word in condition["message"], condition
    state = service.wait_for(SECONDS, phase=phase)
    assert state["block0_hash"] is None
    assert f'node_fsm_condition{{type="{type_}"}} 1.0' in service.metrics()
    assert condition["message"][:60] in service.log.read_text()
    return condition


def is_published(operator: Operator) -> bool:
    return bool(operator.sql("SELECT count(*) FROM election WHERE block0_hash IS NOT NULL"))


def move(operator: Operator, interval: str) -> None:
    """Move the election's times."""
    columns = ("voting_start", "voting_end", "tallying_end")
    operator.sql("UPDATE election SET " + ", ".join(f"{name} = {name} + interval '{interval}'" for name in columns))


def goes_on(service: ServiceProcess) -> None:
    """Once mended, the election runs and nothing is complained about."""
    service.wait_for(60, phase="Running", election="first")
    service.wait_until(undisturbed, SECONDS)


def missing_key(operator: Operator) -> None:
    operator.bucket.client.delete_object(Bucket=operator.bucket.name, Key="leader0.sk")


def malformed_key(operator: Operator) -> None:
    operator.put_key(Secret("ed25519_sk1 but not really"))


def other_nodes_key(operator: Operator) -> None:
    operator.put_key(operator.new_wallet().secret)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing_key, ["leader0.sk"]),
        (malformed_key, ["NODE_FSM_SIGNING_KEY_S3_URI", "jcli key generate"]),
        (other_nodes_key, ["jorm_nodes.leader_id", HOSTNAME]),
    ],
)
def test_keys(
    operator: Operator,
    service: ServiceProcess,
    election: DrawnElection,
    spoil: Callable[[Operator], None],
    words: list[str],
) -> None:
    key = operator.add_leader0()
    operator.import_election(election)
    spoil(operator)
    service.start()
    expect(service, "work_failing", *words, phase="FetchingKey")
    assert not is_published(operator)
    operator.put_key(key.secret)
    goes_on(service)
    assert "not really" not in service.log.read_text()
    assert key.secret.reveal() not in service.log.read_text()


@on_the_real_node
@pytest.mark.parametrize(
    ("field", "value", "word"),
    [("slot_duration", None, "slot_duration is missing"), ("gossip", 1, "gossip is not a field")],
)
def test_template(
    operator: Operator, service: ServiceProcess, election: DrawnElection, field: str, value: int | None, word: str
) -> None:
    operator.add_leader0()
    operator.import_election(election)
    template = Path(operator.environment["NODE_FSM_BLOCK0_TEMPLATE"])
    configuration = dict(TEMPLATE["blockchain_configuration"]) | {field: value}
    if value is None:
        del configuration[field]
    template.write_text(yaml.safe_dump({"blockchain_configuration": configuration}))
    service.start()
    expect(service, "template_invalid", str(template), word, phase="Waiting")
    assert not is_published(operator)
    template.write_text(yaml.safe_dump(TEMPLATE))
    goes_on(service)


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
def test_nothing_to_vote_on_and_nobody_to_vote(
    operator: Operator, service: ServiceProcess, election: DrawnElection, spoil: str, mend: str, word: str
) -> None:
    operator.add_leader0()
    operator.import_election(election)
    operator.sql(spoil)
    move(operator, "100 seconds")
    service.start()
    expect(service, "election_invalid", word, phase="Waiting")
    move(operator, "-100 seconds")
    expect(service, "work_failing", word, phase="BuildingVotePlan")
    assert not is_published(operator)
    operator.sql(mend)
    goes_on(service)


def test_times_off_the_slot_grid(operator: Operator, service: ServiceProcess, election: DrawnElection) -> None:
    configuration = dict(TEMPLATE["blockchain_configuration"]) | {"slot_duration": 2}
    template = {"blockchain_configuration": configuration}
    Path(operator.environment["NODE_FSM_BLOCK0_TEMPLATE"]).write_text(yaml.safe_dump(template))
    operator.add_leader0()
    operator.import_election(election)
    operator.sql("UPDATE election SET voting_end = voting_end + interval '1 second'")
    service.start()
    condition = expect(service, "work_failing", "election.voting_end", "nearest good times", phase="BuildingVotePlan")
    assert election.voting_end.strftime("%H:%M:%S") in condition["message"]
    assert not is_published(operator)
    operator.sql("UPDATE election SET voting_end = voting_end - interval '1 second'")
    goes_on(service)


def test_times_out_of_order_are_refused_by_the_database(operator: Operator, election: DrawnElection) -> None:
    operator.import_election(election)
    with pytest.raises(asyncpg.CheckViolationError, match="voting_end"):
        operator.sql("UPDATE election SET voting_end = voting_start")


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
@pytest.mark.timeout(240)
def test_jcli(
    operator: Operator,
    service: ServiceProcess,
    election: DrawnElection,
    tmp_path: Path,
    program: str | None,
    words: list[str],
) -> None:
    operator.add_leader0()
    operator.import_election(election)
    real, link = operator.environment["NODE_FSM_JCLI_PATH"], tmp_path / "jcli"
    operator.environment["NODE_FSM_JCLI_PATH"] = str(link)
    if program:
        write_executable(link, program)
    service.start()
    condition = service.wait_for_condition("work_failing", 60)
    assert all(word in condition["message"] for word in words), condition
    service.wait_for(SECONDS, phase="FetchingKey")
    assert not is_published(operator)
    link.unlink(missing_ok=True)
    link.symlink_to(real)
    service.wait_for(90, phase="Running", election="first")


@on_the_real_node
def test_the_nodes_port_is_taken(operator: Operator, service: ServiceProcess, election: DrawnElection) -> None:
    operator.add_leader0()
    operator.import_election(election)
    host, port = operator.environment["NODE_FSM_NODE_P2P_LISTEN"].split(":")
    with socket.create_server((host, int(port))):
        service.start()
        condition = service.wait_for_condition("node_not_running", 90)
        assert "NODE_FSM_NODE_P2P_LISTEN" in condition["message"]
        service.wait_for(SECONDS, phase="Running")
    goes_on(service)


def test_unknown_settings_end_the_service_at_once(operator: Operator, service: ServiceProcess) -> None:
    service.environment = operator.environment | {"NODE_FSM_HOTRELOAD": "yes", "NODE_FSM_RESCAN_SECONDS": "often"}
    service.start()
    assert service.process is not None
    assert service.process.wait(SECONDS) == 2
    said = service.log.read_text()
    assert "NODE_FSM_HOT_RELOAD" in said
    assert "NODE_FSM_RESCAN_SECONDS" in said
