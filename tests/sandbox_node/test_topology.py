"""Peers that were heard of."""

import pytest
from node_fsm_sandbox.node.address import Address
from node_fsm_sandbox.node.settings import P2pSettings
from node_fsm_sandbox.node.topology import Topology

from tests.sandbox_node.world import Time

OWN, PEER, OTHER = (Address("127.0.0.1", port) for port in (1, 2, 3))
GLOBAL = Address("8.8.8.8", 4)


def settings(*, private: bool = True) -> P2pSettings:
    return P2pSettings(
        node_id=bytes(32),
        listen=OWN,
        announced=OWN,
        trusted_peers=(),
        allow_private_addresses=private,
        gossip_interval=2.0,
        quarantine=2.0,
        skip_bootstrap=False,
        max_bootstrap_attempts=None,
    )


def addresses(topology: Topology) -> list[Address]:
    return [peer.address for peer in topology.available()]


def test_who_does_not_answer_is_left_alone_for_a_while() -> None:
    time = Time(0)
    topology = Topology(settings(), [PEER, OWN], time)
    topology.missed(PEER)
    assert (addresses(topology), len(topology.quarantined())) == ([], 1)
    assert topology.quarantined()[0].shown()["quarantined"] == "2023-11-14T22:13:20Z"
    time.slot = 2
    assert (addresses(topology), topology.quarantined()) == ([PEER], [])
    topology.missed(PEER)
    topology.reached(PEER)
    assert addresses(topology) == [PEER]


def test_gossip() -> None:
    topology = Topology(settings(), [])
    topology.hear_gossip([[str(PEER), None], [str(OWN), "aa"], [str(PEER), "bb"]])
    assert topology.gossip() == [(str(PEER), "bb")]
    topology.forget(PEER)
    assert topology.gossip() == []
    for nonsense in (["x"], [["x", None]], [[1, 2]], 3):
        with pytest.raises((TypeError, ValueError)):
            topology.hear_gossip(nonsense)  # type: ignore[arg-type]  # what a peer may send


def test_private_addresses_are_heard_only_when_allowed() -> None:
    """But those that a bootstrap gave are called."""
    topology = Topology(settings(private=False), [OTHER])
    topology.hear_gossip([[str(PEER), None], [str(GLOBAL), None]])
    assert addresses(topology) == [OTHER, GLOBAL]
