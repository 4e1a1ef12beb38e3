"""What all tests share: where the recorded frames are, what may be skipped, how hard hypothesis tries.

`KRAKENWIRE_REQUIRE=all` turns every skip for want of something into a failure: CI sets it, so that nothing
goes untested there unnoticed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

CHECKOUT = Path(__file__).resolve().parent.parent

# A test's own child processes leave a trace when they crash, as pytest itself does.
os.environ.setdefault("PYTHONFAULTHANDLER", "1")

# A failure reports its seed, so nothing is lost by leaving it free. Deadlines flake on shared machines.
settings.register_profile("default", deadline=None, derandomize=False, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), max_examples=200)
settings.register_profile("long", settings.get_profile("default"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))

Require = Callable[[object, str], None]


@pytest.fixture(scope="session")
def require() -> Require:
    """`require(condition, reason)` skips unless `condition` holds, or fails it where no skip is allowed."""

    def check(condition: object, reason: str) -> None:
        if condition:
            return
        if os.environ.get("KRAKENWIRE_REQUIRE") == "all":
            pytest.fail(f"{reason} (KRAKENWIRE_REQUIRE=all allows no skip)", pytrace=False)
        pytest.skip(reason)

    return check


@pytest.fixture(scope="session")
def captures(require: Require) -> Path:
    """The directory of frames recorded from the live exchange; they are not the project's to publish."""
    path = Path(os.environ.get("KRAKENWIRE_CAPTURES") or CHECKOUT.parent / "shared" / "captures")
    require(path.is_dir(), f"no recorded frames at {path}; name their directory in KRAKENWIRE_CAPTURES")
    return path


@pytest.fixture(scope="session")
def vectors(require: Require) -> Path:
    """The directory of published checksum examples: beside the captures, or where KRAKENWIRE_VECTORS says."""
    captures = Path(os.environ.get("KRAKENWIRE_CAPTURES") or CHECKOUT.parent / "shared" / "captures")
    path = Path(os.environ.get("KRAKENWIRE_VECTORS") or captures.parent / "vectors")
    require(path.is_dir(), f"no checksum vectors at {path}; name their directory in KRAKENWIRE_VECTORS")
    return path
