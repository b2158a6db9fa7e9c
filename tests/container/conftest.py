"""An image of the project, and a container of it beside a real Postgres and S3.

The image is built once, where buildah is, on the base that TEST_CONTAINER_BASE names (it needs Python 3.11 with venv,
and tini), else on a Debian that is made with debootstrap and kept as localhost/node-fsm-test-base.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from node_fsm_sandbox.servers.s3 import CREDENTIALS
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from tests.container.engine import Container, EngineError, build, make_base, run
from tests.container.packages import download_packages, install_sandbox_packages
from tests.container.release import serving
from tests.support.bucket import Bucket

BASE_VARIABLE = "TEST_CONTAINER_BASE"
BASE_RELEASE = "bookworm"
BASE_PACKAGES = ("python3-venv", "tini")
BASE = f"localhost/node-fsm-test-base:{'-'.join((BASE_RELEASE, 'slim', *BASE_PACKAGES))}"
SANDBOX_PACKAGES = "/run/sandbox-packages"

Start = Callable[[dict[str, str], dict[str, Path]], Container]


@pytest.fixture(scope="session")
def base_image() -> str:
    """The base image to build on; skips the test where there is none and none can be made."""
    if shutil.which("buildah") is None:
        pytest.skip("no buildah in PATH")
    if os.geteuid() != 0:
        pytest.skip("no image is built: looking into one needs root")
    if given := os.environ.get(BASE_VARIABLE):
        return given
    if run("buildah", "images", "--quiet", "--filter", f"reference={BASE}"):
        return BASE
    if shutil.which("debootstrap") is None:
        pytest.skip(f"no base image: {BASE_VARIABLE} is not set, and there is no debootstrap in PATH to make one")
    try:
        make_base(BASE, BASE_RELEASE, BASE_PACKAGES)
    except EngineError as error:
        pytest.skip(f"no base image: {BASE_VARIABLE} is not set, and debootstrap cannot make one: {error}")
    return BASE


@pytest.fixture(scope="session")
def pip_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A pip.conf that installs from /wheels alone, and the directory to mount there: the locked wheels."""
    directory = tmp_path_factory.mktemp("pip")
    wheels, config = directory / "wheels", directory / "pip.conf"
    download_packages(wheels, "runtime.txt", "build.txt")
    config.write_text(f"# {uuid.uuid4()}\n[global]\nno-index = true\nfind-links = /wheels\n")
    yield config, wheels
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def sandbox_packages(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the stand-ins and what they need beside the image's packages, to mount at SANDBOX_PACKAGES.

    It asks for the base image only so that nothing is fetched where no image can be built.
    """
    directory = tmp_path_factory.mktemp("sandbox-packages")
    install_sandbox_packages(directory)
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def node_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sandbox's jcli and jormungandr, as programs that the Python of the image runs."""
    directory = tmp_path_factory.mktemp("programs")
    for name, package in (("jcli", "jcli"), ("jormungandr", "node")):
        source = f"""\
            #!/opt/node-fsm/bin/python -I
            import sys

            sys.path.append("{SANDBOX_PACKAGES}")
            from node_fsm_sandbox.{package}.__main__ import main

            main()
        """
        (directory / name).write_text(dedent(source))
    return directory


@pytest.fixture(scope="session")
def image(
    base_image: str,
    pip_config: tuple[Path, Path],
    node_programs: Path,
    sandbox_packages: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The id of the project's image, whose jcli and jormungandr need what is mounted at SANDBOX_PACKAGES."""
    config, wheels = pip_config
    built = build(
        base_image,
        tmp_path_factory.mktemp("build"),
        *("--secret", f"id=pip.conf,src={config}", "--volume", f"{wheels}:/wheels:ro"),
        *("--volume", f"{sandbox_packages}:{SANDBOX_PACKAGES}:ro"),
        *("--build-context", f"node={node_programs}"),
    )
    yield built
    run("buildah", "rmi", built)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory, and the URL at which its files are served."""
    directory = tmp_path / "served"
    directory.mkdir()
    with serving(directory) as url:
        yield directory, url


@pytest.fixture
def port() -> int:
    """The port of the container's sidecar."""
    return free_port()


@pytest.fixture
def start(image: str, port: int, sandbox_packages: Path) -> Iterator[Start]:
    """Start a container with an environment and mounted files, which the image's user must be able to read.

    The stand-ins' packages are mounted beside them. Its log is shown when the test fails.
    """
    if shutil.which("podman") is None:
        pytest.skip("no podman in PATH")
    started: list[Container] = []

    def start(environment: dict[str, str], files: dict[str, Path]) -> Container:
        sidecar = {"NODE_FSM_HOST": LOOPBACK, "NODE_FSM_PORT": str(port)}
        mounts = {SANDBOX_PACKAGES: sandbox_packages} | files
        started.append(Container.start(image, CREDENTIALS | environment | sidecar, mounts))
        return started[-1]

    yield start
    for container in started:
        print(container.logs())
        container.remove()


@pytest.fixture
def container(start: Start, database_url: str, s3_bucket: Bucket, tmp_path: Path) -> Container:
    """A container in which leader 0's service was started."""
    secret = tmp_path / "database-url"
    secret.write_text(database_url)
    secret.chmod(0o644)
    environment = {
        "NODE_FSM_ROLE": "leader0",
        "NODE_FSM_HOSTNAME": "leader0",
        "NODE_FSM_DATABASE_URL_FILE": "/run/secrets/database-url",
        "NODE_FSM_SIGNING_KEY_S3_URI": f"s3://{s3_bucket.name}/leader0.sk",
        "NODE_FSM_ARCHIVE_S3_URI": f"s3://{s3_bucket.name}/archive",
        "NODE_FSM_S3_ENDPOINT_URL": s3_bucket.endpoint_url,
        "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS": f"/ip4/{LOOPBACK}/tcp/10090",
    }
    return start(environment, {"/run/secrets/database-url": secret})
