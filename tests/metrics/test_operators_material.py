"""The page, the dashboard and the alert rules speak of the metrics that a client really emits, and of their labels."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.scrape import Scrape, scrape
from krakenwire.book import KERNEL
from krakenwire.events import (
    Backfilled,
    BookAudited,
    BookQuarantined,
    CallbackFailed,
    CallbackSlow,
    Event,
    ExchangeError,
    Gap,
    LeaderChanged,
    LoopStalled,
    ReadingPaused,
    ReadingResumed,
    Recovered,
    Stalled,
    Stamp,
    SubscribeRejected,
)
from krakenwire.metrics import start_metrics
from krakenwire.metrics.catalogue import CATALOGUE, PREFIX
from krakenwire.testing import Simulator

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "metrics.md"
DASHBOARD = ROOT / "deploy" / "grafana" / "krakenwire.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
SAMPLE = ROOT / "deploy" / "prometheus" / "prometheus.yml"

SERVER_LABELS = {"instance", "job"}
"""What Prometheus itself adds."""

HERE = Stamp("public", 0, 1, 1)
RARE: list[Event] = [
    Backfilled(of="trade", symbol="BTC/USD", first=1, last=2, count=2, how="rest", took_ns=1, stamp=HERE),
    BookAudited(symbol="BTC/USD", depth=100, method="rest", levels=20, wrong=1, skipped=0, stamp=HERE),
    BookQuarantined(symbol="BTC/USD", depth=10, attempts=5, retry_after_ns=1, stamp=HERE),
    CallbackFailed(reader="trade #1", error="ValueError", failures=1, stamp=HERE),
    CallbackSlow(reader="trade #1", took_ns=1, slow=1, stamp=HERE),
    ExchangeError(error="EGeneral:Internal error", stamp=HERE),
    Gap(of="trade", symbol="BTC/USD", reason="too old", first=1, last=3, count=3, stamp=HERE),
    Gap(of="ticker", symbol="BTC/USD", reason="disconnected", stamp=HERE),
    LeaderChanged(symbol=None, leader="public~", previous="public", reason="stalled", stamp=HERE),
    LoopStalled(stalled_ns=2_000_000_000, stamp=HERE),
    ReadingPaused(reason="slow is behind", stamp=HERE),
    ReadingResumed(paused_ns=500_000_000, stamp=HERE),
    Recovered(of="book", symbol="BTC/USD", stalled_ns=1, by="reconnect", stamp=HERE),
    Stalled(of="book", symbol="BTC/USD", silent_ns=1, limit_ns=1, evidence="silence", stamp=HERE),
    SubscribeRejected(of=None, symbol=None, error="no", stamp=HERE),
]


async def exercise(tape: Path) -> Scrape:
    """A scrape of a client to which everything has happened."""
    async with (
        Simulator(symbols=["BTC/USD"], seed=7, rate=50) as sim,
        sim.client(journal=tape) as kraken,
        start_metrics(kraken, 0, per_symbol=True) as server,
        kraken.stream("book", "trade", symbols=["BTC/USD"], on_loss="yield"),
    ):
        sim.inject("lose_update", symbol="BTC/USD", after=1.0)
        await sim.advance(10)
        kraken.drop_connections()
        await sim.advance(20)
        kraken._feed._publish(RARE)
        return await scrape(server.url)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Scrape:
    return asyncio.run(exercise(tmp_path_factory.mktemp("tape")))


# --- what is emitted -------------------------------------------------------------------------------------------------


def test_every_metric_has_its_kind_its_labels_and_samples(everything: Scrape) -> None:
    kinds = {PREFIX + name.removesuffix("_total"): metric.kind for name, metric in CATALOGUE.items()}
    assert {name: family.type for name, family in everything.families.items()} == kinds
    for name, metric in CATALOGUE.items():
        samples = everything.families[PREFIX + name.removesuffix("_total")].samples
        assert samples, f"{name} has no sample, though everything has happened"
        own = set() if name == "build_info" else {"client"}
        for sample in samples:
            assert set(sample.labels) - {"le"} == {*metric.labels, *own}, name


def test_names_follow_the_conventions_of_prometheus() -> None:
    for name, metric in CATALOGUE.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert name.endswith("_total") == (metric.kind == "counter"), name
        assert metric.help.endswith("."), name
        assert not re.search("_(ms|ns|millis|micros|minutes)", name), f"{name}: times are seconds"


def test_rare_events_move_their_counters(everything: Scrape) -> None:
    for name, labels, expected in [
        ("backfilled_total", {"channel": "trade", "how": "rest"}, 2),
        ("audited_levels_total", {"method": "rest"}, 20),
        ("audit_wrong_levels_total", {"method": "rest"}, 1),
        ("book_quarantined_total", {}, 1),
        ("callback_failures_total", {"reader": "trade"}, 1),
        ("callback_slow_total", {"reader": "trade"}, 1),
        ("exchange_errors_total", {}, 1),
        ("gap_events_total", {"channel": "trade"}, 3),
        ("gaps_total", {"channel": "ticker"}, 1),
        ("gap_events_total", {"channel": "ticker"}, 0),
        ("leader_changes_total", {"reason": "stalled"}, 1),
        ("loop_stalls_total", {}, 1),
        ("loop_stalled_seconds_total", {}, 2),
        ("reading_pauses_total", {"connection": "public"}, 1),
        ("reading_paused_seconds_total", {"connection": "public"}, 0.5),
        ("subscriptions_rejected_total", {"channel": "unknown"}, 1),
    ]:
        assert everything.value(name, **labels) == expected, name
    assert everything.value("recovered_total", channel="book", by="reconnect") >= 1
    assert everything.value("stalls_total", channel="book") >= 1
    assert f'kernel="{KERNEL}"' in everything.text


# --- what is written about it ----------------------------------------------------------------------------------------


def test_the_page_tables_every_metric_as_it_is() -> None:
    rows = re.findall(r"^\| `krakenwire_(\w+)` \|(.*)\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == list(dict.fromkeys(name for name, _ in rows)), "a metric stands twice"
    tabled = {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}
    assert tabled.keys() == CATALOGUE.keys()
    for name, metric in CATALOGUE.items():
        kind, labels, unit, meaning = tabled[name]
        assert (kind, labels, meaning) == (metric.kind, ", ".join(metric.labels), metric.help), name
        assert (unit == "seconds") == ("seconds" in name), name


def expressions() -> Iterator[tuple[str, str]]:
    """Where a PromQL expression stands, and the expression."""
    for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["name"], annotation["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]


def complaints(expression: str, scraped: Scrape) -> list[str]:
    """What an expression says of metrics and labels that are not so."""
    labels_of = {
        sample.name: {*sample.labels, *SERVER_LABELS}
        for family in scraped.families.values()
        for sample in family.samples
    }
    found: list[str] = []
    used: set[str] = set()
    for name, selector in re.findall(r"(krakenwire_\w+)(\{[^}]*\})?", expression):
        if name not in labels_of:
            found.append(f"no metric {name}")
            continue
        used |= labels_of[name]
        found += [
            f"{name} has no label {label}"
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)
            if label not in labels_of[name]
        ]
    grouped = re.findall(r"(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression)
    asked = {label.strip() for group in grouped for label in group.split(",")}
    asked |= set(re.findall(r"label_values\([^,]+, (\w+)\)", expression))
    found += [f"nothing here has a label {label}" for label in sorted(asked - used)]
    if not (used or found):
        found.append("no metric of ours")
    return found


def test_dashboard_and_alerts_use_metrics_and_labels_that_are_emitted(everything: Scrape) -> None:
    wrong = {where: found for where, expression in expressions() if (found := complaints(expression, everything))}
    assert not wrong


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("rate(krakenwire_frame_total[5m]) > 0", "no metric krakenwire_frame_total"),
        ('krakenwire_gaps_total{symbol="BTC/USD"}', "krakenwire_gaps_total has no label symbol"),
        ("sum by (le) (krakenwire_frames_total)", "nothing here has a label le"),
        ("label_values(krakenwire_up, clients)", "nothing here has a label clients"),
        ("up == 0", "no metric of ours"),
    ],
)
def test_checker_finds_what_is_wrong(expression: str, complaint: str, everything: Scrape) -> None:
    assert complaints(expression, everything) == [complaint]


def test_every_metric_is_on_the_dashboard_or_says_why_not() -> None:
    shown = " ".join(expression for _, expression in expressions())
    kept_off = {"build_info", "connection_epoch", "instruments", "readers", "reader_losses_total"}
    kept_off |= {"trades_repeated_total", "symbol_book_invalidated_total", "symbol_gaps_total"}
    for name in CATALOGUE.keys() - kept_off:
        assert PREFIX + name in shown, f"{name} is on no panel and in no alert"


def test_legends_and_texts_name_labels_that_their_series_have(everything: Scrape) -> None:
    labels_of = {
        sample.name: set(sample.labels) for family in everything.families.values() for sample in family.samples
    }
    texts = [
        (target["expr"], re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]
        for target in panel.get("targets", ())
    ] + [
        (rule["expr"], re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]
    for expression, named in texts:
        grouped = re.findall(r"\bby\s*\(([^)]*)\)", expression)
        if grouped:
            has = {label.strip() for label in grouped[0].split(",")}
        elif re.match(r"(sum|max|count)\(", expression):
            has = set()
        else:
            has = labels_of[re.findall(r"krakenwire_\w+", expression)[0]]
        assert set(named) <= has, expression


def test_dashboard_has_the_form_that_grafana_reads() -> None:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    assert dashboard["id"] is None  # else an import would replace whatever has that number
    assert dashboard["uid"] == "krakenwire"
    assert dashboard["schemaVersion"] >= 39
    names = [variable["name"] for variable in dashboard["templating"]["list"]]
    assert names == ["datasource", "instance", "client"]
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    occupied: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])
        }  # fmt: skip
        assert not cells & occupied, f"{panel['title']} lies over another panel"
        occupied |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_alerts_tell_who_is_woken_what_to_do() -> None:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    names = [rule["alert"] for rule in rules]
    assert len(names) == len(set(names))
    for rule in rules:
        assert re.fullmatch(r"Krakenwire[A-Za-z]+", rule["alert"])
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert re.search(r"\{\{ \$labels\.client \}\}", rule["annotations"]["summary"]), rule["alert"]
        assert len(rule["annotations"]["runbook"]) > 60, rule["alert"]
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}


def test_sample_configuration_loads_the_rules_beside_it() -> None:
    sample = yaml.safe_load(SAMPLE.read_text("utf-8"))
    assert sample["rule_files"] == [ALERTS.name]
    assert sample["scrape_configs"][0]["static_configs"][0]["targets"] == ["127.0.0.1:9464"]
