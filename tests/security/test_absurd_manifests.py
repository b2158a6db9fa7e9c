"""Manifests that say absurd things with a true seal: `verify` and `archive get` say what is wrong, and soon."""

import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node_fsm.archive.check import Check
from node_fsm.archive.fetch import fetch_archive
from node_fsm.archive.manifest import Manifest
from node_fsm.archive.verify import verify_directory, verify_uri
from node_fsm.core.errors import PermanentError
from tests.archive.helpers import MemoryStore
from tests.archive.test_hostile_archives import unpacked
from tests.security.hostile import damaged

__all__ = ["unpacked"]  # a fixture

URI = "s3://bucket/elsewhere"
TAR = zstandard.ZstdCompressor().compress(bytes(4096))


def sealed(document: Any) -> bytes:
    """A manifest's text with the seal that fits it, and the hash of its results."""
    if isinstance(document, dict):
        document.pop("seal", None)
        if isinstance(document.get("results"), list):
            compact = json.dumps(document["results"], sort_keys=True, separators=(",", ":"))
            document["results_hash"] = sha256(compact.encode()).hexdigest()
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        document = document | {"seal": sha256(text.encode(errors="surrogatepass")).hexdigest()}
    return json.dumps(document, indent=2, ensure_ascii=False).encode(errors="surrogatepass") + b"\n"


def test_what_is_sealed_here_is_a_manifest(unpacked: Path) -> None:
    text = (unpacked / "manifest.json").read_bytes()
    assert Manifest.parse(sealed(json.loads(text))).render() == text


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_whatever_a_manifest_says_is_checked_to_its_end(unpacked: Path, data: st.DataObject) -> None:
    whole = unpacked.parent / "whole.json"
    if not whole.exists():
        (unpacked / "manifest.json").rename(whole)
    text = sealed(data.draw(damaged(json.loads(whole.read_bytes()))))
    (unpacked / "manifest.json").write_bytes(text)
    assert await checks(verify_directory(unpacked, unpacked.parent))


async def checks(found: AsyncIterator[Check]) -> list[Check]:
    """What was checked, up to what cannot be."""
    try:
        return [check async for check in found]
    except PermanentError as error:
        return [Check("archive", ok=False, detail=error.message)]


@pytest.mark.parametrize("bits", [33, 63, 96, 8000])
@pytest.mark.parametrize("name", ["node.yaml", "blocks.bin", "record/tip.txt"])
async def test_sizes_beyond_all_limits_are_said_to_be_wrong(
    unpacked: Path, tmp_path: Path, bits: int, name: str
) -> None:
    """The file is the first of the archive, and the only one."""
    document = json.loads((unpacked / "manifest.json").read_bytes())
    document |= {"kind": "salvage", "files": [{"name": name, "bytes": 2**bits, "sha256": "0" * 64}]}
    store = MemoryStore()
    store.objects = {f"{URI}/manifest.json": sealed(document), f"{URI}/archive.tar.zst": TAR}
    assert not all(check.ok for check in await checks(verify_uri(store, URI, tmp_path)))
    document["tar"] = {"name": "archive.tar.zst", "bytes": 2**bits, "sha256": "0" * 64}
    store.objects[f"{URI}/manifest.json"] = sealed(document)
    with pytest.raises(PermanentError):
        await fetch_archive(store, URI, tmp_path / "got", lambda _done, _total: None)
    assert not list(tmp_path.glob("got/*"))
