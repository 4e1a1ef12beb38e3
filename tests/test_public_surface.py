"""What users may import is pinned here: a name that appears or goes is a decision, not an accident."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import krakenwire

SOURCE = Path(krakenwire.__file__).resolve().parent

PUBLIC = [
    "KERNEL",
    "Asset",
    "Backfilled",
    "Book",
    "BookAudited",
    "BookInvalidated",
    "BookQuarantined",
    "BookResynced",
    "BookSnapshot",
    "BookUnsynced",
    "BookUpdate",
    "CallbackFailed",
    "CallbackSlow",
    "Client",
    "Clock",
    "ConnectBudget",
    "ConnectFailed",
    "Connected",
    "ConnectionClosed",
    "DataLost",
    "Disconnected",
    "Endpoints",
    "Event",
    "ExchangeError",
    "FrameError",
    "Gap",
    "Heartbeat",
    "Instrument",
    "Journal",
    "JournalOptions",
    "JournalPaused",
    "JournalResumed",
    "JournalStamp",
    "JournalStopped",
    "KrakenwireError",
    "LatencyRecorder",
    "LeaderChanged",
    "Level",
    "LoopStalled",
    "Loss",
    "ManualClock",
    "Message",
    "NotEnoughLiquidity",
    "NotRecorded",
    "Ohlc",
    "Options",
    "Pong",
    "ProtocolError",
    "Raw",
    "Reader",
    "ReaderClosed",
    "ReaderOverrun",
    "ReaderStatistics",
    "ReadingPaused",
    "ReadingResumed",
    "Reconnected",
    "RecorderStatistics",
    "Recovered",
    "Replay",
    "ReplayEnded",
    "ReplayProgress",
    "Reply",
    "Report",
    "RestFailed",
    "ResumedRun",
    "RunResumed",
    "Spread",
    "Stalled",
    "Stamp",
    "Statistics",
    "Streams",
    "SubscribeRejected",
    "Subscribed",
    "SubscriptionRejected",
    "SubscriptionTimeout",
    "SystemClock",
    "SystemStatus",
    "Ticker",
    "Trade",
    "Undecodable",
    "UnknownSymbol",
    "Unsubscribed",
    "UsageError",
    "__version__",
]


def offers_something(path: Path) -> bool:
    """Whether a module defines a name that does not begin with an underscore, or is a package that re-exports."""
    names: list[str] = []
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.extend(target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom) and path.name == "__init__.py" and node.module != "__future__":
            names.extend(alias.name for alias in node.names)
    return any(not name.startswith("_") for name in names)


def modules() -> list[str]:
    """Import names of the modules that offer something; `__main__` has nobody who imports it."""
    names = []
    for path in filter(offers_something, sorted(SOURCE.rglob("*.py"))):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [name for name in names if not name.endswith("__main__")]


def test_public_names_are_the_pinned_ones() -> None:
    assert sorted(krakenwire.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", modules())
def test_module_says_what_it_offers_and_has_it(name: str) -> None:
    module = importlib.import_module(name)
    missing = [public for public in module.__all__ if not hasattr(module, public)]
    assert missing == []
    assert len(set(module.__all__)) == len(module.__all__)


def test_door_defines_nothing_itself() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text("utf-8"))
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert [node.name for node in ast.walk(tree) if isinstance(node, definitions)] == []
