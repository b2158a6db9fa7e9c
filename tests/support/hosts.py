"""Hosts of a test's own on this machine: network namespaces whose links a test can cut and mend.

Each host has three interfaces. Over the *peers'* network nodes reach each other; it is a switch that can be cut into
sides. Over the *outside* network a host reaches what runs on this machine itself, databases and object stores; it can
be cut off from it. Over the *control* network, which is never cut, the test reaches what runs on the host. Nothing of
them leaves this machine. A guard, a process of its own, removes all of it again.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_COMMAND_SECONDS = 30
_REMOVE_SECONDS = 60
_PREFIX_LENGTH = 24


@dataclass(frozen=True, slots=True)
class Host:
    """A network namespace: its *name*, its IP among peers, and the one at which the test reaches it."""

    name: str
    namespace: str
    peer_ip: str
    control_ip: str
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
            control_ip=f"10.215.{self.number}.{index}",
            peer_port=f"{stem}p",
            outside_port=f"{stem}o",
        )
        _ip("netns", "add", host.namespace)
        self.by_name[name] = host
        _in(host, "link", "set", "lo", "up")
        for port, inside, address, bridge in (
            (host.peer_port, "peers", host.peer_ip, self._side(0)),
            (host.outside_port, "outside", f"10.213.{self.number}.{index}", self._outside),
            (f"{stem}c", "control", host.control_ip, self._control),
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

    def mend_outside(self, name: str) -> None:
        """Let this host reach this machine again."""
        _ip("link", "set", self.by_name[name].outside_port, "master", self._outside)

    @property
    def _outside(self) -> str:
        return f"nf{self.number}out"

    @property
    def _control(self) -> str:
        return f"nf{self.number}control"

    def _side(self, number: int) -> str:
        return f"nf{self.number}side{number}"

    def make(self) -> None:
        """Make the switches: one for each of up to four sides, and the outside's."""
        for number in range(1, 4):
            _ip("link", "add", self._side(number), "type", "bridge")
            _ip("link", "set", self._side(number), "up")
        _ip("link", "set", self._side(0), "up")
        for bridge, ip in ((self._outside, self.gateway), (self._control, f"10.215.{self.number}.1")):
            _ip("link", "add", bridge, "type", "bridge")
            _ip("addr", "add", f"{ip}/{_PREFIX_LENGTH}", "dev", bridge)
            _ip("link", "set", bridge, "up")

    def claim(self) -> bool:
        """Take this number, unless another test has it."""
        return _run(["ip", "link", "add", self._side(0), "type", "bridge"], check=False)


@contextmanager
def hosts() -> Iterator[Hosts]:
    """Hosts for one test; skips it, saying why, where this machine makes no networks."""
    if reason := _unable():
        pytest.skip(reason)
    made = next(candidate for candidate in map(Hosts, range(1, 250)) if candidate.claim())
    guard = subprocess.Popen(
        [sys.executable, "-I", str(Path(__file__).with_name("host_guard.py")), str(made.number)],
        stdin=subprocess.PIPE,
        start_new_session=True,  # it outlives what is interrupted
    )
    try:
        made.make()
        yield made
    finally:
        guard.communicate(timeout=_REMOVE_SECONDS)


def _unable() -> str | None:
    if os.geteuid() != 0:
        return "no networks of its own: making them needs root"
    if shutil.which("ip") is None:
        return "no networks of its own: no ip (iproute2) in PATH"
    probe = f"nfprobe{os.getpid()}"
    try:
        _ip("link", "add", probe, "type", "bridge")
        _ip("link", "delete", probe)
    except AssertionError as error:
        return f"no networks of its own: {error}"
    return None


def _in(host: Host, *arguments: str) -> None:
    _run(host.command("ip", *arguments))


def _ip(*arguments: str) -> None:
    _run(["ip", *arguments])


def _run(command: list[str], *, check: bool = True) -> bool:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False)
    assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
    return done.returncode == 0
