"""Where nodes listen and where they find each other: ``ip:port`` and multiaddrs."""

import ipaddress
import re
import socket
from typing import NamedTuple

_MULTIADDR = re.compile(r"/(ip4|ip6|dns|dns4|dns6)/([^/]+)/tcp/(\d{1,5})")
_FAMILIES = {"dns": socket.AF_UNSPEC, "dns4": socket.AF_INET, "dns6": socket.AF_INET6}


class Address(NamedTuple):
    """An IP address and a TCP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read ``ip:port`` or ``[ipv6]:port``; ValueError when it is something else."""
        host, _, port = text.rpartition(":")
        try:
            ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
            return cls(str(ip), _port(port))
        except ValueError:
            raise ValueError("invalid socket address syntax") from None

    @property
    def is_global(self) -> bool:
        """Whether it can be reached from everywhere."""
        return ipaddress.ip_address(self.host).is_global

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Multiaddr(NamedTuple):
    """``/ip4/…/tcp/…`` and the like; *kind* is the first word."""

    kind: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Multiaddr":
        """Read a multiaddr over TCP; ValueError when it is something else."""
        match = _MULTIADDR.fullmatch(text)
        if match is None:
            raise ValueError("invalid multiaddr")
        if match[1] in {"ip4", "ip6"} and ipaddress.ip_address(match[2]).version != int(match[1][2]):
            raise ValueError("invalid multiaddr")
        return cls(match[1], match[2], _port(match[3]))

    @property
    def address(self) -> Address | None:
        """The address in it; None when it has a name."""
        return Address(self.host, self.port) if self.kind in {"ip4", "ip6"} else None

    def resolve(self) -> Address:
        """Its address, looked up when it has a name; OSError when there is none."""
        if self.address:
            return self.address
        found = socket.getaddrinfo(self.host, self.port, _FAMILIES[self.kind], socket.SOCK_STREAM)
        host, port = found[0][4][:2]
        return Address(str(host), int(port))

    def __str__(self) -> str:
        return f"/{self.kind}/{self.host}/tcp/{self.port}"


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 2**16:
        raise ValueError("a port has 16 bits")
    return port
