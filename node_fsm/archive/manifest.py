"""``manifest.json``: what an archive holds and what it says about its election.

A manifest has one form only, so that one changed byte is found: its text is rebuilt from what was read and compared,
and its last member, ``seal``, is the sha256 of all the others.
"""

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from node_fsm.core.model import ArchiveKind, PlanResult

MANIFEST_NAME: Final = "manifest.json"
TAR_NAME: Final = "archive.tar.zst"
MAX_MANIFEST_BYTES = 16 * 2**20

# Plans are numbered as in block 0, shares as the plan's member keys, both from 0.
_ARCHIVED = re.compile(
    r"block0\.bin|blocks\.bin|genesis\.json|node\.yaml"
    r"|plans/plan-[0-9]+\.(json|cert|signed)"
    r"|fragments/[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}\.log"
    r"|record/[A-Za-z0-9][A-Za-z0-9_.-]*\.(json|txt)"
    r"|tally/plan-[0-9]+/(share-[0-9]+|merged|result)\.json"
)


class ManifestError(ValueError):
    """A text that is no manifest, or one that was changed after it was written."""


def is_archived(name: str) -> bool:
    """Whether an archive may hold the file *name*, a path relative to the chain's directory.

    A list of what is taken, not of what is left out: a secret that strays into the directory stays there.
    """
    return _ARCHIVED.fullmatch(name) is not None


def results_hash(results: Sequence[PlanResult]) -> str:
    """The sha256 of *results* as JSON without white space, members in alphabetical order."""
    return _results_hash([ResultEntry.of(result) for result in results])


def _archived(name: str) -> str:
    if not is_archived(name):
        raise ValueError(f"{name!r} is not the name of a file that archives hold")
    return name


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Hash = Sha256
"""A block's hash or a plan's id, in hex."""

Count = Annotated[int, Field(ge=0, lt=2**64)]
"""Of bytes, blocks or votes: none has more on any chain, or in any tar."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Election(_Part):
    """Which election the chain was made for."""

    id: int
    name: str


class Tip(_Part):
    """The last block of a chain; *date* is ``epoch.slot``."""

    hash: Hash
    date: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+$")]
    height: Count


class ResultEntry(_Part):
    """The counted votes of one plan, as :class:`~node_fsm.core.model.PlanResult` has them."""

    plan_id: Hash
    votes: tuple[tuple[Count, ...], ...]
    fragment_id: Hash | None
    on_chain: bool

    @classmethod
    def of(cls, result: PlanResult) -> Self:
        """The entry that says what *result* does."""
        return cls(plan_id=result.plan_id, votes=result.votes, fragment_id=result.fragment_id, on_chain=result.on_chain)


class Versions(_Part):
    """What made the chain and the archive; None where it is not known."""

    service: str
    jormungandr: str | None
    jcli: str | None


class TarEntry(_Part):
    """The archive's one object beside the manifest."""

    name: Literal["archive.tar.zst"]
    bytes: Count
    sha256: Sha256


class FileEntry(_Part):
    """A file in the tar."""

    name: Annotated[str, AfterValidator(_archived)]
    bytes: Count
    sha256: Sha256


def _ascending(files: tuple[FileEntry, ...]) -> tuple[FileEntry, ...]:
    names = [file.name for file in files]
    if names != sorted(set(names)):
        raise ValueError("the files are not in alphabetical order, each once")
    return files


class Manifest(_Part):
    """The commit of an archive.

    *results* are None when there are none, and *untallied* then says why. *fingerprint* is that of the specification
    which block 0 was built from, None when it is not known.
    """

    format: Literal[1]
    kind: ArchiveKind
    election: Election
    block0_hash: Hash
    tip: Tip
    vote_plan_ids: tuple[Hash, ...]
    results: tuple[ResultEntry, ...] | None
    results_hash: Sha256 | None
    untallied: str | None
    fingerprint: str | None
    versions: Versions
    created_at: str
    tar: TarEntry
    files: Annotated[tuple[FileEntry, ...], AfterValidator(_ascending)]
    notes: tuple[str, ...]

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read a manifest; ManifestError when *text* is none, or is not exactly as :meth:`render` wrote it."""
        try:
            document = json.loads(text)
            if isinstance(document, dict):
                document.pop("seal", None)  # rendering makes it anew
            manifest = cls.model_validate_json(json.dumps(document))
            rendered = manifest.render()
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise ManifestError(f"{MANIFEST_NAME}, {where}: {first['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"{MANIFEST_NAME} is not readable: {error}") from error
        if rendered != text:
            raise ManifestError(f"{MANIFEST_NAME} was changed after it was written: its seal does not fit its content")
        if manifest.results_hash != (None if manifest.results is None else _results_hash(manifest.results)):
            raise ManifestError(f"{MANIFEST_NAME}: results_hash is not the hash of the results")
        return manifest

    def render(self) -> bytes:
        """The manifest's one text."""
        document = self.model_dump(mode="json")
        seal = sha256(_text(document)).hexdigest()
        return _text(document | {"seal": seal})


def _text(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _results_hash(results: Sequence[ResultEntry]) -> str:
    document = [result.model_dump(mode="json") for result in results]
    return sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def archive_named(target: str) -> str:
    """The place of the archive that *target* names, a URI or a directory, whether or not by its manifest."""
    return target.removesuffix(f"/{MANIFEST_NAME}").rstrip("/")
