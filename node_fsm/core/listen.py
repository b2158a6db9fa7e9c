"""Where a server of this machine listens: an IP address and a port."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on; *host* is an IP address, without brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``ip:port`` or ``[ipv6]:port``; ValueError when it is something else."""
        host, _, port = text.rpartition(":")
        if ":" in host:
            if not (host.startswith("[") and host.endswith("]")):
                raise ValueError(f"the address in {text!r} must stand in brackets")
            host = host[1:-1]
        ip_address(host)
        return cls(host, parse_port(port))

    @property
    def here(self) -> "Listen":
        """Where this machine itself reaches what listens."""
        return Listen(_ANYWHERE.get(self.host, self.host), self.port)

    @property
    def multiaddr(self) -> str | None:
        """Where others reach it; None when it stands for all addresses of the machine."""
        ip = ip_address(self.host)
        return None if ip.is_unspecified else f"/ip{ip.version}/{self.host}/tcp/{self.port}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_port(text: str) -> int:
    """Read the number of a TCP port; ValueError when it is none."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**16):
        raise ValueError(f"{text!r} is no port: it is a number from 1 to 65535")
    return int(text)
