"""Where nodes listen and where they find each other: ``ip:port`` and multiaddrs."""

import ipaddress
import socket
from typing import NamedTuple

from node_fsm.core.multiaddr import Multiaddr

_FAMILIES = {"dns4": socket.AF_INET, "dns6": socket.AF_INET6}


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


def parse_multiaddr(text: str) -> Multiaddr:
    """Read a multiaddr over TCP; ValueError, in the words of the real program, when it is something else."""
    try:
        return Multiaddr.parse(text)
    except ValueError:
        raise ValueError("invalid multiaddr") from None


def address_of(multiaddr: Multiaddr) -> Address | None:
    """The address in it; None when it has a name."""
    return Address(str(multiaddr.ip), multiaddr.port) if multiaddr.ip else None


def resolve(multiaddr: Multiaddr) -> Address:
    """Its address, looked up when it has a name; OSError when there is none."""
    if address := address_of(multiaddr):
        return address
    found = socket.getaddrinfo(multiaddr.host, multiaddr.port, _FAMILIES[multiaddr.kind], socket.SOCK_STREAM)
    host, port = found[0][4][:2]
    return Address(str(host), int(port))


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 2**16:
        raise ValueError("a port has 16 bits")
    return port
