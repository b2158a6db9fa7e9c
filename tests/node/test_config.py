"""The node's configuration file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from node_fsm.core.listen import Listen
from node_fsm.node.config import NodeConfig, rest_url

OWN = "/ip4/203.0.114.5/tcp/9000"
PEER = "/ip4/203.0.114.6/tcp/9000"

CONFIG = NodeConfig(
    rest=Listen("127.0.0.1", 8443),
    p2p=Listen("192.0.2.7", 9000),
    public_address=OWN,
    storage=Path("/data/storage"),
    fragment_log=Path("/data/fragments"),
    slot_duration=4,
    trusted_peers=(PEER,),
)


def document(config: NodeConfig) -> dict[str, Any]:
    parsed = yaml.safe_load(config.to_yaml())
    assert isinstance(parsed, dict)
    return parsed


def test_says_what_it_was_given() -> None:
    config = document(CONFIG)
    assert config["rest"] == {"listen": "127.0.0.1:8443"}
    assert config["storage"] == "/data/storage"
    assert config["p2p"]["listen"] == "192.0.2.7:9000"
    assert config["p2p"]["public_address"] == OWN
    assert config["p2p"]["trusted_peers"] == [{"address": PEER}]
    assert config["mempool"]["persistent_log"] == {"dir": "/data/fragments"}
    assert config["mempool"]["log_max_entries"] >= 100_000
    assert config["log"] == {"level": "info", "format": "json", "output": "stdout"}


@pytest.mark.parametrize(("slot_duration", "entries"), [(1, 1_000), (4, 4_000), (20, 20_000)])
def test_no_more_votes_may_wait_than_a_block_can_be_made_of_in_its_slot(slot_duration: int, entries: int) -> None:
    config = document(replace(CONFIG, slot_duration=slot_duration))
    assert config["mempool"]["pool_max_entries"] == entries


@pytest.mark.parametrize(
    ("peers", "seed", "skips_bootstrap", "attempts"),
    [((), True, True, 1), ((PEER,), True, False, 1), ((PEER,), False, False, None)],
    ids=["one-node chain", "seed", "any other"],
)
def test_only_the_seed_gives_up_bootstrapping(
    peers: tuple[str, ...], seed: bool, skips_bootstrap: bool, attempts: int | None
) -> None:
    config = document(replace(CONFIG, trusted_peers=peers, seed=seed))
    assert config["skip_bootstrap"] is skips_bootstrap
    assert config["p2p"].get("max_bootstrap_attempts") == attempts


@pytest.mark.parametrize(
    ("own", "peer", "private"),
    [
        (OWN, PEER, False),
        ("/ip4/127.0.0.1/tcp/9000", PEER, True),
        ("/ip4/10.0.0.7/tcp/9000", PEER, True),
        (OWN, "/ip4/192.168.1.2/tcp/9000", True),
        (OWN, "/ip6/fd00::1/tcp/9000", True),
        (OWN, "/dns4/leader1.example/tcp/9000", False),
        (OWN, "/ip4/no-address/tcp/9000", False),
    ],
)
def test_private_addresses_are_allowed_where_there_are_any(own: str, peer: str, private: bool) -> None:
    config = document(replace(CONFIG, public_address=own, trusted_peers=(PEER, peer)))
    assert config["p2p"]["allow_private_addresses"] is private


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        (Listen("127.0.0.1", 8443), "http://127.0.0.1:8443/api"),
        (Listen("0.0.0.0", 80), "http://127.0.0.1:80/api"),  # noqa: S104 - nothing is bound
        (Listen("::", 8443), "http://[::1]:8443/api"),
        (Listen("192.0.2.1", 65535), "http://192.0.2.1:65535/api"),
    ],
)
def test_its_rest_interface_is_reached_from_here(listen: Listen, url: str) -> None:
    assert rest_url(listen) == url
