"""Addresses and public keys, against texts that jcli printed."""

import os
from pathlib import Path

import pytest

from node_fsm.chain import bech32
from node_fsm.chain.address import (
    account_address,
    ed25519_public_key,
    ed25519_public_key_text,
    parse_account_address,
)
from tests.chain.recording import Jcli

KEY_TEXT = "ed25519_pk1mwcyqy3tk8egc3gj3hyd2xkyzxg0900sc6qhpsl23x7uaulkkwkq9kerfx"
KEY = bytes.fromhex("dbb040122bb1f28c45128dc8d51ac41190f2bdf0c68170c3ea89bdcef3f6b3ac")
PRODUCTION = "ca1qhdmqsqj9wcl9rz9z2xu34g6csgepu4a7rrgzuxra2ymmnhn76e6cya7qlf"
TEST = "ta1shdmqsqj9wcl9rz9z2xu34g6csgepu4a7rrgzuxra2ymmnhn76e6c04p4jn"
TEST_AS_GENESIS_DECODE_PRINTS_IT = "ca1shdmqsqj9wcl9rz9z2xu34g6csgepu4a7rrgzuxra2ymmnhn76e6ccfyz29"


def test_public_keys_are_read_and_written() -> None:
    assert ed25519_public_key(KEY_TEXT) == KEY
    assert ed25519_public_key_text(KEY) == KEY_TEXT


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (bech32.encode("ed25519_sk", KEY), "not a text of kind ed25519_sk"),
        (bech32.encode("ed25519_pk", KEY[:-1]), "holds 31"),
        (KEY_TEXT[:-1], "checksum"),
    ],
)
def test_what_is_no_public_key_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        ed25519_public_key(text)


def test_account_addresses_are_those_of_jcli() -> None:
    assert account_address(KEY, production=True) == PRODUCTION
    assert account_address(KEY, production=False) == TEST


def test_account_addresses_are_read_back() -> None:
    assert parse_account_address(PRODUCTION) == (KEY, True)
    assert parse_account_address(TEST) == (KEY, False)
    assert parse_account_address(TEST_AS_GENESIS_DECODE_PRINTS_IT) == (KEY, False)


@pytest.mark.parametrize("data", [b"", b"\x05", b"\x05" + KEY + b"\0", b"\x03" + KEY, b"\x84" + KEY + KEY])
def test_other_kinds_of_address_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not the address of an account"):
        parse_account_address(bech32.encode("ca", data))


def test_a_key_of_another_size_has_no_address() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 33"):
        account_address(KEY + b"\0", production=True)


@pytest.mark.real
def test_jcli_makes_the_same_addresses(real_jcli: str, tmp_path: Path) -> None:
    jcli = Jcli(real_jcli, tmp_path)
    for _ in range(5):
        key = os.urandom(32)
        text = ed25519_public_key_text(key)
        assert account_address(key, production=True) == jcli("address", "account", "--prefix", "ca", text)
        assert account_address(key, production=False) == jcli("address", "account", "--testing", "--prefix", "ta", text)
