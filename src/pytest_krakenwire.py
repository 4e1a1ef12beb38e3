"""The pytest plugin of krakenwire: the fixture `kraken_simulator`, an exchange on real sockets (docs/testing.md).

A module of its own, beside the package, so that a test session which has no use for it imports nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from krakenwire.testing import SimulatorThread

__all__ = ["kraken_simulator", "pytest_configure"]

MARKER = "kraken_simulator"


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marker is, for `--strict-markers` and `pytest --markers`."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(symbols=, accounts=, seed=, rate=, tls=, faults=): how the fixture `kraken_simulator` is made; "
        "arguments of krakenwire.testing.SimulatorThread",
    )


@pytest.fixture
def kraken_simulator(request: pytest.FixtureRequest) -> Iterator[SimulatorThread]:
    """A simulated Kraken exchange on loopback sockets, in a thread of its own: a `krakenwire.testing.SimulatorThread`.

    `@pytest.mark.kraken_simulator(symbols=["BTC/USD"], seed=7, tls=True)` says how it is made; of several marks the one
    nearest to the test counts, argument by argument.
    """
    from krakenwire.errors import UsageError
    from krakenwire.testing import SimulatorThread

    options: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers(MARKER))):
        if mark.args:
            pytest.fail(f"the mark {MARKER} takes arguments by name only, got {mark.args!r}", pytrace=False)
        options |= mark.kwargs
    try:
        simulator = SimulatorThread(**options).start()
    except (TypeError, UsageError) as error:
        raise pytest.fail.Exception(f"the mark {MARKER}: {error}", pytrace=False) from None
    try:
        yield simulator
    finally:
        simulator.close()
