"""The snippets of docs/metrics.md run."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prometheus_client
import pytest

from krakenwire.sim.server import SimulatorServer

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text("utf-8")
SERVED, REGISTERED, LOGGED = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


async def test_the_program_serves_metrics_and_prints_trades(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[tuple[object, ...]] = []
    enough = asyncio.Event()

    def note(*words: object) -> None:
        printed.append(words)
        if len(printed) == 3:
            enough.set()

    names: dict[str, Any] = {"print": note, "__name__": "snippet"}
    program = SERVED.replace("asyncio.run(main())", "").replace("9464", "0")
    exec(compile(program, "docs/metrics.md", "exec"), names)  # noqa: S102  # our own page
    async with SimulatorServer(rate=500) as server:
        monkeypatch.setenv("KRAKEN_WS_PUBLIC_URL", server.url)
        task = asyncio.create_task(names["main"]())
        await enough.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert str(printed[0][0]).startswith("http://127.0.0.1:")
    assert printed[1][0] == "BTC/USD"


def test_a_registry_of_ones_own() -> None:
    names: dict[str, Any] = {}
    exec(compile(REGISTERED, "docs/metrics.md", "exec"), names)  # noqa: S102  # our own page
    try:
        assert b'krakenwire_up{client="md-1"} 1.0' in prometheus_client.generate_latest()
    finally:
        prometheus_client.REGISTRY.unregister(names["collector"])
        names["collector"].close()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("krakenwire")
    handlers, level = list(logger.handlers), logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_lines_of_json(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(LOGGED, "docs/metrics.md", "exec"), {})  # noqa: S102  # our own page
    logging.getLogger("krakenwire.lifecycle").info("connected", extra={"connection": "public"})
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["message"], line["connection"]) == ("info", "connected", "public")
    assert logger.level == logging.INFO
