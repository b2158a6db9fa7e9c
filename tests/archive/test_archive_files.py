"""What of a chain's directory is archived, and what never is."""

from pathlib import Path

import pytest

from node_fsm.archive.contents import files_to_archive, refuse_secrets
from node_fsm.core.errors import PermanentError
from tests.archive.helpers import ARCHIVED, make_chain


def test_only_listed_files_are_taken(tmp_path: Path) -> None:
    assert files_to_archive(make_chain(tmp_path)) == sorted(ARCHIVED)


def test_a_directory_may_have_none_of_them(tmp_path: Path) -> None:
    assert files_to_archive(tmp_path) == []


def test_it_may_be_reached_through_a_link(tmp_path: Path) -> None:
    make_chain(tmp_path / "chain")
    (tmp_path / "link").symlink_to("chain")
    assert files_to_archive(tmp_path / "link") == sorted(ARCHIVED)


@pytest.mark.parametrize("name", ["node.yaml", "record/stats.json", "plans"])
def test_a_link_is_refused(tmp_path: Path, name: str) -> None:
    path = make_chain(tmp_path / "chain") / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermanentError, match=name) as caught:
        files_to_archive(tmp_path / "chain")
    assert caught.value.reason == "ArchiveFileRefused"


def test_a_directory_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").mkdir()
    with pytest.raises(PermanentError, match=r"node\.yaml"):
        files_to_archive(tmp_path)


@pytest.mark.parametrize(
    "secret",
    ["ed25519_sk1qqq", "ed25519e_sk1qqq", "ED25519_SK1QQQ", "ristretto255_membersk1qqq", "ristretto255_vcommsk1qqq"],
)
@pytest.mark.parametrize("name", ["node.yaml", "genesis.json", "plans/plan-0.cert", "record/stats.json"])
def test_a_secret_key_is_found_and_not_shown(tmp_path: Path, name: str, secret: str) -> None:
    path = make_chain(tmp_path) / name
    path.write_text(f'{{"key": "{secret}"}}')
    with pytest.raises(PermanentError, match=name) as caught:
        refuse_secrets(tmp_path, sorted(ARCHIVED))
    assert secret not in str(caught.value)


@pytest.mark.parametrize("position", range(2**20 - 14, 2**20 + 2))
def test_a_secret_key_is_found_across_what_is_read_at_once(tmp_path: Path, position: int) -> None:
    (tmp_path / "genesis.json").write_bytes(b" " * position + b"ed25519_sk1" + b" " * 100)
    with pytest.raises(PermanentError, match=r"genesis\.json"):
        refuse_secrets(tmp_path, ["genesis.json"])


def test_public_keys_are_no_secret(tmp_path: Path) -> None:
    make_chain(tmp_path)
    (tmp_path / "genesis.json").write_text("ed25519_pk1qqq ca1qqq ristretto255_memberpk1qqq")
    refuse_secrets(tmp_path, sorted(ARCHIVED))
