"""What makes settings, and what each mistake is answered with."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_fsm.core.phases import Role
from node_fsm.settings.errors import SettingsError
from node_fsm.settings.model import DatabaseSettings, Settings, load_settings, packaged_template

NODE = {
    "NODE_FSM_ROLE": "node",
    "NODE_FSM_DATABASE_URL": "postgresql://fsm:s3cr3t@db:5432/elections",
    "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS": "/ip4/10.0.0.7/tcp/10090",
}
LEADER0 = NODE | {
    "NODE_FSM_ROLE": "leader0",
    "NODE_FSM_SIGNING_KEY_S3_URI": "s3://keys/leader0.sk",
    "NODE_FSM_ARCHIVE_S3_URI": "s3://archives/chains/",
}


def problems(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, Settings)
    assert caught.value.message.splitlines() == list(caught.value.problems)
    return caught.value.problems


def test_the_defaults_are_the_documented_ones() -> None:
    settings = load_settings(NODE, Settings)
    assert settings.role is Role.NODE
    assert settings.hostname == os.uname().nodename
    assert settings.database_url.get_secret_value() == "postgresql://fsm:s3cr3t@db:5432/elections"
    assert (settings.signing_key_s3_uri, settings.member_keys_s3_uri, settings.archive_s3_uri) == (None, None, None)
    assert settings.s3_endpoint_url is None
    assert settings.voting_start_offset_minutes == -60
    assert (settings.hot_reload, settings.expose_state) == (False, False)
    assert (settings.rescan_seconds, settings.close_grace_minutes) == (30, 60)
    assert settings.block0_template == packaged_template()
    assert (settings.jcli_path, settings.jorm_path) == ("jcli", "jormungandr")
    assert (str(settings.node_rest_listen), str(settings.node_p2p_listen)) == ("127.0.0.1:10080", "0.0.0.0:10090")
    assert settings.node_p2p_advertise == settings.node_p2p_public_address == "/ip4/10.0.0.7/tcp/10090"
    assert f"{settings.host}:{settings.port}" == "0.0.0.0:8000"
    assert (settings.log_level, settings.log_format) == ("INFO", "text")
    assert settings.aws_credentials() == {}


def test_every_value_can_be_given(tmp_path: Path) -> None:
    given_ = LEADER0 | {
        "NODE_FSM_HOSTNAME": "leader0",
        "NODE_FSM_MEMBER_KEYS_S3_URI": "s3://keys",
        "NODE_FSM_S3_ENDPOINT_URL": "http://127.0.0.1:9000",
        "NODE_FSM_VOTING_START_OFFSET_MINUTES": "-0.5",
        "NODE_FSM_HOT_RELOAD": "Yes",
        "NODE_FSM_STORAGE_DIR": str(tmp_path),
        "NODE_FSM_NODE_P2P_ADVERTISE": "/dns4/leader0.voting/tcp/10090",
        "NODE_FSM_HOST": "::",
        "NODE_FSM_PORT": "8001",
        "NODE_FSM_LOG_LEVEL": "debug",
        "NODE_FSM_LOG_FORMAT": "json",
    }
    settings = load_settings(given_, Settings)
    assert settings.role is Role.LEADER0
    assert (settings.signing_key_s3_uri, settings.archive_s3_uri) == ("s3://keys/leader0.sk", "s3://archives/chains")
    assert settings.voting_start_offset_minutes == -0.5
    assert settings.hot_reload is True
    assert settings.storage_dir == tmp_path
    assert settings.node_p2p_advertise == "/dns4/leader0.voting/tcp/10090"
    assert (settings.host, settings.port, settings.log_level, settings.log_format) == ("::", 8001, "DEBUG", "json")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ROLE", "leader", "'leader0' or 'node'"),
        ("DATABASE_URL", "mysql://u:s3cr3t@h/d", "not a Postgres URL"),
        ("DATABASE_URL", "postgresql://u:s3/cr3t@h/d", "percent-encoded"),
        ("DATABASE_URL", "postgresql://u:s3@cr3t@h/d", "percent-encoded"),
        ("DATABASE_URL", "postgresql://u:s3cr3t@h/d?timeout=10", "has the option timeout, and may have host"),
        ("DATABASE_URL", "postgresql://u:s3cr3t@h/d?statement_cache_size=0", "has the option statement_cache_size"),
        ("DATABASE_URL", "postgresql://u:s3cr3t@h/d?sslmode=require", "libpq's sslmode is ssl here"),
        ("DATABASE_URL", "postgresql://u:s3cr3t@h/d?ssl=s3cr3t", "option ssl that is none of allow, disable"),
        ("SIGNING_KEY_S3_URI", "s3://keys", "s3://BUCKET/KEY"),
        ("SIGNING_KEY_S3_URI", "s3://keys/", "s3://BUCKET/KEY"),
        ("SIGNING_KEY_S3_URI", "/etc/leader0.sk", "s3://BUCKET/KEY"),
        ("MEMBER_KEYS_S3_URI", "https://keys/x", "s3://BUCKET/PREFIX"),
        ("ARCHIVE_S3_URI", "s3://Upper_Case/x", "s3://BUCKET/PREFIX"),
        ("S3_ENDPOINT_URL", "minio:9000", "http://HOST:PORT"),
        ("S3_ENDPOINT_URL", "http://", "http://HOST:PORT"),
        ("S3_ENDPOINT_URL", "http://h:99999", "http://HOST:PORT"),
        ("VOTING_START_OFFSET_MINUTES", "60", "less than or equal to 0"),
        ("VOTING_START_OFFSET_MINUTES", "-inf", "finite"),
        ("VOTING_START_OFFSET_MINUTES", "nan", "finite"),
        ("VOTING_START_OFFSET_MINUTES", "-1h", "number"),
        ("VOTING_START_OFFSET_MINUTES", "-1e300", "-525600"),
        ("HOT_RELOAD", "maybe", "true or false"),
        ("HOT_RELOAD", "on", "true or false"),
        ("EXPOSE_STATE", "2", "true or false"),
        ("RESCAN_SECONDS", "0", "greater than 0"),
        ("RESCAN_SECONDS", "inf", "finite"),
        ("CLOSE_GRACE_MINUTES", "-1", "greater than or equal to 0"),
        ("MAX_DECRYPT_SECONDS", "0", "greater than 0"),
        ("NODE_REST_LISTEN", "localhost:10080", "a name is not enough"),
        ("NODE_REST_LISTEN", "127.0.0.1", "IP:PORT"),
        ("NODE_REST_LISTEN", "127.0.0.1:0", "IP:PORT"),
        ("NODE_P2P_LISTEN", "/ip4/127.0.0.1/tcp/1", "IP:PORT"),
        ("NODE_P2P_PUBLIC_ADDRESS", "/dns4/leader0/tcp/10090", "NODE_FSM_NODE_P2P_ADVERTISE"),
        ("NODE_P2P_PUBLIC_ADDRESS", "10.0.0.7:10090", "/ip4/ADDRESS/tcp/PORT"),
        ("NODE_P2P_PUBLIC_ADDRESS", "/ip4/0.0.0.0/tcp/10090", "other nodes reach"),
        ("NODE_P2P_PUBLIC_ADDRESS", "/ip4/10.0.0.7/tcp/70000", "/ip4/ADDRESS/tcp/PORT"),
        ("NODE_P2P_ADVERTISE", "leader0:10090", "/dns4/NAME/tcp/PORT"),
        ("NODE_P2P_ADVERTISE", "/ip4/leader0/tcp/10090", "/dns4/NAME/tcp/PORT"),
        ("HOST", "localhost", "IP address"),
        ("PORT", "0", "greater than or equal to 1"),
        ("PORT", "'8000'", "integer"),
        ("LOG_LEVEL", "loud", "'DEBUG'"),
        ("LOG_FORMAT", "xml", "'text' or 'json'"),
    ],
)
def test_a_bad_value_is_one_problem_that_names_its_variable(name: str, value: str, says: str) -> None:
    (problem,) = problems(LEADER0 | {f"NODE_FSM_{name}": value})
    assert problem.startswith((f"NODE_FSM_{name}={value!r}: ", f"NODE_FSM_{name}: "))
    assert says in problem
    assert "cr3t" not in problem


@pytest.mark.parametrize(
    ("value", "meant"), [("true", True), ("TRUE", True), ("1", True), ("yes", True), ("False", False), ("0", False)]
)
def test_truth_values(value: str, meant: bool) -> None:
    assert load_settings(NODE | {"NODE_FSM_HOT_RELOAD": value}, Settings).hot_reload is meant


def test_all_problems_are_told_at_once() -> None:
    told = problems({"NODE_FSM_ROLE": "leader0", "NODE_FSM_RESCAN_SECOND": "5", "NODE_FSM_PORT": "x"})
    named = [problem.split()[0].split("=")[0].rstrip(":") for problem in told]
    assert sorted(named) == [
        "NODE_FSM_ARCHIVE_S3_URI",
        "NODE_FSM_DATABASE_URL",
        "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS",
        "NODE_FSM_PORT",
        "NODE_FSM_RESCAN_SECOND",
        "NODE_FSM_SIGNING_KEY_S3_URI",
    ]


def test_an_empty_value_counts_as_not_set() -> None:
    assert load_settings(NODE | {"NODE_FSM_PORT": "", "NODE_FSM_ARCHIVE_S3_URI": " "}, Settings).port == 8000
    (problem,) = problems(NODE | {"NODE_FSM_ROLE": ""})
    assert problem.startswith("NODE_FSM_ROLE is not set: leader0 for the one node")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("NODE_FSM_RESCAN_SECOND", "did you mean NODE_FSM_RESCAN_SECONDS?"),
        ("NODE_FSM_DATABASE_URL_FIL", "did you mean NODE_FSM_DATABASE_URL_FILE?"),
        ("node_fsm_hot_reload", "did you mean NODE_FSM_HOT_RELOAD?"),
        ("NODE_FSM_QQQQ", "`node-fsm config --markdown` lists"),
    ],
)
def test_an_unknown_name_is_an_error_with_a_hint(name: str, says: str) -> None:
    (problem,) = problems(NODE | {name: "s3cr3t"})
    assert problem.startswith(f"{name} is not a setting; ")
    assert says in problem
    assert "s3cr3t" not in problem


def test_kubernetes_service_links_are_told_as_what_they_are() -> None:
    links = {
        "NODE_FSM_PORT": "tcp://10.96.0.1:8000",
        "NODE_FSM_PORT_8000_TCP": "tcp://10.96.0.1:8000",
        "NODE_FSM_PORT_8000_TCP_ADDR": "10.96.0.1",
        "NODE_FSM_SERVICE_HOST": "10.96.0.1",
        "NODE_FSM_SERVICE_PORT_HTTP": "8000",
        "NODE_FSM_METRICS_PORT": "tcp://10.96.0.2:9090",
    }
    (problem,) = problems(NODE | links)
    assert all(name in problem for name in links)
    assert "enableServiceLinks: false" in problem


def test_foreign_variables_are_left_alone() -> None:
    load_settings(NODE | {"PATH": "/bin", "KUBERNETES_SERVICE_HOST": "10.96.0.1", "AWS_CONFIG_FILE": "x"}, Settings)


@pytest.mark.parametrize("begin", ["", "\ufeff"], ids=["plain", "byte-order mark"])
@pytest.mark.parametrize("name", ["NODE_FSM_DATABASE_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_secrets_may_come_from_files(tmp_path: Path, name: str, begin: str) -> None:
    environ = NODE | {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "token"}
    secret = tmp_path / "secret"
    secret.write_text(begin + environ.pop(name) + "\n")
    settings = load_settings(environ | {f"{name}_FILE": str(secret)}, Settings)
    assert settings.database_url.get_secret_value() == "postgresql://fsm:s3cr3t@db:5432/elections"
    assert settings.aws_credentials() == {
        "aws_access_key_id": "id",
        "aws_secret_access_key": "key",
        "aws_session_token": "token",
    }


def test_bad_secret_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    without_url = {name: value for name, value in NODE.items() if name != "NODE_FSM_DATABASE_URL"}
    for path, says in (
        ("missing", "No such file"),
        ("empty", "is empty"),
        ("binary", "not UTF-8"),
        ("", "Is a directory"),
    ):
        told = problems(without_url | {"NODE_FSM_DATABASE_URL_FILE": str(tmp_path / path)})
        assert told[0].startswith(f"NODE_FSM_DATABASE_URL_FILE={tmp_path}")
        assert says in told[0]
    (problem,) = problems(NODE | {"NODE_FSM_DATABASE_URL_FILE": str(tmp_path / "empty")})
    assert problem == "NODE_FSM_DATABASE_URL and NODE_FSM_DATABASE_URL_FILE are both set: set one of them"


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_pair_of_s3_keys_is_refused(name: str) -> None:
    (problem,) = problems(NODE | {name: "s3cr3t"})
    assert "set both or neither" in problem
    assert "s3cr3t" not in problem


def test_the_public_address_follows_a_single_listen_address() -> None:
    environ = {name: value for name, value in NODE.items() if "P2P" not in name}
    settings = load_settings(environ | {"NODE_FSM_NODE_P2P_LISTEN": "127.0.0.1:10091"}, Settings)
    assert settings.node_p2p_public_address == settings.node_p2p_advertise == "/ip4/127.0.0.1/tcp/10091"
    settings = load_settings(environ | {"NODE_FSM_NODE_P2P_LISTEN": "[::1]:10091"}, Settings)
    assert settings.node_p2p_public_address == "/ip6/::1/tcp/10091"
    (problem,) = problems(environ)
    assert problem.startswith("NODE_FSM_NODE_P2P_PUBLIC_ADDRESS is not set: it does not follow from")


def test_database_commands_need_the_database_alone() -> None:
    settings = load_settings(
        {"NODE_FSM_DATABASE_URL": "postgres://db/elections", "NODE_FSM_PORT": "1"}, DatabaseSettings
    )
    assert settings.database_url.get_secret_value() == "postgres://db/elections"
    with pytest.raises(SettingsError, match="NODE_FSM_DATABASE_URL is not set"):
        load_settings({}, DatabaseSettings)
    with pytest.raises(SettingsError, match="NODE_FSM_ROLLE is not a setting"):
        load_settings(NODE | {"NODE_FSM_ROLLE": "node"}, DatabaseSettings)


def test_only_the_given_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_FSM_PORT", "1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    settings = load_settings(NODE, Settings)
    assert settings.port == 8000
    assert settings.aws_credentials() == {}


def test_settings_print_no_secret() -> None:
    settings = load_settings(NODE | {"AWS_ACCESS_KEY_ID": "s3cr3t", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}, Settings)
    assert "s3cr3t" not in f"{settings!r} {settings}"


def test_the_default_template_exists() -> None:
    assert "blockchain_configuration:" in packaged_template().read_text()


VARIABLES = st.sampled_from([Settings.variable(field) for field in Settings.model_fields])


@given(st.dictionaries(VARIABLES, st.text(max_size=40)))
def test_any_text_makes_settings_or_a_clear_error(values: dict[str, str]) -> None:
    told: tuple[str, ...] = ()
    try:
        load_settings(LEADER0 | values, Settings)
    except SettingsError as error:
        told = error.problems
    assert all(problem.startswith(("NODE_FSM_", "AWS_")) for problem in told)


def test_every_setting_is_read() -> None:
    package = Path(__file__).parents[2] / "node_fsm"
    code = "\n".join(file.read_text() for file in package.rglob("*.py") if file.parent.name != "settings")
    read_by_model = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"}  # aws_credentials()
    unread = {field for field in Settings.model_fields if not re.search(rf"settings\.{field}\b", code)}
    assert unread == read_by_model
