"""Every test of the book runs on both implementations."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest


@pytest.fixture(params=["kernel", "pure"], ids=["compiled", "pure"])
def impl(request: pytest.FixtureRequest) -> Any:
    """The module of one implementation."""
    return import_module(f"krakenwire.book.{request.param}")
