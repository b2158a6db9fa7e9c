"""Validators of settings' values: each returns the value to use, or raises ValueError saying what it must be."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no"}
_S3_URI = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")
_MULTIADDR = re.compile(r"/(ip4|ip6|dns4|dns6)/([^/\s]+)/tcp/(\d+)")
_POSTGRES = {"postgres", "postgresql", "postgresql+asyncpg"}
_DATABASE_OPTIONS = {
    "host": None,
    "port": None,
    "user": None,
    "password": None,
    "passfile": None,
    "ssl": {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"},
    "target_session_attrs": {"any", "primary", "standby", "read-write", "read-only", "prefer-standby"},
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
    match = _S3_URI.fullmatch(uri)
    if not match or not match[2] or uri.endswith("/"):
        raise ValueError("must name one object, as s3://BUCKET/KEY")
    return uri


def s3_prefix(uri: str) -> str:
    """The URI of a bucket or a prefix in it, returned without a slash at its end."""
    if not _S3_URI.fullmatch(uri):
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
        parts = urlsplit(secret.get_secret_value())
        good = parts.scheme in _POSTGRES and parts.netloc.count("@") < 2 and parts.port != 0
        options = parse_qs(parts.query, keep_blank_values=True)
    except ValueError:  # its text quotes what may be a part of the password
        good = False
    if not good:
        raise ValueError("is not a Postgres URL, or its password has special characters that are not percent-encoded")
    if wrong := wrong_database_options(options):
        raise ValueError(wrong)
    return secret


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


def listen(text: str) -> str:
    """An address and port to listen on: IP:PORT, or [IP]:PORT for IPv6."""
    host, _, port = text.rpartition(":")
    if not (_is_ip(host.removeprefix("[").removesuffix("]")) and _is_port(port)):
        raise ValueError("must be IP:PORT, as 127.0.0.1:10080; a name is not enough")
    return text


def multiaddr_of(listen_address: str) -> str:
    """The multiaddr of an IP:PORT; empty when that stands for all addresses of the machine."""
    host, _, port = listen_address.rpartition(":")
    host = host.strip("[]")
    if not _is_reachable(host):
        return ""
    return f"/ip{ipaddress.ip_address(host).version}/{host}/tcp/{port}"


def public_address(address: str) -> str:
    """The multiaddr of the node itself, by IP."""
    if not address:
        raise ValueError("it does not follow from NODE_FSM_NODE_P2P_LISTEN, which is not one address")
    match = _MULTIADDR.fullmatch(address)
    if match and match[1].startswith("dns"):
        raise ValueError(
            "must be an IP address: with a name here the node starts but peers cannot reach it; "
            "a name may stand in NODE_FSM_NODE_P2P_ADVERTISE"
        )
    if not match or not _is_reachable(match[2]) or not _is_port(match[3]):
        raise ValueError("must be /ip4/ADDRESS/tcp/PORT, with an address that other nodes reach")
    return address


def advertised(address: str) -> str:
    """The multiaddr that peers are told, by IP or name."""
    match = _MULTIADDR.fullmatch(address)
    by_name = match and match[1].startswith("dns")
    if not (match and _is_port(match[3]) and (by_name or _is_reachable(match[2]))):
        raise ValueError("must be /dns4/NAME/tcp/PORT or /ip4/ADDRESS/tcp/PORT")
    return address


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_reachable(text: str) -> bool:
    return _is_ip(text) and not ipaddress.ip_address(text).is_unspecified


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 2**16
