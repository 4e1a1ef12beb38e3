"""From a client's state to Prometheus's metric families."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from krakenwire._version import __version__
from krakenwire.book import KERNEL
from krakenwire.client import Client
from krakenwire.clock import NS_PER_S
from krakenwire.errors import UsageError
from krakenwire.latency import LatencyRecorder
from krakenwire.metrics.catalogue import CATALOGUE, PREFIX
from krakenwire.metrics.observer import MAX_READERS, OTHERS, SUMMED, Observer, Snapshot
from krakenwire.metrics.tally import Labels, kind_of_reader
from krakenwire.protocol.state import ConnectionState
from krakenwire.protocol.statistics import RETIRED

__all__ = ["ClientCollector"]

_log = logging.getLogger("krakenwire.metrics")

TIMEOUT_S = 5.0
"""How long a scrape waits for a feed that does not answer; Prometheus gives up after ten by default."""

FINE, COARSE = range(10, 34), range(20, 41)
"""Powers of two, nanoseconds: 1 µs to 8.6 s where stages are measured, 1 ms to 18 min where books come back."""

_OF_THE_JOURNAL = {
    "journal_segments_total": "segments",
    "journal_text_bytes_total": "raw_bytes",
    "journal_written_bytes_total": "written_bytes",
    "journal_backlog_bytes": "backlog_bytes",
    "journal_fsyncs_total": "syncs",
    "journal_failures_total": "failures",
    "journal_gaps_total": "gaps",
    "journal_lost_total": "lost",
    "journal_hook_failures_total": "hook_failures",
}

_BY_CONNECTION = {
    "frames_total": "frames",
    "undecodable_total": "undecodable",
    "raw_total": "raw",
    "book_verified_total": "verified",
    "book_mismatched_total": "mismatched",
    "book_crossed_total": "crossed",
    "book_backwards_total": "backwards",
    "book_ignored_total": "ignored",
    "book_unproven_total": "unproven",
    "book_normalised_total": "normalised",
    "resyncs_total": "resyncs",
    "reconnects_total": "reconnects",
    "probes_total": "probes",
}
"""Metrics of what is counted by connection, with the name it has in `Statistics`."""

_LIFECYCLE = {name.removesuffix("_total"): name for name in CATALOGUE if name.endswith("_total")} | {
    "loop_stalled_ns": "loop_stalled_seconds_total",
    "reading_paused_ns": "reading_paused_seconds_total",
}
"""Metrics of what a `Tally` counts."""


class ClientCollector(Collector):
    """The metrics of one or more clients, for a `prometheus_client` registry of your own; `start_metrics` has one.

    ::

        collector = ClientCollector()
        collector.add(kraken)
        prometheus_client.REGISTRY.register(collector)
    """

    def __init__(self) -> None:
        self._observers: dict[str, Observer] = {}
        self._last: dict[str, Snapshot] = {}
        self._lock = Lock()

    def add(self, client: Client, name: str = "default", *, every: int = 8, per_symbol: bool = False) -> None:
        """Have the metrics of `client` too, until `remove`.

        Events by channel, lifecycle events and latencies are counted from now on; the rest since the client was made.

        Args:
            client: before it is connected or after.
            name: the value of the label `client`.
            every: one socket read in how many is timed; 1 is all of them.
            per_symbol: tell invalidations and gaps by symbol too: up to some thousands of series.

        Raises:
            UsageError: there is a client of that name already, or `every` is less than 1.
        """
        with self._lock:
            if name in self._observers:
                raise UsageError(f"there are metrics of a client {name!r} already; give each client a name of its own")
            self._observers[name] = Observer(client, every=every, per_symbol=per_symbol)

    def remove(self, name: str = "default") -> None:
        """Have them no longer; harmless if there are none."""
        with self._lock:
            observer = self._observers.pop(name, None)
            self._last.pop(name, None)
        if observer is not None:
            observer.close()

    def close(self) -> None:
        """Remove all of them."""
        for name in list(self._observers):
            self.remove(name)

    def describe(self) -> Iterable[Metric]:
        """What there may be, so that to register does not scrape."""
        return _Families().all()

    def collect(self) -> Iterator[Metric]:
        """The state of all clients now; called for a scrape, in whatever thread."""
        families = _Families()
        families.add("build_info", [__version__, KERNEL], 1)
        for name, observer in list(self._observers.items()):
            snapshot, delay = observer.read(TIMEOUT_S)
            families.add("up", [name], int(snapshot is not None))
            families.add("loop_delay_seconds", [name], delay)
            with self._lock:
                if snapshot is not None and name in self._observers:
                    self._last[name] = snapshot
                snapshot = snapshot or self._last.get(name)
            if snapshot is None:
                _log.warning("the event loop of the client %s did not answer a scrape in %g s", name, TIMEOUT_S)
                continue
            _fill(families, name, snapshot)
        yield from families.all()


class _Families:
    """All metric families, empty at first."""

    def __init__(self) -> None:
        self._families: dict[str, Any] = {}
        for name, metric in CATALOGUE.items():
            labels = metric.labels if name == "build_info" else ("client", *metric.labels)
            self._families[name] = _KINDS[metric.kind](PREFIX + name, metric.help, labels=labels)

    def all(self) -> list[Metric]:
        """All of them."""
        return list(self._families.values())

    def add(self, name: str, labels: Sequence[str], value: float) -> None:
        """A sample of a counter or a gauge."""
        self._families[name].add_metric(labels, value)

    def add_summary(self, name: str, labels: Sequence[str], count: int, seconds: float) -> None:
        """A sample of a summary."""
        self._families[name].add_metric(labels, count, seconds)

    def add_histogram(self, name: str, labels: Sequence[str], recorder: LatencyRecorder, exponents: range) -> None:
        """A sample of a histogram, with a bucket up to each power of two of nanoseconds."""
        *bounds, everything = *exponents, 42
        counts = recorder.shorter_than_powers([*bounds, everything])
        texts = [*(repr(2**exponent / NS_PER_S) for exponent in bounds), "+Inf"]
        self._families[name].add_metric(labels, list(zip(texts, counts, strict=True)), recorder.total_ns / NS_PER_S)


_KINDS: dict[str, Callable[..., Any]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
    "summary": SummaryMetricFamily,
}


def _fill(families: _Families, client: str, snapshot: Snapshot) -> None:
    lifecycle = snapshot.lifecycle
    for connection in snapshot.connections:
        labels = [client, connection.connection]
        for name, counted in _BY_CONNECTION.items():
            families.add(name, labels, connection.counted[counted])
        restored, took_ns = connection.counted["restored"], connection.counted["recovery_ns"]
        families.add_summary("recovery_seconds", labels, restored, took_ns / NS_PER_S)
        for counts in map(lifecycle.__getitem__, ("disconnects", "reading_pauses", "reading_paused_ns")):
            counts.setdefault((connection.connection,), 0)
        if connection.state != RETIRED:
            families.add("connection_up", labels, connection.state == ConnectionState.OPEN.value)
            families.add("connection_epoch", labels, max(connection.epoch, 0))
            families.add("books", labels, connection.books)
            families.add("books_synced", labels, connection.synced)
    families.add("instruments", [client], snapshot.statistics.instruments)
    families.add("trades_repeated_total", [client], snapshot.statistics.repeated)
    for channel, count in snapshot.events.items():
        families.add("events_total", [client, channel], count)
    _add_readers(families, client, snapshot)
    for key, counts in lifecycle.items():
        for values, count in counts.items():
            families.add(_LIFECYCLE[key], [client, *values], count / NS_PER_S if key.endswith("_ns") else count)
    families.add_histogram("resync_seconds", [client], snapshot.resync, COARSE)
    timings = snapshot.timings
    for stage, recorder in (
        ("decode", timings.decode),
        ("publish", timings.publish),
        ("consumer", timings.consumer),
    ):
        families.add_histogram("stage_seconds", [client, stage], recorder, FINE)
    families.add_histogram("exchange_latency_seconds", [client], timings.exchange, FINE)
    if snapshot.recording is not None:
        families.add("journal_recording", [client], snapshot.recording.state == "recording")
        for name, counted in _OF_THE_JOURNAL.items():
            families.add(name, [client], getattr(snapshot.recording, counted))
    if snapshot.clock_offset is not None:
        offset_ns, uncertainty_ns = snapshot.clock_offset
        families.add("exchange_clock_offset_seconds", [client], offset_ns / NS_PER_S)
        families.add("exchange_clock_uncertainty_seconds", [client], uncertainty_ns / NS_PER_S)


def _add_readers(families: _Families, client: str, snapshot: Snapshot) -> None:
    """One account for each name and policy, since a series may stand only once; with those of readers gone."""
    accounts: dict[Labels, Counter[str]] = {key: counts.copy() for key, counts in snapshot.gone.items()}
    lags: dict[Labels, tuple[int, int]] = {}
    for reader in snapshot.readers:
        key: Labels = kind_of_reader(reader.name), reader.policy
        if key not in accounts and len(accounts) >= MAX_READERS:
            key = OTHERS, reader.policy
        accounts.setdefault(key, Counter()).update({name: getattr(reader, name) for name in SUMMED})
        waiting, lag_ns = lags.get(key, (0, 0))
        lags[key] = waiting + reader.waiting, max(lag_ns, reader.lag_ns)
    for key, counts in accounts.items():
        for name in (*SUMMED, "overruns"):
            families.add(f"reader_{name}_total", [client, *key], counts[name])
    for key, (waiting, lag_ns) in lags.items():
        families.add("reader_lag_events", [client, *key], waiting)
        families.add("reader_lag_seconds", [client, *key], lag_ns / NS_PER_S)
    families.add("readers", [client], len(snapshot.readers))
    for callbacks in map(snapshot.lifecycle.__getitem__, ("callback_failures", "callback_slow")):
        for name, _ in lags:
            callbacks.setdefault((name,), 0)
