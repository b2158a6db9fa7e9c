"""Validators of settings' values: each returns the value to use, or raises ValueError saying what it must be."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from node_fsm.core.listen import Listen
from node_fsm.core.multiaddr import Multiaddr
from node_fsm.core.s3_uri import S3Uri

T = TypeVar("T")

_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no"}
_SEVERAL_HOSTS = re.compile(r"([a-z+]+://(?:[^@/?]*@)?)([^@/?]+,[^@/?]+)(/[^?]*)?(?:\?(.*))?", re.DOTALL)
_PORT = re.compile(r":\d+$")
_POSTGRES = {"postgres", "postgresql", "postgresql+asyncpg"}
_DATABASE_OPTIONS = {
    "host": None,
    "port": None,
    "user": None,
    "password": None,
    "passfile": None,
    "ssl": {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"},
    "target_session_attrs": {"any", "primary", "read-write"},
}
"""What may stand behind the ? of a database's URL, with its values if there are few; all else the service sets."""


def boolean(value: object) -> object:
    """true, 1, yes, false, 0 or no, in upper or lower case; a bool stays as it is."""
    if not isinstance(value, str):
        return value
    if value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError("must be true or false")


def upper(value: object) -> object:
    """Text in upper case."""
    return value.upper() if isinstance(value, str) else value


def s3_object(uri: str) -> str:
    """The URI of one object."""
    parsed = _parsed(S3Uri.parse, uri)
    if parsed is None or not parsed.is_object:
        raise ValueError("must name one object, as s3://BUCKET/KEY")
    return uri


def s3_prefix(uri: str) -> str:
    """The URI of a bucket or a prefix in it, returned without a slash at its end."""
    if _parsed(S3Uri.parse, uri) is None:
        raise ValueError("must name a bucket or a prefix in it, as s3://BUCKET/PREFIX")
    return uri.rstrip("/")


def http_url(url: str) -> str:
    """A URL of a server."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("must be a URL, as http://HOST:PORT")
    return url


def database_url(secret: SecretStr) -> SecretStr:
    """The URL of a Postgres database."""
    try:
        parts = urlsplit(spread_hosts(secret.get_secret_value()))
        good = parts.scheme in _POSTGRES and parts.netloc.count("@") < 2 and parts.port != 0
        options = parse_qs(parts.query, keep_blank_values=True)
    except ValueError:  # its text quotes what may be a part of the password
        good = False
    if not good:
        raise ValueError("is not a Postgres URL, or its password has special characters that are not percent-encoded")
    if wrong := wrong_database_options(options):
        raise ValueError(wrong)
    return secret


def spread_hosts(url: str) -> str:
    """The same URL with several hosts, as libpq writes them before the database, in options instead."""
    found = _SEVERAL_HOSTS.fullmatch(url)
    if not found:
        return url
    begin, hosts, database, options = found.groups(default="")
    named = "&".join(f"host={host if _PORT.search(host) else f'{host}:5432'}" for host in hosts.split(","))
    return f"{begin}{database or '/'}?{named}{f'&{options}' if options else ''}"


def wrong_database_options(options: Mapping[str, str | Iterable[str]]) -> str:
    """What is wrong with the options of a database's URL, empty when nothing is. Their values are not repeated."""
    for option, values in options.items():
        if option not in _DATABASE_OPTIONS:
            hint = "; libpq's sslmode is ssl here" if option == "sslmode" else ""
            return f"has the option {option}, and may have {', '.join(_DATABASE_OPTIONS)}{hint}"
        known = _DATABASE_OPTIONS[option]
        if known and not known.issuperset({values} if isinstance(values, str) else values):
            return f"has an option {option} that is none of {', '.join(sorted(known))}"
    return ""


def ip_address(text: str) -> str:
    """An IPv4 or IPv6 address."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("must be an IP address, as 0.0.0.0 or 127.0.0.1") from None


def listen(value: object) -> object:
    """An address and port to listen on: IP:PORT, or [IP]:PORT for IPv6."""
    if not isinstance(value, str):
        return value
    parsed = _parsed(Listen.parse, value)
    if parsed is None:
        raise ValueError("must be IP:PORT, as 127.0.0.1:10080; a name is not enough")
    return parsed


def public_address(address: str) -> str:
    """The multiaddr of the node itself, by IP."""
    if not address:
        raise ValueError("it does not follow from NODE_FSM_NODE_P2P_LISTEN, which is not one address")
    parsed = _parsed(Multiaddr.parse, address)
    if parsed and parsed.ip is None:
        raise ValueError(
            "must be an IP address: with a name here the node starts but peers cannot reach it; "
            "a name may stand in NODE_FSM_NODE_P2P_ADVERTISE"
        )
    if parsed is None or parsed.ip is None or parsed.ip.is_unspecified:
        raise ValueError("must be /ip4/ADDRESS/tcp/PORT, with an address that other nodes reach")
    return address


def advertised(address: str) -> str:
    """The multiaddr that peers are told, by IP or name."""
    parsed = _parsed(Multiaddr.parse, address)
    if parsed is None or (parsed.ip and parsed.ip.is_unspecified):
        raise ValueError("must be /dns4/NAME/tcp/PORT or /ip4/ADDRESS/tcp/PORT")
    return address


def failpoints(text: str) -> str:
    """Where the service is to fail on purpose, which only an installation for tests can do."""
    if not find_spec("node_fsm_sandbox"):
        raise ValueError("has the service fail on purpose, which needs node-fsm-sandbox; remove it in production")
    return text


def _parsed(parse: Callable[[str], T], text: str) -> T | None:
    """What *text* says; None when it is something else, of which each setting says what it must be."""
    try:
        return parse(text)
    except ValueError:
        return None
