"""Keeping what the caller's shell is set up for out of an election held here: a real database or account above all."""

from collections.abc import Mapping, MutableMapping
from pathlib import Path

from node_fsm_sandbox.servers.s3 import CREDENTIALS

_FOREIGN = ("NODE_FSM_", "AWS_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "BOTO_CONFIG")
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL")

_AWS = CREDENTIALS | {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


def isolate(environ: MutableMapping[str, str]) -> None:
    """Have this process use the embedded S3 alone, without a proxy, whatever *environ* said before."""
    for name in list(environ):
        if name.upper().startswith(_FOREIGN):
            del environ[name]
    environ.update(_AWS)


def service_environment(environ: Mapping[str, str], temporary: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """All that a service is given: its *settings*, and of *environ* only where to find things."""
    passed_on = {name: environ[name] for name in _PASSED_ON if name in environ}
    return passed_on | _AWS | {"TMPDIR": str(temporary)} | dict(settings)
