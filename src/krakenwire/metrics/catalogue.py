"""Every metric there is: its name, kind, labels and meaning. docs/metrics.md and `deploy/` are held to this."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["CATALOGUE", "PREFIX", "Metric"]

PREFIX = "krakenwire_"

Kind = Literal["counter", "gauge", "histogram", "summary"]


class Metric(NamedTuple):
    """One metric.

    Attributes:
        name: without the prefix; that of a counter ends in `_total`, that of a duration in `_seconds`.
        kind: Prometheus's.
        labels: besides `client`, which all but `build_info` have.
        help: one sentence.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


_CONNECTION = ("connection",)
_READER = ("reader", "policy")

_ROWS: tuple[tuple[str, Kind, tuple[str, ...], str], ...] = (
    ("build_info", "gauge", ("version", "kernel"), "Which krakenwire this is, and its kernel (compiled or pure)."),
    (
        "up",
        "gauge",
        (),
        "Whether the feed answered this scrape; if 0, the rest is what it last said.",
    ),
    ("loop_delay_seconds", "gauge", (), "How long the feed's event loop took to answer this scrape."),
    # what came
    ("frames_total", "counter", _CONNECTION, "Frames received."),
    ("events_total", "counter", ("channel",), "Events published, since metrics were started."),
    ("undecodable_total", "counter", _CONNECTION, "Frames that were not valid."),
    ("raw_total", "counter", _CONNECTION, "Frames, or fields of frames, that are valid but have no type."),
    ("exchange_errors_total", "counter", (), "Errors of the exchange that answered no request."),
    ("instruments", "gauge", (), "Instruments known."),
    # books
    ("books", "gauge", _CONNECTION, "Books held."),
    ("books_synced", "gauge", _CONNECTION, "Books whose top ten is proven now."),
    ("book_verified_total", "counter", _CONNECTION, "Book messages whose checksum matched."),
    ("book_mismatched_total", "counter", _CONNECTION, "Book messages whose checksum did not match."),
    (
        "book_crossed_total",
        "counter",
        _CONNECTION,
        "Book messages that left the best bid not below the best ask.",
    ),
    ("book_backwards_total", "counter", _CONNECTION, "Book messages whose timestamp ran backwards."),
    ("book_ignored_total", "counter", _CONNECTION, "Updates of a book that was not synced, or not held."),
    ("book_unproven_total", "counter", _CONNECTION, "Book messages without a checksum."),
    ("book_normalised_total", "counter", _CONNECTION, "Book messages verified only at the instrument's precisions."),
    ("book_invalidated_total", "counter", ("reason",), "Times that a synced book was found to be so no longer."),
    ("book_quarantined_total", "counter", (), "Times that a book failed too often and was left alone for a while."),
    ("resyncs_total", "counter", _CONNECTION, "Books proven again after they were invalidated."),
    ("resync_seconds", "histogram", (), "From the moment a book was invalidated until it was proven again."),
    ("audited_levels_total", "counter", ("method",), "Levels below the proven ones that were compared."),
    ("audit_wrong_levels_total", "counter", ("method",), "Levels that differed when they were compared."),
    # connections
    ("connection_up", "gauge", _CONNECTION, "Whether a connection that is wanted is open."),
    ("connection_epoch", "gauge", _CONNECTION, "How often a connection that is wanted was re-established."),
    ("disconnects_total", "counter", _CONNECTION, "Ends of a connection, and attempts to open it that failed."),
    ("reconnects_total", "counter", _CONNECTION, "Times that a connection was open again."),
    ("recovery_seconds", "summary", _CONNECTION, "From the end of a connection until everything of it was back."),
    ("subscriptions_rejected_total", "counter", ("channel",), "Subscriptions that were refused or never answered."),
    ("reading_pauses_total", "counter", _CONNECTION, "Times that a reader had reading paused."),
    (
        "reading_paused_seconds_total",
        "counter",
        _CONNECTION,
        "How long reading was paused, once it went on.",
    ),
    ("leader_changes_total", "counter", ("reason",), "Times that the other connection of a mirror took over."),
    # losses
    ("stalls_total", "counter", ("channel",), "Subscriptions that should speak and did not."),
    (
        "recovered_total",
        "counter",
        ("channel", "by"),
        "Stalled subscriptions that spoke again, by what did it.",
    ),
    (
        "probes_total",
        "counter",
        _CONNECTION,
        "Quiet subscriptions that were asked for again, to see whether they live.",
    ),
    ("gaps_total", "counter", ("channel",), "Known losses in a stream that could not be filled."),
    ("gap_events_total", "counter", ("channel",), "Events known to be lost for good; a gap of unknown size adds none."),
    ("backfilled_total", "counter", ("channel", "how"), "Events that were fetched after all, by where from."),
    ("trades_repeated_total", "counter", (), "Trades dropped because they had been given before."),
    # our own side
    ("loop_stalls_total", "counter", (), "Times that our own event loop stood still."),
    ("loop_stalled_seconds_total", "counter", (), "How long our own event loop stood still."),
    ("readers", "gauge", (), "Readers attached."),
    ("reader_lag_events", "gauge", _READER, "Events that wait for a reader."),
    ("reader_lag_seconds", "gauge", _READER, "How long the oldest of them has waited."),
    ("reader_delivered_total", "counter", _READER, "Events given to a reader."),
    ("reader_dropped_total", "counter", _READER, "Events a reader was not given because it was slow."),
    ("reader_overruns_total", "counter", _READER, "Readers that were cut off because they were too slow."),
    ("reader_conflated_total", "counter", _READER, "Events replaced by a newer one of the same kind and symbol."),
    ("reader_losses_total", "counter", _READER, "Times that a reader was told of a loss."),
    ("callback_failures_total", "counter", ("reader",), "Times that a reader's callback raised."),
    ("callback_slow_total", "counter", ("reader",), "Times that a reader's callback took too long."),
    # the journal, where there is one
    ("journal_recording", "gauge", (), "Whether the journal is being written: not while it is paused, or stopped."),
    ("journal_segments_total", "counter", (), "Segments of the journal that were begun."),
    ("journal_text_bytes_total", "counter", (), "Text that was written into the journal."),
    ("journal_written_bytes_total", "counter", (), "What that takes on the disk."),
    ("journal_backlog_bytes", "gauge", (), "Text that waits to be written into the journal."),
    ("journal_fsyncs_total", "counter", (), "Times that the journal was put on the medium."),
    ("journal_failures_total", "counter", (), "Writes of the journal, fsyncs and the like that failed."),
    ("journal_gaps_total", "counter", (), "Times that the journal went on behind inputs that it does not have."),
    ("journal_lost_total", "counter", (), "Inputs that the journal does not have."),
    ("journal_hook_failures_total", "counter", (), "Times that on_sealed raised."),
    # times
    (
        "stage_seconds",
        "histogram",
        ("stage",),
        "From a socket read on, until its frames are decoded, published, or consumed.",
    ),
    ("exchange_latency_seconds", "histogram", (), "From the exchange's time of an event to the socket read."),
    ("exchange_clock_offset_seconds", "gauge", (), "The exchange's clock less ours, as its answers tell."),
    ("exchange_clock_uncertainty_seconds", "gauge", (), "By how much that offset may be wrong, either way."),
    # single symbols, where that is wanted
    ("symbol_book_invalidated_total", "counter", ("symbol", "reason"), "The same by symbol, if asked for."),
    ("symbol_gaps_total", "counter", ("symbol", "channel"), "The same by symbol, if asked for."),
)

CATALOGUE = {row[0]: Metric(*row) for row in _ROWS}
