"""Documents say the same as YAML and as JSON, and words are numbers only where numbers are expected."""

import pytest
from node_fsm_sandbox.jcli.documents import DocumentError, Plain, parse


@pytest.mark.parametrize(
    "text", ['{"a": [1, "1", 1.5, null, true]}', "a: [1, '1', 1.5, null, true]", 'a:\n- 1\n- "1"\n']
)
def test_words_keep_their_spelling(text: str) -> None:
    number, quoted, *_ = parse(text.encode()).field("a").items()
    assert (number.number(8), quoted.text()) == (1, "1")
    assert (number.path, quoted.path) == ("a[0]", "a[1]")
    with pytest.raises(DocumentError, match=r'^a\[1\]: invalid type: string "1", expected u8$'):
        quoted.number(8)


def test_numbers_have_sizes() -> None:
    node = parse(b"[255, 256, -1, 1.0]")
    fits, *others = node.items()
    assert fits.number(8) == 255
    for other in others:
        with pytest.raises(DocumentError):
            other.number(8)


def test_nothing_is_what_yaml_calls_so() -> None:
    values = parse(b"[null, ~, 'null', '', x]").items()
    assert [value.is_null() for value in values] == [True, True, False, False, False]
    assert parse(b"a:").field("a").is_null()
    assert parse(b'{"a": null}').field("a").is_null()


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "a: 1\na: 2"])
def test_no_field_twice(text: str) -> None:
    with pytest.raises(DocumentError, match="duplicate field `a`"):
        parse(text.encode())


@pytest.mark.parametrize("text", ["a: b: c", "{", "- a\nb", "{[a]: b}", "a: !!python/name:os.system"])
def test_what_is_no_document(text: str) -> None:
    with pytest.raises(DocumentError):
        parse(text.encode()).field("b")


def test_fields() -> None:
    node = parse(b"{outer: {inner: 1}}")
    outer = node.field("outer")
    assert outer.field("inner").path == "outer.inner"
    assert outer.optional("other") is None
    with pytest.raises(DocumentError, match="outer: missing field `other`"):
        outer.field("other")
    with pytest.raises(DocumentError, match="outer: unknown field `inner`, expected `a` or `b`"):
        outer.only(["a", "b"])
    with pytest.raises(DocumentError, match="outer: unknown field `inner`, expected one of `a`, `b`, `c`"):
        outer.only(["a", "b", "c"])
    assert isinstance(outer.field("inner").value, Plain)
