"""Nothing that the caller's shell is set up for reaches the demo."""

from pathlib import Path

from node_fsm_sandbox.election.environment import isolate, service_environment
from node_fsm_sandbox.election.part import follower, leader, leader0, settings_of
from node_fsm_sandbox.servers.s3 import CREDENTIALS

from node_fsm.settings.model import Settings, load_settings

CALLER = {
    "PATH": "/bin",
    "HOME": "/home/somebody",
    "NODE_FSM_DATABASE_URL": "postgresql://the-real-one/elections",
    "NODE_FSM_JORM_PATH": "/opt/jormungandr",
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "a real one",
    "AWS_SESSION_TOKEN": "a real one",
    "https_proxy": "http://proxy:3128",
    "HTTP_PROXY": "http://proxy:3128",
    "PGHOST": "db.example",
}
COMMON = {
    "NODE_FSM_DATABASE_URL": "postgresql+asyncpg://postgres:secret@127.0.0.1:1/elections",
    "NODE_FSM_S3_ENDPOINT_URL": "http://127.0.0.1:2",
    "NODE_FSM_JCLI_PATH": "/a/jcli",
    "NODE_FSM_JORM_PATH": "/a/jormungandr",
}


def test_the_demo_itself_uses_no_account_no_setting_and_no_proxy_of_the_caller() -> None:
    environ = dict(CALLER)
    isolate(environ)
    ours = {name for name in environ if name not in CALLER or environ[name] != CALLER[name]}
    assert environ.keys() - ours == {"PATH", "HOME", "PGHOST"}
    assert all(name.startswith("AWS_") for name in ours)
    assert environ["AWS_ACCESS_KEY_ID"] == CREDENTIALS["AWS_ACCESS_KEY_ID"]


def test_a_service_is_given_its_settings_and_where_things_are(tmp_path: Path) -> None:
    environment = service_environment(CALLER, tmp_path, {"NODE_FSM_ROLE": "node"})
    assert environment["NODE_FSM_ROLE"] == "node"
    assert environment["PATH"] == "/bin"
    assert environment["TMPDIR"] == str(tmp_path)
    foreign = {name for name in CALLER if name not in {"PATH", "HOME", "AWS_ACCESS_KEY_ID"}}
    assert not foreign & environment.keys()
    assert environment["AWS_ACCESS_KEY_ID"] == CREDENTIALS["AWS_ACCESS_KEY_ID"]


def test_the_settings_of_all_three_are_complete_and_their_ports_their_own(tmp_path: Path) -> None:
    ports = []
    for part in (leader0(), leader("leader1"), follower("follower")):
        environment = COMMON | settings_of(part, "bucket", tmp_path / part.hostname)
        settings = load_settings(service_environment(CALLER, tmp_path, environment), Settings)
        assert settings.hostname == part.hostname
        assert settings.storage_dir == tmp_path / part.hostname
        assert (settings.signing_key_s3_uri is None) == (part.kind == "follower")
        ports += [settings.port, settings.node_rest_listen.port, settings.node_p2p_listen.port]
        assert settings.node_p2p_public_address.endswith(f"/tcp/{settings.node_p2p_listen.port}")
    assert len(set(ports)) == 9
