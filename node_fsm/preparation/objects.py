"""What a service needs of S3: its key, and a place for archives that is never written over."""

from datetime import UTC, datetime
from uuid import uuid4

from node_fsm.archive.store import BROKEN_AFTER
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.model import Overview
from node_fsm.core.phases import Role
from node_fsm.ports.object_errors import ObjectMissingError
from node_fsm.preparation.finding import Doubt, NotTriedError
from node_fsm.programs.jcli import Jcli
from node_fsm.s3.trial import TrialStore
from node_fsm.settings.model import Settings
from node_fsm.steps.context import node_of
from node_fsm.steps.readiness import PROBE, PROBE_NAME, write_probe
from node_fsm.steps.signing_key import signing_key


class ObjectChecks:
    """Checks of S3. The archive's are made with one small object, which is taken away again if none was there.

    Nobody need be allowed to delete: then it stays, as the service itself leaves it at its first start.
    """

    def __init__(self, store: TrialStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._is_new = False
        self._is_there = False
        self._is_silent = False

    async def write(self) -> str:
        """Whether an object can be written where none is, and is not written over."""
        uri = self._probe()
        try:
            self._is_new = not await self._holds(uri)
            await write_probe(self._store, uri)
        except TemporaryError:
            self._is_silent = True
            raise
        self._is_there = True
        return f"{uri} is written once, and not over"

    async def read(self) -> str:
        """Whether what is written can be read, whole and in ranges."""
        uri = self._written()
        whole = await self._store.read(uri, 10 * len(PROBE))
        ranges = b"".join([part async for part in self._store.download(uri)])
        if whole != ranges:
            raise PermanentError("S3Differs", f"{uri} read whole and read in ranges differ; use another S3 server")
        return "get, head and ranges of bytes"

    async def missing(self) -> str:
        """Whether an object that is not there is told from one that is forbidden."""
        self._written()
        uri = f"{self._settings.archive_s3_uri}/doctor-{uuid4().hex}"
        try:
            await self._store.read(uri, 1)
        except ObjectMissingError:
            return "what is not there is told so"
        raise PermanentError("S3Differs", f"{uri} is there, although nobody wrote it; use another S3 server")

    async def multipart(self) -> str | Doubt:
        """Whether large objects can be uploaded in parts."""
        if await self._store.try_multipart(self._written(), PROBE):
            return "parts are taken, completed and aborted, and not written over what is there"
        return Doubt(
            "parts are taken, but the server does not refuse to complete them over what is there; archives are looked"
            " for before they are written"
        )

    async def uploads(self) -> str | Doubt:
        """Whether there is anything of uploads that broke off."""
        if self._settings.archive_s3_uri is None:
            raise NotTriedError("NODE_FSM_ARCHIVE_S3_URI is not set: this node archives nothing")
        rule = "a lifecycle rule of the bucket that aborts incomplete multipart uploads"
        try:
            found = await self._store.uploads(f"{self._settings.archive_s3_uri}/", datetime.now(UTC) - BROKEN_AFTER)
        except PermanentError as error:
            return Doubt(f"uploads that broke off cannot be looked for ({error.message}); {rule} ends them")
        if not found:
            return "none that broke off"
        return Doubt(
            f"{len(found)} uploads broke off more than a day ago, that to {found[0].uri} among them, and take up room;"
            f" the next archive ends them, as does {rule}"
        )

    async def leftovers(self) -> str | Doubt:
        """Take away what was written."""
        uri = self._written()
        if not self._is_new:
            return f"{PROBE_NAME} was there before, as the service leaves it"
        if await self.clean():
            return "what was written for these checks is gone"
        return f"{uri} stays, as the service itself writes it at its start: this login may not delete"

    async def clean(self) -> bool:
        """Take away what was written, if it was not there before; whether that is allowed."""
        is_new, self._is_new = self._is_new, False
        return not is_new or await self._store.remove(self._probe())

    async def key(self, overview: Overview | None) -> str:
        """Whether the key fits the row of this node."""
        settings = self._settings
        if overview is None:
            raise NotTriedError("jorm_nodes was not read")
        node = node_of(settings.hostname, overview)
        jcli = Jcli(settings.jcli_path)
        if await signing_key(node, settings.role, settings.signing_key_s3_uri, self._store, jcli) is None:
            return f"{node.hostname} is a follower, and needs none"
        return f"the key at {settings.signing_key_s3_uri} is that of jorm_nodes.leader_id"

    async def member_keys(self) -> str:
        """Whether the committee's keys can be looked for."""
        uri = self._settings.member_keys_s3_uri
        if uri is None or self._settings.role is not Role.LEADER0:
            raise NotTriedError("the members of a private election post their shares themselves")
        return f"{len(await self._store.uris(f'{uri}/'))} objects under {uri}"

    async def _holds(self, uri: str) -> bool:
        """Whether there is an object, as far as the login may know."""
        try:
            await self._store.read(uri, 10 * len(PROBE))
        except ObjectMissingError:
            return False
        except PermanentError:
            pass  # why it cannot be read is said by what comes next
        return True

    def _probe(self) -> str:
        if self._settings.archive_s3_uri is None:
            raise NotTriedError("NODE_FSM_ARCHIVE_S3_URI is not set: this node archives nothing")
        return f"{self._settings.archive_s3_uri}/{PROBE_NAME}"

    def _written(self) -> str:
        uri = self._probe()
        if not self._is_there:
            raise NotTriedError("S3 did not answer" if self._is_silent else "nothing could be written")
        return uri
