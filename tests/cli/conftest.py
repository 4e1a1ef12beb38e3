"""What the tests of the commands share: one simulator in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helpers.processes import simulator


@pytest.fixture(scope="session")
def simulated() -> Iterator[dict[str, str]]:
    """The environment that points a command at a simulator, which runs as long as the tests do."""
    with simulator("--rate", "500", "--seed", "5") as env:
        yield env
