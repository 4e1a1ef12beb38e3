"""What the faults need of the exchange they work on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from krakenwire.clock import Clock

from ..accounts.accounts import Accounts
from ..engine.model import EngineStatus
from ..market.market import Market
from ..peer import Door, Peer, Wire

__all__ = ["Door", "Host", "Peer", "Wire"]


class Host(Protocol):
    """The exchange, as its faults see it."""

    @property
    def clock(self) -> Clock:
        """Gives the faults their timers."""

    @property
    def peers(self) -> Mapping[Peer, None]:
        """Who is connected, in the order in which they came."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """What can be subscribed."""

    @property
    def accounts(self) -> Accounts:
        """Whose tokens can be expired."""

    @property
    def market(self) -> Market:
        """The market; raises UsageError if a recording is played."""

    def exchange_now_ns(self) -> int:
        """The exchange's time, as it tells it."""

    def set_status(self, status: EngineStatus) -> None:
        """Let the engine be in this state, and tell everybody."""

    def publish(self) -> None:
        """Hand out what was done to the market."""
