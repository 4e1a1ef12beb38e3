"""Bounded fan-out: events from one writer to many readers, each with its own policy for when it is slow."""

from krakenwire.hub.hub import Hub
from krakenwire.hub.inbox import Inbox
from krakenwire.hub.interest import DEFAULT_CAPACITY, Delivery, Interest, OnLoss, Policy, ReaderStatistics
from krakenwire.hub.reader import Reader

__all__ = ["DEFAULT_CAPACITY", "Delivery", "Hub", "Inbox", "Interest", "OnLoss", "Policy", "Reader", "ReaderStatistics"]
