"""Where a node finds others and is found: multiaddrs over TCP."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Self

from node_fsm.core.listen import parse_port

_MULTIADDR = re.compile(r"/(ip4|ip6|dns4|dns6)/([^/\s]+)/tcp/(\d{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Multiaddr:
    """``/KIND/HOST/tcp/PORT``; *kind* is ip4, ip6, dns4 or dns6, and *host* an IP address or a name."""

    kind: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a multiaddr; ValueError when it is something else, or its address is not of its kind."""
        match = _MULTIADDR.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not of the form /ip4/ADDRESS/tcp/PORT or /dns4/NAME/tcp/PORT")
        kind, host, port = match.groups()
        if kind.startswith("ip") and ip_address(host).version != int(kind[2]):
            raise ValueError(f"{host} in {text!r} is not of the kind {kind}")
        return cls(kind, host, parse_port(port))

    @property
    def ip(self) -> IPv4Address | IPv6Address | None:
        """The address in it; None when it has a name."""
        return ip_address(self.host) if self.kind.startswith("ip") else None

    def __str__(self) -> str:
        return f"/{self.kind}/{self.host}/tcp/{self.port}"
