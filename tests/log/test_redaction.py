"""The last line of defence: a secret that came into a record does not come out of it."""

import io
import logging
import time

import pytest
from loguru import logger

from node_fsm.core.secret import Secret
from node_fsm.log import configure_logging, redact
from tests.log.conftest import Log

KEY = "ed25519_sk1tgl58ncgcgzqfa6zc7y8ymc2n5txqk4u5yl6fgjm6mqcqc0t8sq3kq0wz"


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        (KEY, "ed25519_sk1***"),
        (KEY.upper(), "ED25519_sk1***"),
        ("ed25519e_sk1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0jq", "ed25519e_sk1***"),
        ("ristretto255_membersk1qqqsyqcyq5rqwzqfpg9scrgwpug", "ristretto255_membersk1***"),
        ("ristretto255_vcommsk1qqqsyqcyq5rqwzqfpg9scrgwpug", "ristretto255_vcommsk1***"),
        ("postgresql+asyncpg://fsm:p4ss@db/elections", "postgresql+asyncpg://fsm:***@db/elections"),
        ("postgresql://:p4ss@db", "postgresql://:***@db"),
        ("https://user:p4ss/w0rd@s3:9000/b", "https://user:***@s3:9000/b"),
        ("postgresql:///e?host=/s&password=p4ss&ssl=require", "postgresql:///e?host=/s&password=***&ssl=require"),
    ],
)
def test_what_is_secret_is_replaced(secret: str, shown: str) -> None:
    assert redact(f"before {secret}, {secret!r} after") == f"before {shown}, '{shown}' after"


@pytest.mark.parametrize(
    "harmless",
    [
        "ed25519_pk1tgl58ncgcgzqfa6zc7y8ymc2n5txqk4u5yl6fgjm6mqcqc0t8sq3kq0wz",
        "http://127.0.0.1:10080/api/v0/node/stats",
        "s3://keys/leader0.sk1",
        "/ip4/10.0.0.7/tcp/10090",
        "write to person@example.org",
    ],
)
def test_what_is_not_stays(harmless: str) -> None:
    assert redact(harmless) == harmless


@pytest.mark.parametrize("text", ["_sk1" * 20_000, "://a:" * 16_000, "a" * 65_536, "://" + "a" * 65_536])
def test_no_text_takes_long(text: str) -> None:
    start = time.thread_time()  # the machine may be busy with something else
    redact(text)
    assert time.thread_time() - start < 2


def raise_with(text: str) -> None:
    raise ValueError(f"cannot read {text}")


def chained() -> None:
    try:
        raise_with(KEY)
    except ValueError as error:
        raise RuntimeError("while signing") from error


def local_variable() -> None:
    key = KEY
    assert key == "", "the key is not empty"


def log_in_message() -> None:
    logger.info(f"the key is {KEY}")


def log_in_bound_value() -> None:
    logger.bind(key=KEY, nested={"keys": [KEY]}).info("a key")


def log_in_exception() -> None:
    try:
        raise_with(KEY)
    except ValueError:
        logger.exception("failed")


def log_in_chained_exception() -> None:
    try:
        chained()
    except RuntimeError:
        logger.exception("failed")


def log_in_variable_of_a_traceback() -> None:
    try:
        local_variable()
    except AssertionError:
        logger.opt(exception=True).error("failed")


def log_in_stdlib_arguments() -> None:
    logging.getLogger("lib").warning("key %s of %s", KEY, {"key": KEY})


def log_in_stdlib_exception() -> None:
    try:
        chained()
    except RuntimeError:
        logging.getLogger("lib").exception("failed")


def log_in_stdlib_arguments_that_do_not_fit() -> None:
    logging.getLogger("lib").warning("key %d", KEY)


@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.parametrize(
    "log_it",
    [
        log_in_message,
        log_in_bound_value,
        log_in_exception,
        log_in_chained_exception,
        log_in_variable_of_a_traceback,
        log_in_stdlib_arguments,
        log_in_stdlib_exception,
        log_in_stdlib_arguments_that_do_not_fit,
    ],
)
@pytest.mark.usefixtures("restored_logging")
def test_a_key_comes_out_of_no_record(log_it: object, format_: str, capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    configure_logging("TRACE", "json" if format_ == "json" else "text", stream)
    assert callable(log_it)
    log_it()
    captured = capfd.readouterr()
    assert stream.getvalue()
    assert KEY[12:] not in stream.getvalue() + captured.out + captured.err


def test_a_wrapped_secret_prints_as_asterisks(log: Log) -> None:
    logger.bind(key=Secret("any text at all")).info(f"{Secret('any text at all')}")
    assert "any text" not in log.text
