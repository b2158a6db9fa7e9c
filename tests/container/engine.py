"""Building images with buildah and running them with podman."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.container.paths import CONTAINERFILE, ROOT
from tests.support.polling import HANGING

LEFT_OUT_BY_SLIM_IMAGES = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")
BASE_SECONDS = 300.0
BUILD_SECONDS = 400.0
COMMAND_SECONDS = HANGING


class EngineError(Exception):
    """A command that failed, with the end of what it said."""


def run(*command: str, timeout: float = COMMAND_SECONDS) -> str:
    """Run *command* to its end; what it printed on standard output. Raises EngineError."""
    return complete(command, timeout).stdout.strip()


def complete(command: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run *command* to its end, and end it with all that it started after *timeout* seconds. Raises EngineError."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, process_group=0) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise EngineError(f"{' '.join(command)} did not end within {timeout:g} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        said = "\n".join((stdout + stderr).splitlines()[-30:])
        raise EngineError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    return subprocess.CompletedProcess(command, 0, stdout, stderr)


def build(base: str, directory: Path, *options: str) -> str:
    """Build the project's image, or one of its stages, on *base*; its id. *directory* is for scratch files."""
    iid = directory / "image-id"
    run(
        *("buildah", "build", "--file", str(CONTAINERFILE), "--build-arg", f"BASE={base}", "--iidfile", str(iid)),
        # Chroot and the host's network work where a container's own would need what a builder may lack.
        *("--isolation", "chroot", "--network", "host", "--pull-never", "--format", "docker"),
        *(*options, str(ROOT)),
        timeout=BUILD_SECONDS,
    )
    return iid.read_text().removeprefix("sha256:")


def inspect_image(image: str) -> dict[str, Any]:
    """What the image says of itself, its history included."""
    return dict(json.loads(run("buildah", "inspect", "--type", "image", image)))


def podman(*arguments: str, timeout: float = COMMAND_SECONDS) -> str:
    """Run a podman command; runc where it is found, because crun knows no mixture of cgroup versions."""
    runtime = ("--runtime", "runc", "--cgroup-manager", "cgroupfs") if shutil.which("runc") else ()
    return run("podman", *runtime, *arguments, timeout=timeout)


@dataclass(frozen=True, slots=True)
class Container:
    """A running container, locked in as docs/container.md says."""

    id: str

    @classmethod
    def start(cls, image: str, environment: dict[str, str], files: dict[str, Path]) -> "Container":
        """Start the image on the host's network; *files* has what to mount at which path."""
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        mounts = [f"--volume={path}:{target}:ro" for target, path in files.items()]
        return cls(
            podman(
                *("run", "--detach", "--pull", "never", "--network", "host"),
                *("--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp"),
                *("--cap-drop", "all", "--security-opt", "no-new-privileges"),
                *("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=4096:4096"),  # the defaults may exceed ours
                *(*variables, *mounts, image),
            )
        )

    def execute(self, *command: str) -> str:
        """Run a command in the container; what it printed. Raises EngineError."""
        return podman("exec", self.id, *command)

    def check_health(self) -> None:
        """Run the image's health check once; raises EngineError when it fails."""
        podman("healthcheck", "run", self.id)

    def terminate(self, seconds: float) -> int:
        """SIGTERM to process 1; the container's exit code. Raises EngineError when it has none after *seconds*."""
        podman("kill", "--signal", "TERM", self.id)
        return int(podman("wait", self.id, timeout=seconds))

    def start_again(self) -> None:
        """Start a container that ended, with the same volume."""
        podman("start", self.id)

    def inspect(self) -> str:
        """What podman says of the container, its environment included."""
        return podman("inspect", self.id)

    def logs(self) -> str:
        """What the container printed, on standard error after standard output."""
        done = complete(("podman", "logs", self.id), COMMAND_SECONDS)
        return done.stdout + done.stderr

    def remove(self) -> None:
        """Remove the container, running or not, with its volume."""
        podman("rm", "--force", "--time", "0", "--volumes", self.id)


def make_base(name: str, release: str, packages: tuple[str, ...]) -> None:
    """Make a base image of a minimal Debian and *packages*, without what Debian's slim images do without.

    Raises EngineError, also when no mirror is reached.
    """
    container = run("buildah", "from", "scratch")
    try:
        root = run("buildah", "mount", container)
        packages_option = f"--include={','.join(packages)}"
        run("debootstrap", "--variant=minbase", packages_option, release, root, timeout=BASE_SECONDS)
        for directory in LEFT_OUT_BY_SLIM_IMAGES:
            shutil.rmtree(Path(root, directory))
        run("buildah", "commit", "--quiet", container, name, timeout=BUILD_SECONDS)
    finally:
        run("buildah", "rm", container)


@contextmanager
def mounted(image: str) -> Iterator[Path]:
    """The directory under which the image's files are."""
    container = run("buildah", "from", "--pull-never", image)
    try:
        yield Path(run("buildah", "mount", container))
    finally:
        run("buildah", "rm", container)
