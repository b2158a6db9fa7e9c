"""The networks that tests make for themselves."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.hosts import Hosts
from tests.support.polling import eventually

OWNER = """
import subprocess, sys
from tests.support.hosts import hosts
with hosts() as made:
    host = made.add("host")
    process = subprocess.Popen(host.command("sleep", "600"))
    print(host.namespace, process.pid, flush=True)
    sys.stdin.read()
"""


def reaches(networks: Hosts, one: str, other: str) -> bool:
    """Whether a host reaches another one over the peers' network."""
    ip = networks.by_name[other].peer_ip
    listener = subprocess.Popen(networks.by_name[other].command(sys.executable, "-c", LISTEN, ip))
    try:
        connect = networks.by_name[one].command(sys.executable, "-c", CONNECT, ip)
        return subprocess.run(connect, check=False).returncode == 0
    finally:
        listener.kill()
        listener.wait()


LISTEN = """
import socket, sys
listener = socket.create_server((sys.argv[1], 10090))
while True:
    listener.accept()
"""
CONNECT = """
import socket, sys, time
deadline = time.monotonic() + 5
while True:
    try:
        socket.create_connection((sys.argv[1], 10090), timeout=1)
        break
    except OSError:
        if time.monotonic() > deadline:
            sys.exit(1)
        time.sleep(0.1)
"""


def test_sides_of_a_cut_do_not_reach_each_other_until_it_is_healed(networks: Hosts) -> None:
    for name in ("one", "two", "three"):
        networks.add(name)
    assert reaches(networks, "one", "two")
    networks.split(["one"], ["two", "three"])
    assert not reaches(networks, "one", "two")
    assert reaches(networks, "two", "three")
    networks.heal()
    assert reaches(networks, "one", "two")


async def test_nothing_is_left_of_networks_whose_owner_was_killed(networks: Hosts) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    namespace, pid = owner.stdout.readline().split()
    links = f"{namespace.partition('h')[0]}*"
    assert Path("/run/netns", namespace).exists()
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    await eventually(lambda: not Path("/run/netns", namespace).exists(), seconds=60)
    await eventually(lambda: not list(Path("/sys/class/net").glob(links)), seconds=60)
    await eventually(lambda: not Path("/proc", pid).exists(), seconds=60)
