"""The image, built and run; skipped where there is no buildah, or no podman."""

import json
import re
import subprocess
import time
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path

import httpx
import pytest
from node_fsm_sandbox.servers.server import LOOPBACK

from node_fsm.service import STOP_SECONDS
from tests.container.engine import Container, EngineError, build, inspect_image, mounted, run
from tests.container.packages import BASE_PYTHON
from tests.container.release import PROGRAMS, write_archive
from tests.support.polling import HANGING

INTERVAL = 0.1
PROGRAMS_OF_NODE = ("jcli", "jormungandr")

pytestmark = pytest.mark.timeout(900)  # with the base image, which is made once

PROCESSES = """
import pathlib
for status in pathlib.Path("/proc").glob("[0-9]*/status"):
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    print(fields["Name"].strip(), fields["State"].split()[0])
"""


def wait_for_heartbeat(port: int) -> None:
    """Wait until the service answers."""
    deadline = time.monotonic() + HANGING
    while True:
        try:
            answer = httpx.get(f"http://{LOOPBACK}:{port}/heartbeat", timeout=5, trust_env=False)
        except httpx.TransportError:
            assert time.monotonic() < deadline, f"no heartbeat within {HANGING} s"
            time.sleep(INTERVAL)  # a poll with a deadline
        else:
            assert answer.status_code == 200
            return


def test_the_heartbeat_answers_and_the_health_check_hears_it(container: Container, port: int) -> None:
    wait_for_heartbeat(port)
    container.check_health()


def test_the_service_is_nobody_and_writes_to_its_volume_alone(container: Container, port: int) -> None:
    wait_for_heartbeat(port)
    status = container.execute("cat", "/proc/1/status")
    assert "Uid:\t10001\t10001\t10001\t10001\n" in status
    assert "Gid:\t10001\t10001\t10001\t10001\n" in status
    assert "CapPrm:\t0000000000000000\n" in status
    assert container.execute("find", "/var/lib/node-fsm", "-name", "lock", "-user", "10001")
    with pytest.raises(EngineError, match="Read-only file system"):
        container.execute("touch", "/opt/node-fsm/file")


def test_the_command_line_has_all_that_it_needs(container: Container, port: int) -> None:
    wait_for_heartbeat(port)
    assert container.execute("node-fsm", "db", "upgrade").startswith("the database ")
    assert container.execute("node-fsm", "election", "list", "--output", "json") == "[]"


def test_sigterm_to_process_1_ends_the_service_in_good_order(container: Container, port: int) -> None:
    wait_for_heartbeat(port)
    assert container.terminate(STOP_SECONDS) == 0
    assert "stopping: asked to" in container.logs()


def test_process_1_reaps_orphans(container: Container, port: int) -> None:
    wait_for_heartbeat(port)
    container.execute("sh", "-c", "sleep 0.1 & exit")
    deadline = time.monotonic() + HANGING
    while "sleep" in (processes := container.execute("python3", "-c", PROCESSES)):
        assert time.monotonic() < deadline, processes
        time.sleep(INTERVAL)  # a poll with a deadline
    assert " Z" not in processes
    assert "tini S" in processes


def test_nothing_of_the_building_machine_stays_in_the_image(image: str, pip_config: tuple[Path, Path]) -> None:
    mark = pip_config[0].read_text().splitlines()[0].removeprefix("# ")
    assert mark not in str(inspect_image(image))
    with mounted(image) as root:
        found = subprocess.run(
            ["grep", "-rl", mark, root], capture_output=True, text=True, timeout=HANGING, check=False
        )
    assert (found.returncode, found.stdout) == (1, "")


def test_no_stand_in_is_in_the_image(image: str) -> None:
    with mounted(image) as root:
        environment = root / "opt" / "node-fsm"
        programs = {path.name for path in (environment / "bin").iterdir()}
        assert programs == {"node-fsm", "python", "python3", f"python{BASE_PYTHON}"}
        assert list(environment.rglob("node_fsm/cli"))
        assert list(environment.rglob("*node_fsm_sandbox*")) == []


def test_the_list_of_what_is_in_the_image_is_whole(image: str) -> None:
    with mounted(image) as root:
        document = json.loads((root / "opt/node-fsm/sbom.cdx.json").read_text())
        [packages] = root.glob("opt/node-fsm/lib/python3*/site-packages")
        installed = {(each.name, each.version) for each in distributions(path=[str(packages)])}
        debian = re.findall(r"^Package: (.*)$", (root / "var/lib/dpkg/status").read_text(), re.MULTILINE)
        programs = {name: sha256((root / "usr/local/bin" / name).read_bytes()).hexdigest() for name in PROGRAMS_OF_NODE}
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    components = document["components"]
    of_debian = [each for each in components if each.get("purl", "").startswith("pkg:deb/")]
    of_node = [each for each in components if each["name"] in programs]
    others = {(each["name"], each["version"]) for each in components if each not in of_debian + of_node}
    assert others == installed
    assert sorted(each["name"] for each in of_debian) == sorted(debian)
    assert {each["name"]: each["hashes"][0]["content"] for each in of_node} == programs


def test_boto3_has_what_s3_and_its_credentials_need(container: Container) -> None:
    script = "import boto3; [boto3.client(name, region_name='eu-west-1') for name in ('s3', 'sts', 'sso', 'sso-oidc')]"
    container.execute("/opt/node-fsm/bin/python", "-c", script)


def test_without_the_nodes_programs_nothing_is_built(base_image: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="jcli and jormungandr are missing: give --build-context node=DIRECTORY"):
        build(base_image, tmp_path)


def test_the_nodes_programs_may_come_from_a_release_archive(
    base_image: str, served: tuple[Path, str], tmp_path: Path
) -> None:
    directory, url = served
    sha256 = write_archive(directory / "release.tar.gz", PROGRAMS)
    arguments = (f"JORMUNGANDR_URL={url}/release.tar.gz", f"JORMUNGANDR_SHA256={sha256}")
    stage = build(base_image, tmp_path, "--target", "node", *(f"--build-arg={argument}" for argument in arguments))
    try:
        with mounted(stage) as root:
            assert (root / "jcli").read_bytes() == PROGRAMS["release/jcli"]
            assert (root / "jormungandr").read_bytes() == PROGRAMS["release/jormungandr"]
    finally:
        run("buildah", "rmi", stage)
