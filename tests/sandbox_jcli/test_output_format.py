"""Answers are printed so that they are read as what they were."""

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from node_fsm_sandbox.jcli.errors import CommandError
from node_fsm_sandbox.jcli.output_format import formatted, yaml_text

PRINTABLE = st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")) | st.sampled_from("\t\n")
_ONLY_IN_YAML_1_1 = re.compile(r"[-+]?0b[01_]+|[-+]?[\d_.]*_[\d_.]*|\d{4}-\d\d?-\d.*", re.DOTALL)
"""Numbers and dates to PyYAML, and words to jcli, which therefore prints them without quotes."""


def texts(characters: st.SearchStrategy[str] | str, size: int) -> st.SearchStrategy[str]:
    return st.text(characters, max_size=size).filter(lambda text: not _ONLY_IN_YAML_1_1.fullmatch(text))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**64 - 1) | texts(PRINTABLE, 8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts("abc01.-", 4), inner, max_size=3),
    max_leaves=12,
)


@given(VALUES)
def test_yaml_reads_back(value: object) -> None:
    assert yaml.safe_load(yaml_text(value)) == value


@given(VALUES)
def test_json_reads_back(value: object) -> None:
    assert json.loads(formatted(value, "json")) == value


@pytest.mark.parametrize(
    "word", ["1", "0.1", "1e3", "true", "no", "~", "null", "", "a: b", "0x1", "-", "- a", " a", "é\n"]
)
def test_words_that_need_quotes(word: str) -> None:
    assert yaml_text([word]) == f"---\n- {json.dumps(word, ensure_ascii=False)}\n"


@pytest.mark.parametrize(
    "word", ["a", "1.2.3", "ab1", "0b1", "2026-11-23T20", "é", "a b", f"{'0' * 56}.7075626c696331x"]
)
def test_words_that_do_not(word: str) -> None:
    assert yaml_text([word]) == f"---\n- {word}\n"


def test_names_of_formats() -> None:
    assert formatted({"b": 1, "a": 2}, " JSON ") == '{\n  "a": 2,\n  "b": 1\n}'
    assert formatted({"b": 1, "a": 2}, "Yaml") == "---\na: 2\nb: 1\n"
    with pytest.raises(CommandError):
        formatted({}, "{{.a}}")
