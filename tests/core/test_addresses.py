"""Addresses as settings and rows have them: where to listen, where nodes are found, what is in S3."""

import pytest

from node_fsm.core.listen import Listen
from node_fsm.core.multiaddr import Multiaddr
from node_fsm.core.s3_uri import S3Uri


@pytest.mark.parametrize(
    ("text", "host", "port", "multiaddr"),
    [
        ("127.0.0.1:8443", "127.0.0.1", 8443, "/ip4/127.0.0.1/tcp/8443"),
        ("[2001:db8::7]:65535", "2001:db8::7", 65535, "/ip6/2001:db8::7/tcp/65535"),
        ("0.0.0.0:80", "0.0.0.0", 80, None),  # noqa: S104 - nothing is bound
        ("[::]:8443", "::", 8443, None),
    ],
)
def test_where_to_listen(text: str, host: str, port: int, multiaddr: str | None) -> None:
    listen = Listen.parse(text)
    assert (listen, str(listen), listen.multiaddr) == (Listen(host, port), text, multiaddr)


@pytest.mark.parametrize(
    "text",
    [
        *("", "8443", "localhost:8443", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+1", "127.0.0.1: 1"),
        *("::1", "::1:8443", "[::1:8443", "/ip4/127.0.0.1/tcp/1", "127.0.0.1:\u0661"),
    ],
)
def test_what_is_no_place_to_listen(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Listen.parse(text)


@pytest.mark.parametrize(
    ("text", "kind", "host", "is_ip"),
    [
        ("/ip4/203.0.114.5/tcp/9000", "ip4", "203.0.114.5", True),
        ("/ip6/fd00::1/tcp/9000", "ip6", "fd00::1", True),
        ("/dns4/leader1.example/tcp/9000", "dns4", "leader1.example", False),
        ("/dns6/leader1/tcp/9000", "dns6", "leader1", False),
    ],
)
def test_where_a_node_is_found(text: str, kind: str, host: str, is_ip: bool) -> None:
    address = Multiaddr.parse(text)
    assert (address, str(address)) == (Multiaddr(kind, host, 9000), text)
    assert (str(address.ip) if address.ip else None) == (host if is_ip else None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "203.0.114.5:9000", "/ip4/203.0.114.5", "/ip4/203.0.114.5/udp/9000", "/ip4/203.0.114.5/tcp/9000/p2p/x"),
        *("/ip4/leader0/tcp/9000", "/ip4/fd00::1/tcp/9000", "/ip6/203.0.114.5/tcp/9000", "/dns4//tcp/9000"),
        *("/dns4/a b/tcp/9000", "/ip4/203.0.114.5/tcp/0", "/ip4/203.0.114.5/tcp/70000", "/ip4/1.2.3.4/tcp/\u0661"),
    ],
)
def test_what_is_no_multiaddr(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Multiaddr.parse(text)


@pytest.mark.parametrize(
    ("text", "bucket", "key", "is_object"),
    [
        ("s3://the.bucket/a/b c", "the.bucket", "a/b c", True),
        ("s3://bucket/a/", "bucket", "a/", False),
        ("s3://bucket", "bucket", "", False),
    ],
)
def test_what_is_in_s3(text: str, bucket: str, key: str, is_object: bool) -> None:
    uri = S3Uri.parse(text)
    assert (uri, str(uri), uri.is_object) == (S3Uri(bucket, key), text, is_object)


def test_a_bucket_is_the_same_with_a_slash_behind_it() -> None:
    assert S3Uri.parse("s3://bucket/") == S3Uri.parse("s3://bucket")


@pytest.mark.parametrize(
    "text", ["", "s3:/bucket/key", "http://bucket/key", "s3://B/key", "s3://bucket//k", "s3://bucket/" + "k" * 1025]
)
def test_what_is_not_in_s3(text: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket/key"):
        S3Uri.parse(text)
