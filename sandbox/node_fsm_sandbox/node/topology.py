"""The other nodes that a node has heard of, and which of them it leaves alone for a while."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from node_fsm.core.chain_time import utc_now
from node_fsm_sandbox.node.address import Address
from node_fsm_sandbox.node.log import timestamp
from node_fsm_sandbox.node.settings import P2pSettings

_TOPICS = ("00" * 32, "01" * 32)
_INTEREST = 5


@dataclass(slots=True)
class KnownPeer:
    """A peer that was heard of: its node id in hex, when that is known."""

    address: Address
    id: str | None
    heard: datetime
    quarantined: datetime | None = None

    def shown(self) -> dict[str, Any]:
        """The peer as REST shows it."""
        return {
            "id": self.id,
            "address": str(self.address),
            "last_update": timestamp(self.heard.replace(microsecond=0)),
            "quarantined": timestamp(self.quarantined.replace(microsecond=0)) if self.quarantined else None,
            "subscriptions": [{"interest": _INTEREST, "topic": topic} for topic in _TOPICS],
        }


class Topology:
    """Peers by address. One that could not be reached is left alone for a while."""

    def __init__(
        self, settings: P2pSettings, initial: Iterable[Address], now: Callable[[], datetime] = utc_now
    ) -> None:
        """*initial* are peers that were met already, whatever their addresses."""
        self._own = settings.announced
        self._allow_private = settings.allow_private_addresses
        self._quarantine = timedelta(seconds=settings.quarantine)
        self._now = now
        self._peers = {address: KnownPeer(address, None, now()) for address in initial if address != self._own}

    def hear_of(self, address: Address, node_id: str | None) -> None:
        """A peer is, or may be, at *address*."""
        if address == self._own or not self.hears_of(address):
            return
        known = self._peers.setdefault(address, KnownPeer(address, node_id, self._now()))
        known.id = node_id or known.id
        known.heard = self._now()

    def reached(self, address: Address) -> None:
        """A peer at *address* answers."""
        if known := self._peers.get(address):
            known.quarantined = None

    def missed(self, address: Address) -> None:
        """Nobody answers at *address*."""
        if known := self._peers.get(address):
            known.quarantined = self._now()

    def forget(self, address: Address) -> None:
        """Nobody else is at *address*."""
        self._peers.pop(address, None)

    def available(self) -> list[KnownPeer]:
        """Those who may be called."""
        return [peer for peer in self._peers.values() if not self._is_quarantined(peer)]

    def quarantined(self) -> list[KnownPeer]:
        """Those who are left alone."""
        return [peer for peer in self._peers.values() if self._is_quarantined(peer)]

    def gossip(self) -> list[tuple[str, str | None]]:
        """Addresses and ids, to tell others."""
        return [(str(peer.address), peer.id) for peer in self.available()]

    def hear_gossip(self, gossip: Iterable[Any]) -> None:
        """Take in what another node told; ValueError or TypeError when it is no gossip."""
        for address, node_id in gossip:
            self.hear_of(Address.parse(str(address)), str(node_id) if node_id else None)

    def hears_of(self, address: Address) -> bool:
        """Whether this node has to do with peers at such an address."""
        return self._allow_private or address.is_global

    def _is_quarantined(self, peer: KnownPeer) -> bool:
        return peer.quarantined is not None and self._now() < peer.quarantined + self._quarantine
