"""Journals played to the consumers of a client, in lock-step."""

from krakenwire.replay.moments import When
from krakenwire.replay.replay import Replay, ReplayProgress
from krakenwire.replay.stamp import JournalStamp

__all__ = ["JournalStamp", "Replay", "ReplayProgress", "When"]
