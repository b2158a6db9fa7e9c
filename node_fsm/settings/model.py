"""The settings: read once from the environment, checked as a whole, and frozen.

Three classes, each adding what more must be given: :class:`CommandSettings` for commands that need nothing of the
outside, :class:`DatabaseSettings` for those on the database, :class:`Settings` for the service.
"""

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from node_fsm.core.listen import Listen
from node_fsm.core.phases import Role
from node_fsm.log import LogFormat, LogLevel, redact
from node_fsm.settings import types
from node_fsm.settings.environment import PREFIX, read_environment
from node_fsm.settings.errors import SettingsError

_YEAR_IN_MINUTES = 365 * 24 * 60

Boolean = Annotated[bool, BeforeValidator(types.boolean)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
S3Object = Annotated[str, AfterValidator(types.s3_object)]
S3Prefix = Annotated[str, AfterValidator(types.s3_prefix)]
ListenAddress = Annotated[Listen, BeforeValidator(types.listen)]
AbsolutePath = Annotated[Path, AfterValidator(Path.absolute)]


def packaged_template() -> Path:
    """The block 0 template that comes with the package: inside it as installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "block0_template.yaml"
    return installed if installed.exists() else package.parent / installed.name


class CommandSettings(BaseModel):
    """What commands may need beside the database; nothing here must be set."""

    # Some defaults depend on other settings and are made by the validators.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    hostname: str = Field(
        default_factory=socket.gethostname,
        description="This node's name in jorm_nodes. By default the machine's host name",
    )
    block0_template: AbsolutePath = Field(
        default_factory=packaged_template,
        description="File with what block 0 says of every election. By default the one that comes with the package",
    )
    voting_start_offset_minutes: float = Field(
        -60,
        ge=-_YEAR_IN_MINUTES,
        le=0,
        allow_inf_nan=False,
        description="Minutes from voting_start to the chain's start, negative or 0; fractions are allowed",
    )
    close_grace_minutes: float = Field(
        60,
        ge=0,
        le=_YEAR_IN_MINUTES,
        allow_inf_nan=False,
        description="Minutes after tallying_end until nodes let go of an election without an archive",
    )
    max_decrypt_seconds: Seconds = Field(
        600, description="Private elections whose tally would take longer to decrypt than this are refused"
    )
    jcli_path: str = Field("jcli", description="The jcli program: a path, or a name looked up in PATH")
    s3_endpoint_url: Annotated[str, AfterValidator(types.http_url)] | None = Field(
        None, description="S3 server, when it is not Amazon's"
    )
    aws_access_key_id: SecretStr | None = Field(
        None, description="S3 access key. Without one, whatever boto3 finds: profile, web identity, instance role"
    )
    aws_secret_access_key: SecretStr | None = Field(None, description="S3 secret key, with the access key")
    aws_session_token: SecretStr | None = Field(None, description="S3 session token of temporary keys")
    log_level: Annotated[LogLevel, BeforeValidator(types.upper)] = Field(
        "INFO", description="TRACE, DEBUG, INFO, WARNING or ERROR. Other commands than run: WARNING, unless this is set"
    )
    log_format: LogFormat = Field("text", description="text for people, json for machines: one object a line")

    FROM_FILE: ClassVar = ("database_url", "aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    """Settings that may also be given as the path of a file, in a variable with _FILE at its end."""

    @field_validator("aws_secret_access_key")
    @classmethod
    def _with_access_key(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if bool(secret) != bool(info.data.get("aws_access_key_id")):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together: set both or neither")
        return secret

    def aws_credentials(self) -> dict[str, str]:
        """Keyword arguments for ``boto3.session.Session``; empty when boto3 is to look for itself."""
        if not self.aws_access_key_id:
            return {}
        fields = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        secrets: dict[str, SecretStr | None] = {name: getattr(self, name) for name in fields}
        return {name: secret.get_secret_value() for name, secret in secrets.items() if secret}

    @classmethod
    def variable(cls, field: str) -> str:
        """The environment variable of a field."""
        return field.upper() if field.startswith("aws_") else f"{PREFIX}{field.upper()}"


class DatabaseSettings(CommandSettings):
    """What commands on the database need."""

    database_url: Annotated[SecretStr, AfterValidator(types.database_url)] = Field(
        description="postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters of the password percent-encoded"
    )


class Settings(DatabaseSettings):
    """What the service needs."""

    role: Role = Field(
        description="leader0 for the one node that creates, tallies and archives the chain; node for all others"
    )
    signing_key_s3_uri: S3Object | None = Field(
        None, description="s3://BUCKET/KEY of this node's secret key. Leader 0 and every other leader need it"
    )
    member_keys_s3_uri: S3Prefix | None = Field(
        None,
        description="s3://BUCKET/PREFIX of the committee's member keys, which only leader 0 may read. "
        "Without it the members of a private election post their shares themselves",
    )
    archive_s3_uri: S3Prefix | None = Field(
        None,
        description="s3://BUCKET/PREFIX under which chains are archived. Leader 0 needs it; other nodes archive there "
        "what leader 0's part of a split chain lacks, and keep it on their disk without it",
    )
    storage_dir: AbsolutePath = Field(
        Path("/var/lib/node-fsm"), description="Directory of chains, node configurations and set-aside data"
    )
    hot_reload: Boolean = Field(
        False, description="Whether an edited election whose chain runs is withdrawn and started anew"
    )
    rescan_seconds: Seconds = Field(30, description="Seconds after which the database is read without a notification")
    jorm_path: str = Field("jormungandr", description="The jormungandr program: a path, or a name looked up in PATH")
    node_rest_listen: ListenAddress = Field(
        Listen("127.0.0.1", 10080),
        description="IP:PORT of the node's REST interface; whoever reaches it can shut the node down",
    )
    node_p2p_listen: ListenAddress = Field(
        Listen("0.0.0.0", 10090),  # noqa: S104 - other nodes come from outside the container
        description="IP:PORT at which the node listens for other nodes",
    )
    node_p2p_public_address: str = Field(
        "", description="/ip4/ADDRESS/tcp/PORT of this node itself. By default the listen address, if that is one"
    )
    node_p2p_advertise: str = Field(
        "",
        description="Multiaddr that other nodes are told, /dns4/NAME/tcp/PORT allowed. By default the public address",
    )
    host: Annotated[str, AfterValidator(types.ip_address)] = Field(
        "0.0.0.0",  # noqa: S104 - probes and Prometheus come from outside the container
        description="IP address at which the service answers HTTP",
    )
    port: int = Field(8000, ge=1, le=65535, description="Port at which the service answers HTTP")
    status_page: Boolean = Field(True, description="Whether / answers with a page for people, to whom /state answers")
    expose_state: Boolean = Field(
        False, description="Whether /state and the status page answer others than loopback clients"
    )
    failpoints: Annotated[str, AfterValidator(types.failpoints)] | None = Field(
        None,
        description="Where the service fails on purpose, for tests; refused without node-fsm-sandbox",
    )

    @field_validator("signing_key_s3_uri", "archive_s3_uri")
    @classmethod
    def _needed_by_leader0(cls, uri: str | None, info: ValidationInfo) -> str | None:
        if uri is None and info.data.get("role") is Role.LEADER0:
            raise ValueError("leader0 needs it")
        return uri

    @field_validator("node_p2p_public_address")
    @classmethod
    def _public_address(cls, address: str, info: ValidationInfo) -> str:
        if "node_p2p_listen" not in info.data:
            return address  # which is at fault already
        return types.public_address(address or info.data["node_p2p_listen"].multiaddr or "")

    @field_validator("node_p2p_advertise")
    @classmethod
    def _advertise(cls, address: str, info: ValidationInfo) -> str:
        if not address:
            return str(info.data.get("node_p2p_public_address", ""))
        return types.advertised(address)


AnySettings = TypeVar("AnySettings", bound=CommandSettings)


def load_settings(environ: Mapping[str, str], model: type[AnySettings]) -> AnySettings:
    """The settings that *environ* makes; SettingsError says everything that is wrong with it at once."""
    known = {Settings.variable(field): field for field in Settings.model_fields}
    from_file = [Settings.variable(field) for field in Settings.FROM_FILE]
    values, problems = read_environment(environ, known, from_file)
    given: dict[str, Any] = {known[name]: value for name, value in values.items() if known[name] in model.model_fields}
    try:
        settings = model(**given)
    except ValidationError as error:
        raise SettingsError([*problems, *_explain(error, model, given)]) from None
    if problems:
        raise SettingsError(problems)
    return settings


def _explain(error: ValidationError, model: type[CommandSettings], given: Mapping[str, str]) -> Iterator[str]:
    """One sentence for each invalid field: the variable, its value unless that is secret, the fault, its meaning."""
    for fault in error.errors():
        field = str(fault["loc"][0])
        description = model.model_fields[field].description
        value = "" if field in model.FROM_FILE else f"={redact(given.get(field, ''))!r}"
        subject = f"{model.variable(field)}{value}" if field in given else f"{model.variable(field)} is not set"
        if fault["type"] == "missing":
            yield f"{subject}: {description}"
        else:
            yield f"{subject}: {fault.get('ctx', {}).get('error') or fault['msg']} ({description})"
