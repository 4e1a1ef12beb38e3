"""A recorded run of several segments, and sealing that makes many small pieces of it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from helpers.segmented import save_segments
from helpers.taped import live
from krakenwire.journal.sealing import sealing

SECONDS = 20
SEGMENTS = 3


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a mirrored client that lived through faults."""
    directory = tmp_path_factory.mktemp("recorded") / "tape"
    tape, _ = asyncio.run(live(3, SECONDS))
    save_segments(tape, directory, SEGMENTS)
    return directory


@pytest.fixture
def tape(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it for one test."""
    monkeypatch.setattr(sealing, "SEALED_FRAME_BYTES", 50_000)
    monkeypatch.setattr(sealing, "CHECKPOINT_BYTES", 100_000)
    monkeypatch.setattr(sealing, "STATE_TIMES", 1)
    directory = tmp_path / "tape"
    shutil.copytree(recorded, directory)
    return directory
