"""YAML that people write, and that nobody should."""

from pathlib import Path

import pytest
from node_fsm_sandbox.node.schema import SchemaError
from node_fsm_sandbox.node.yaml_file import read_yaml


def read(directory: Path, text: str) -> object:
    file = directory / "config.yaml"
    file.write_text(text)
    return read_yaml(file)


def test_words_that_older_versions_take_for_values(tmp_path: Path) -> None:
    text = "{storage: 2024-13-45, day: 2024-01-31, answer: yes}"
    assert read(tmp_path, text) == {"storage": "2024-13-45", "day": "2024-01-31", "answer": "yes"}


@pytest.mark.parametrize("text", ["storage: 0b_", "storage: !!timestamp 2024-13-45", "[" * 5000])
def test_what_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SchemaError):
        read(tmp_path, text)
