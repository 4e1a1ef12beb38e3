"""For tests of what is built on krakenwire, and of any other Kraken client (docs/testing.md)."""

from __future__ import annotations

from krakenwire.clock import ManualClock
from krakenwire.sim.engine.model import OrderState, Refusal, Report

from .connection import BareConnection
from .network import MemoryNetwork, MemoryPeer
from .proxy import FaultProxy
from .simulator import Simulator
from .thread import SimulatorThread

__all__ = [
    "BareConnection",
    "FaultProxy",
    "ManualClock",
    "MemoryNetwork",
    "MemoryPeer",
    "OrderState",
    "Refusal",
    "Report",
    "Simulator",
    "SimulatorThread",
]
