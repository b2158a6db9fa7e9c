"""A pooler between the service and Postgres, that ends and is started again."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from node_fsm_sandbox.servers.server import LOOPBACK, free_port, server_user
from sqlalchemy import make_url

from tests.faults.matrix.database import Away
from tests.faults.matrix.scene import POLL_SECONDS, Scene
from tests.support.polling import HANGING
from tests.support.roles import PASSWORD, DatabaseRole

_CONFIGURATION = """[databases]
* = host={host} port={postgres}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
auth_type = scram-sha-256
auth_file = {users}
pool_mode = session
unix_socket_dir =
"""


class PoolerKilled(Away):
    """pgbouncer, which gives each client a server for its whole session, is killed and started again."""

    id = "F35"

    async def prepare(self, scene: Scene) -> None:
        program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:" + os.environ["PATH"])
        if program is None:
            pytest.skip("no pgbouncer: Debian's package pgbouncer has it")
        self._program = program
        self._directory = Path(tempfile.mkdtemp(prefix="node-fsm-pooler-"))
        scene.stack.callback(shutil.rmtree, self._directory)
        self._directory.chmod(0o755)  # the server's user reads it
        self._port = free_port()
        users = self._directory / "users"
        users.write_text(f'"{DatabaseRole.LEADER0}" "{PASSWORD}"\n')
        self._file = self._directory / "pgbouncer.ini"
        self._file.write_text(
            _CONFIGURATION.format(host=LOOPBACK, postgres=scene.postgres.port, port=self._port, users=users)
        )
        url = make_url(scene.service.settings["NODE_FSM_DATABASE_URL"])
        through = url.set(port=self._port).render_as_string(hide_password=False)
        scene.service.settings["NODE_FSM_DATABASE_URL"] = through
        scene.stack.callback(self._end)
        await self._start()

    async def take_away(self, scene: Scene) -> None:
        self._end()

    async def bring_back(self, scene: Scene) -> None:
        await self._start()

    async def _start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, str(self._file)],
            user=server_user(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(HANGING):
            while True:
                try:
                    _, writer = await asyncio.open_connection(LOOPBACK, self._port)
                except OSError:
                    await asyncio.sleep(POLL_SECONDS)
                else:
                    writer.close()
                    return

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(HANGING)
