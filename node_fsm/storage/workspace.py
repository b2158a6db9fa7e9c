"""The service's own directory: one subdirectory per election, and in it one per block 0.

::

    <root>/lock                            held while a service uses the directory
    <root>/instance                        names the directory in the lease
    <root>/elections/<id>/draft/           plans and genesis before publication; made again after a crash
    <root>/elections/<id>/<block 0 hash>/  a chain: see ChainDirectory
    <root>/decryption-speed.json           how fast private votes are opened here
    <root>/set-aside/...                   chains that no archive covered, until archives have all of their votes

Directories are 0700, files 0600.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from errno import EINVAL
from pathlib import Path
from uuid import uuid4

from node_fsm.core.errors import PermanentError
from node_fsm.core.view import LocalChain
from node_fsm.storage.files import make_private, move, write_private

DRAFT = "draft"
DRY_RUN = "dry-run"


@dataclass(frozen=True, slots=True)
class ChainDirectory:
    """The files of one chain, or of one that is being prepared."""

    path: Path

    @property
    def genesis(self) -> Path:
        """What jcli was given to encode."""
        return self.path / "genesis.json"

    @property
    def plans(self) -> Path:
        """Vote plans and their certificates."""
        return self.path / "plans"

    @property
    def block0(self) -> Path:
        return self.path / "block0.bin"

    @property
    def blocks(self) -> Path:
        """Our copy of the chain, genesis first: raw blocks one after the other."""
        return self.path / "blocks.bin"

    @property
    def storage(self) -> Path:
        """The node's own store."""
        return self.path / "storage"

    @property
    def held(self) -> Path:
        """A mark in the node's store: there since a node ran on it with blocks after block 0.

        A node that only waits for its peers makes a store too; without this mark there is nothing of the chain in it.
        """
        return self.storage / "held"

    @property
    def is_held(self) -> bool:
        """Whether blocks after block 0 are in the node's store."""
        return self.held.exists()

    def mark_held(self) -> None:
        """Note that the node runs with blocks after block 0. Without store or space for it there is no mark."""
        if not self.is_held:
            with suppress(OSError):
                self.held.touch(mode=0o600)

    @property
    def publication(self) -> Path:
        """What was published with block 0, to publish it again should the database lose it."""
        return self.path / "publication.json"

    @property
    def tally_disputed(self) -> Path:
        """Says why no majority of the leaders confirmed the chain whose votes are counted; absent when one did."""
        return self.path / "tally-disputed"

    @property
    def fragments(self) -> Path:
        """The node's persistent log of what was posted to it."""
        return self.path / "fragments"

    @property
    def node_config(self) -> Path:
        return self.path / "node.yaml"

    @property
    def record(self) -> Path:
        """What the node said at the end of the election."""
        return self.path / "record"

    @property
    def tally(self) -> Path:
        """Of each private plan its decryption shares, and what they open."""
        return self.path / "tally"

    @property
    def record_block(self) -> Path:
        """Names the block after the end of voting at which the record was made."""
        return self.path / "record-block"

    @property
    def staging(self) -> Path:
        """Scratch files of transactions."""
        return self.path / "staging"

    @property
    def has_blocks(self) -> bool:
        """Whether a node ever ran on this chain here."""
        return self.blocks.exists() or self.storage.exists()


class Workspace:
    """The local data of all elections."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._elections = root / "elections"
        self._set_aside = root / "set-aside"

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Hold the directory against other services; the lock goes with the process, however that ends."""
        with self._usable():
            make_private(self._set_aside)  # now, because a chain must be set aside also when the disk is full
            lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with self._usable():
                _lock(lock, self.root)
            yield
        finally:
            os.close(lock)

    @property
    def decryption_speed(self) -> Path:
        """How fast private votes are opened here, as it was measured."""
        return self.root / "decryption-speed.json"

    @property
    def instance(self) -> str:
        """A name of this directory that survives restarts."""
        file = self.root / "instance"
        with self._usable():
            if file.exists() and not file.is_file():  # reading a pipe would wait for ever
                raise OSError(EINVAL, "is no ordinary file", str(file))
            with suppress(FileNotFoundError):
                if name := file.read_text().strip():
                    return name
            write_private(file, uuid4().hex.encode())
            return file.read_text()

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Say what is wrong with the directory as a whole, which the service has to have before it can begin."""
        try:
            yield
        except UnicodeDecodeError as error:
            raise PermanentError(
                "DiskUnusable",
                f"NODE_FSM_STORAGE_DIR: {self.root / 'instance'} is damaged; put back what stood there, or remove it"
                " to have the directory count as a new one",
            ) from error
        except OSError as error:
            raise PermanentError(
                "DiskUnusable",
                f"NODE_FSM_STORAGE_DIR: {self.root} cannot be used: {error.strerror} ({error.filename or self.root});"
                " give it a directory that this user may write into, with space left",
            ) from error

    def chains(self) -> tuple[LocalChain, ...]:
        """What is here of which election, drafts included; an election's empty directory counts as a draft."""
        found = []
        for election in sorted(_subdirectories(self._elections)):
            if not election.name.isdigit():
                continue
            hashes = [path for path in sorted(_subdirectories(election)) if path.name not in {DRAFT, DRY_RUN}]
            found += [_local(int(election.name), ChainDirectory(path)) for path in hashes]
            if not hashes:
                found.append(LocalChain(int(election.name), None, has_blocks=False))
        return tuple(found)

    def chain(self, election_id: int, block0_hash: str) -> ChainDirectory:
        """The directory of one chain, whether or not it exists."""
        return ChainDirectory(self._elections / str(election_id) / block0_hash)

    def new_draft(self, election_id: int, *, dry_run: bool = False) -> ChainDirectory:
        """An empty directory to prepare a chain in; what an earlier attempt left there is removed."""
        path = self._elections / str(election_id) / (DRY_RUN if dry_run else DRAFT)
        shutil.rmtree(path, ignore_errors=True)
        draft = ChainDirectory(path)
        make_private(draft.plans)
        return draft

    def draft(self, election_id: int) -> ChainDirectory:
        """The directory that :meth:`new_draft` made."""
        return ChainDirectory(self._elections / str(election_id) / DRAFT)

    def adopt_draft(self, election_id: int, block0_hash: str) -> ChainDirectory:
        """Make the draft the directory of the chain that was published from it."""
        chain = self.chain(election_id, block0_hash)
        move(self.draft(election_id).path, chain.path)
        return chain

    def remove(self, local: LocalChain) -> None:
        """Delete a chain's directory, or an election's drafts, and the election's directory once it is empty."""
        election = self._elections / str(local.election_id)
        if local.block0_hash:
            shutil.rmtree(election / local.block0_hash)
        if not [path for path in _subdirectories(election) if path.name not in {DRAFT, DRY_RUN}]:
            shutil.rmtree(election)

    def set_aside(self, local: LocalChain, now: datetime) -> Path:
        """Move a chain that no archive covers out of the way; needs no space on the disk."""
        make_private(self._set_aside)
        name = f"{local.election_id}-{(local.block0_hash or DRAFT)[:8]}-{now:%Y%m%dT%H%M%SZ}"
        target = self._set_aside / name
        election = self._elections / str(local.election_id)
        move(election / (local.block0_hash or DRAFT), target)
        if not [path for path in _subdirectories(election) if path.name not in {DRAFT, DRY_RUN}]:
            shutil.rmtree(election)
        return target

    def remove_set_aside(self, directory: Path) -> None:
        """Delete what :meth:`set_aside_chains` named."""
        shutil.rmtree(self._set_aside / directory.name)

    def set_aside_chains(self) -> tuple[Path, ...]:
        """What was set aside, oldest first."""
        return tuple(sorted(_subdirectories(self._set_aside), key=lambda path: path.name.rsplit("-", 1)[-1]))


def _local(election_id: int, chain: ChainDirectory) -> LocalChain:
    return LocalChain(
        election_id,
        chain.path.name,
        chain.has_blocks,
        is_recorded=chain.record.exists(),
        has_publication=chain.publication.exists(),
    )


def _lock(descriptor: int, root: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermanentError(
            "StorageInUse", f"another service uses {root}; stop it, or give this one its own NODE_FSM_STORAGE_DIR"
        ) from None


def _subdirectories(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return [path / entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return []
