"""The manifest: one form, every byte of it guarded."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from node_fsm.archive.manifest import Manifest, ManifestError, ResultEntry, is_archived, results_hash
from tests.archive.helpers import ARCHIVED, LEFT_OUT, PRIVATE, PUBLIC, manifest_of

MANIFEST = manifest_of(b"tar", {"block0.bin": b"block", "record/stats.json": b"{}"}).model_copy(
    update={
        "results": tuple(map(ResultEntry.of, (PUBLIC, PRIVATE))),
        "results_hash": results_hash((PUBLIC, PRIVATE)),
        "notes": ("größer\n",),
    }
)
TEXT = MANIFEST.render()


def refusal(text: bytes) -> str:
    with pytest.raises(ManifestError) as caught:
        Manifest.parse(text)
    return str(caught.value)


def sealed(**changes: Any) -> bytes:
    """The text of a manifest with a true seal whose members were changed."""
    return MANIFEST.model_copy(update=changes).render()


def test_it_is_read_as_it_was_written() -> None:
    assert Manifest.parse(TEXT) == MANIFEST
    assert list(json.loads(TEXT))[-1] == "seal"


def test_every_changed_byte_is_found() -> None:
    for position in range(len(TEXT)):
        for change in (1, 0x20):
            changed = bytearray(TEXT)
            changed[position] ^= change
            assert refusal(bytes(changed))


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"[]", b"null", TEXT[:-1], TEXT + b" ", b"[" * 100_000, b'{"format":1e999}', b"\xff", b'"\\ud800"'],
)
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    assert "manifest.json" in refusal(text)


def test_a_member_too_many_is_refused() -> None:
    document = json.loads(TEXT)
    assert "more" in refusal(json.dumps(document | {"more": 1}).encode())
    document["tip"]["more"] = 1
    assert "tip.more" in refusal(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("format", 2),
        ("kind", "last"),
        ("election", {"id": "12", "name": "fund9"}),
        ("block0_hash", "A" * 64),
        ("tip", {"hash": "0" * 64, "date": "0", "height": 0}),
        ("tip", {"hash": "0" * 64, "date": "0.0", "height": -1}),
        ("tar", {"name": "../other", "bytes": 1, "sha256": "0" * 64}),
        ("results", [{"plan_id": "0" * 64, "votes": [[1.5]], "fragment_id": None, "on_chain": False}]),
        ("notes", "text"),
    ],
)
def test_a_wrong_value_is_named(member: str, value: object) -> None:
    assert f"manifest.json, {member}" in refusal(json.dumps(json.loads(TEXT) | {member: value}).encode())


@pytest.mark.parametrize(
    "names", [["node.yaml", "block0.bin"], ["node.yaml", "node.yaml"], ["../node.yaml"], ["/etc/passwd"], ["key.sk"]]
)
def test_files_are_in_order_and_of_known_names(names: list[str]) -> None:
    files = [{"name": name, "bytes": 0, "sha256": "0" * 64} for name in names]
    assert "manifest.json, files" in refusal(json.dumps(json.loads(TEXT) | {"files": files}).encode())


def test_a_true_seal_does_not_cover_for_a_wrong_results_hash() -> None:
    assert "results_hash" in refusal(sealed(results_hash="0" * 64))
    assert "results_hash" in refusal(sealed(results=None))


def test_the_results_hash_is_of_the_results_alone() -> None:
    text = f'[{{"fragment_id":"{PUBLIC.fragment_id}","on_chain":true,"plan_id":"{PUBLIC.plan_id}"'
    text += ',"votes":[[0,35,300],[15,0]]}]'
    assert results_hash((PUBLIC,)) == sha256(text.encode()).hexdigest()
    assert results_hash((replace(PUBLIC, on_chain=False),)) != results_hash((PUBLIC,))
    assert results_hash(()) != results_hash((PUBLIC,))


def test_what_is_archived_is_listed_by_name() -> None:
    assert all(map(is_archived, ARCHIVED))
    assert not any(map(is_archived, LEFT_OUT | {"", "block0.bin\n", "record/../key.json", "./block0.bin"}))
