"""The two distributions, built as for a registry and installed as by a stranger; nothing is fetched for it."""

import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from node_fsm import __version__

ROOT = Path(__file__).parents[2]
IGNORED = {"__pycache__", ".hypothesis", "dist", "secrets"}
NEEDED = ("tests", "sandbox", "docs", "benchmarks", "deploy", "requirements", "node_fsm", "states", ".ci")
NEEDED_FILES = ("Makefile", "Containerfile", ".dockerignore", "mkdocs.yml", "block0_template.yaml", "CHANGELOG.md")
SECONDS = 120


def run(*command: str | Path, directory: Path = ROOT, code: int = 0) -> str:
    """Run a command that is to end with *code*; all that it printed."""
    done = subprocess.run(
        command,
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def build(project: Path, directory: Path) -> tuple[Path, Path]:
    """The wheel and the sdist of *project*, made in *directory*."""
    run(sys.executable, "-m", "hatchling", "build", "-d", directory, directory=project)
    [wheel], [sdist] = directory.glob("*.whl"), directory.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist of the service."""
    return build(ROOT, tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the stand-ins."""
    return build(ROOT / "sandbox", tmp_path_factory.mktemp("sandbox"))[0]


def new_environment(directory: Path) -> Path:
    """An environment that has the dependencies of this one, without the projects themselves; its programs."""
    venv.create(directory, with_pip=False, symlinks=True)
    [packages] = directory.glob("lib/python3*/site-packages")
    # Of a directory that a .pth names, the .pth files are not read, by which the projects stand in this environment.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return directory / "bin"


def install(programs: Path, *wheels: Path) -> None:
    """Install the *wheels* there, and nothing else."""
    offline = ("--no-index", "--no-deps", "--disable-pip-version-check", "--quiet")
    run(sys.executable, "-m", "pip", "--python", programs / "python", "install", *offline, *wheels)


def test_the_service_alone_works_where_its_wheel_is_installed(service: tuple[Path, Path], tmp_path: Path) -> None:
    programs = new_environment(tmp_path / "environment")
    install(programs, service[0])
    assert run(programs / "node-fsm", "--version", directory=tmp_path) == f"{__version__}\n"
    assert "NODE_FSM_DATABASE_URL is not set" in run(programs / "node-fsm", "config", directory=tmp_path, code=2)
    assert "node-fsm-sandbox" in run(programs / "node-fsm", "demo", directory=tmp_path, code=1)
    script = (
        "from node_fsm.block0.template import load_template\n"
        "from node_fsm.service import run_service\n"
        "from node_fsm.settings.model import packaged_template\n"
        "load_template(packaged_template())\n"
        "print(packaged_template())"
    )
    template = Path(run(programs / "python", "-c", script, directory=tmp_path).strip())
    assert template.is_relative_to(tmp_path)
    assert template.read_bytes() == (ROOT / "block0_template.yaml").read_bytes()


def test_the_stand_ins_work_beside_the_service(service: tuple[Path, Path], sandbox: Path, tmp_path: Path) -> None:
    programs = new_environment(tmp_path / "environment")
    install(programs, service[0], sandbox)
    assert "jcli" in run(programs / "sandbox-jcli", "--version", directory=tmp_path)
    assert "jormungandr" in run(programs / "sandbox-jormungandr", "--version", directory=tmp_path)
    assert "two elections" in run(programs / "node-fsm", "demo", "--help", directory=tmp_path).lower()


@pytest.mark.parametrize("of", ["service", "sandbox"])
def test_a_wheel_holds_its_own_packages_typed_and_nothing_else(
    of: str, service: tuple[Path, Path], sandbox: Path
) -> None:
    wheel, expected = (service[0], {"node_fsm", "states"}) if of == "service" else (sandbox, {"node_fsm_sandbox"})
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == expected
    assert {f"{package}/py.typed" for package in expected} <= names
    assert [name for name in names if IGNORED & set(name.split("/"))] == []


def test_the_service_has_its_status_page_and_the_runbook_with_it(service: tuple[Path, Path]) -> None:
    archive = zipfile.ZipFile(service[0])
    files = [path for path in (ROOT / "node_fsm" / "sidecar" / "page").rglob("*.*") if path.suffix != ".pyc"]
    assert {str(path.relative_to(ROOT)) for path in files} <= set(archive.namelist())
    assert archive.read("node_fsm/runbook.md") == (ROOT / "docs" / "runbook.md").read_bytes()


def test_the_metadata_is_what_a_registry_shows(service: tuple[Path, Path], sandbox: Path) -> None:
    for wheel in (service[0], sandbox):
        archive = zipfile.ZipFile(wheel)
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
        assert "Author: The node-fsm authors" in metadata
        assert "Classifier: Typing :: Typed" in metadata
        required = re.findall(r"^Requires-Dist: ([\w-]+)(.*)", metadata, re.MULTILINE)
        assert required
        assert [package for package, bound in required if ">=" not in bound and package != "node-fsm"] == []


def test_the_sdist_holds_what_its_tests_need(service: tuple[Path, Path]) -> None:
    with tarfile.open(service[1]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    needed = {path for name in NEEDED for path in (ROOT / name).rglob("*") if path.is_file()}
    wanted = {str(path.relative_to(ROOT)) for path in needed if not IGNORED & set(path.parts)} | set(NEEDED_FILES)
    assert wanted - held == set()


def test_the_sdist_gives_the_same_wheel_and_what_it_gives_works(service: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, sdist = service
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path)  # noqa: S202 - our own
    [source] = [path for path in tmp_path.iterdir() if path.is_dir()]
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist", directory=source)
    [made] = (tmp_path / "dist").glob("*.whl")
    assert contents(made) == contents(wheel)
    programs = new_environment(tmp_path / "environment")
    install(programs, made)
    printed = run(programs / "node-fsm", "table", directory=tmp_path)
    assert "GeneratingBlock0" in printed


def contents(wheel: Path) -> dict[str, bytes]:
    """What is in a wheel, but for the list of it."""
    archive = zipfile.ZipFile(wheel)
    return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def test_the_locks_agree() -> None:
    pins = [
        dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("runtime.txt", "sandbox.txt", "dev.txt")
    ]
    assert pins[0].items() <= pins[1].items() <= pins[2].items()
