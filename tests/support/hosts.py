"""Hosts of a test's own on this machine: network namespaces whose links a test can cut and mend.

Each host has two interfaces. Over the *peers'* network nodes reach each other; it is a switch that can be cut into
sides. Over the *outside* network a host reaches what runs on this machine itself, databases and object stores, and this
machine reaches the host. Nothing of either leaves this machine.
"""

import os
import shutil
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_COMMAND_SECONDS = 30
_PREFIX_LENGTH = 24


@dataclass(frozen=True, slots=True)
class Host:
    """A network namespace: its *name*, its IP among peers, and the one at which this machine reaches it."""

    name: str
    namespace: str
    peer_ip: str
    outside_ip: str
    peer_port: str
    outside_port: str

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs *arguments* on this host."""
        return ["ip", "netns", "exec", self.namespace, *arguments]


@dataclass
class Hosts:
    """The hosts of one test by name, made by :func:`hosts`.

    *gateway* is this machine's own address in the outside network: servers that hosts are to reach listen there.
    """

    number: int
    by_name: dict[str, Host] = field(default_factory=dict)

    @property
    def gateway(self) -> str:
        return f"10.213.{self.number}.1"

    def add(self, name: str) -> Host:
        """A host that reaches all others and this machine."""
        index = len(self.by_name) + 2
        stem = f"nf{self.number}h{index}"
        host = Host(
            name=name,
            namespace=stem,
            peer_ip=f"10.214.{self.number}.{index}",
            outside_ip=f"10.213.{self.number}.{index}",
            peer_port=f"{stem}p",
            outside_port=f"{stem}o",
        )
        _ip("netns", "add", host.namespace)
        self.by_name[name] = host
        _in(host, "link", "set", "lo", "up")
        for port, inside, address, bridge in (
            (host.peer_port, "peers", host.peer_ip, self._side(0)),
            (host.outside_port, "outside", host.outside_ip, self._outside),
        ):
            _ip("link", "add", port, "type", "veth", "peer", "name", inside, "netns", host.namespace)
            _in(host, "addr", "add", f"{address}/{_PREFIX_LENGTH}", "dev", inside)
            _in(host, "link", "set", inside, "up")
            _ip("link", "set", port, "master", bridge, "up")
        return host

    def split(self, *sides: Collection[str]) -> None:
        """Cut the peers' network: only hosts on the same side reach each other; those not named stay together."""
        for number, names in enumerate(sides, start=1):
            for name in names:
                _ip("link", "set", self.by_name[name].peer_port, "master", self._side(number))

    def heal(self) -> None:
        """Join the peers' network again, and let everybody reach this machine."""
        for host in self.by_name.values():
            _ip("link", "set", host.peer_port, "master", self._side(0))
            _ip("link", "set", host.outside_port, "master", self._outside)

    def cut_outside(self, name: str) -> None:
        """Have this host reach this machine no more: neither its database nor its object store."""
        _ip("link", "set", self.by_name[name].outside_port, "nomaster")

    @property
    def _outside(self) -> str:
        return f"nf{self.number}out"

    def _side(self, number: int) -> str:
        return f"nf{self.number}side{number}"

    def make(self) -> None:
        """Make the switches: one for each of up to four sides, and the outside's."""
        for number in range(4):
            _ip("link", "add", self._side(number), "type", "bridge")
            _ip("link", "set", self._side(number), "up")
        _ip("link", "add", self._outside, "type", "bridge")
        _ip("addr", "add", f"{self.gateway}/{_PREFIX_LENGTH}", "dev", self._outside)
        _ip("link", "set", self._outside, "up")

    def remove(self) -> None:
        """Remove every trace; whatever still runs on a host keeps its namespace, unnamed, until it ends."""
        for host in self.by_name.values():
            _ip("netns", "delete", host.namespace, check=False)
        for bridge in (*map(self._side, range(4)), self._outside):
            _ip("link", "delete", bridge, check=False)


@contextmanager
def hosts() -> Iterator[Hosts]:
    """Hosts for one test; skips it, saying why, where this machine makes no networks."""
    if reason := _unable():
        pytest.skip(reason)
    made = next(candidate for candidate in map(Hosts, range(1, 250)) if _is_free(candidate))
    try:
        made.make()
        yield made
    finally:
        made.remove()


def _is_free(candidate: Hosts) -> bool:
    """Whether no other test has this number; tests that run at once begin at different ones."""
    return not Path(f"/sys/class/net/nf{candidate.number}side0").exists()


def _unable() -> str | None:
    if os.geteuid() != 0:
        return "no networks of its own: making them needs root"
    if shutil.which("ip") is None:
        return "no networks of its own: no ip (iproute2) in PATH"
    try:
        _ip("link", "add", "nfprobe", "type", "bridge")
        _ip("link", "delete", "nfprobe")
    except AssertionError as error:
        return f"no networks of its own: {error}"
    return None


def _in(host: Host, *arguments: str) -> None:
    _run(host.command("ip", *arguments))


def _ip(*arguments: str, check: bool = True) -> None:
    _run(["ip", *arguments], check=check)


def _run(command: list[str], *, check: bool = True) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False)
    assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
