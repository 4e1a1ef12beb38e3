"""Record and replay: recorded frames through the same core as live ones."""

from krakenwire.journal.frames import RecordedFrame, read_frames
from krakenwire.journal.replay import FrameReplay

__all__ = ["FrameReplay", "RecordedFrame", "read_frames"]
