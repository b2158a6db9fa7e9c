"""Bech32 text, by the vectors of BIP-173 and by properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_fsm.chain import bech32

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
prefixes = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20).map(str.lower)


@pytest.mark.parametrize(
    ("text", "prefix", "data"),
    [
        ("A12UEL5L", "a", ""),
        ("a12uel5l", "a", ""),
        (
            "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
            "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
            "",
        ),
        ("abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "abcdef", "00443214c74254b635cf84653a56d7c675be77df"),
        ("?1ezyfcl", "?", ""),
    ],
)
def test_standard_vectors_are_read(text: str, prefix: str, data: str) -> None:
    assert bech32.decode(text) == (prefix, bytes.fromhex(data))
    assert bech32.encode(prefix, bytes.fromhex(data)) == text.lower()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no separator"),
        ("pzry9x0s0muk", "no separator"),
        ("1pzry9x0s0muk", "no human-readable part"),
        ("10a06t8", "no human-readable part"),
        ("x1b4n0q5v", "character 3 "),
        ("li1dgmt3", "1 characters too early"),
        ("A1G7SGD8", "wrong checksum"),
        ("a12UEL5L", "mixes"),
        ("de1lg7wt\xff", "beyond ASCII"),
        ("\u212a12uel5l", "beyond ASCII"),
        ("\x201nwldj5", "no spaces"),
        ("\x7f1axkwrx", "printable"),
        ("a12uel5 ", "character 8 "),
        ("A1LQFN3A", "wrong checksum"),  # a text of the later bech32m
        ("a1q3g6mn3", "padding"),  # five zero bits that belong to no byte
        ("a1llttal5m", "padding"),  # a byte and two bits that are not zero
        ("a1qqqd87cpp", "padding"),  # a byte and seven zero bits
    ],
)
def test_invalid_texts_say_what_is_wrong(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        bech32.decode(text)


@pytest.mark.parametrize("prefix", ["", "with space", "Upper", "ümlaut", "bell\a"])
def test_a_prefix_that_could_not_be_read_back_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="human-readable part"):
        bech32.encode(prefix, b"data")


@given(prefixes, st.binary(max_size=300))
def test_what_is_encoded_is_decoded(prefix: str, data: bytes) -> None:
    text = bech32.encode(prefix, data)
    assert bech32.decode(text) == (prefix, data)
    assert bech32.decode(text.upper()) == (prefix, data)


@given(st.binary(max_size=50), st.data())
def test_a_mistyped_character_is_noticed(data: bytes, draw: st.DataObject) -> None:
    text = bech32.encode("ta", data)
    position = draw.draw(st.integers(min_value=3, max_value=len(text) - 1))
    other = draw.draw(st.sampled_from([char for char in ALPHABET if char != text[position]]))
    with pytest.raises(ValueError, match="checksum"):
        bech32.decode(text[:position] + other + text[position + 1 :])


@given(st.binary(min_size=1, max_size=40), st.integers(min_value=3))
def test_a_refusal_does_not_repeat_what_may_be_a_secret(data: bytes, length: int) -> None:
    text = bech32.encode("ed25519_sk", data)
    cut = text[: length % len(text)]
    with pytest.raises(ValueError, match="bech32") as caught:
        bech32.decode(cut)
    assert len(cut) < 20 or cut[11:] not in str(caught.value)
