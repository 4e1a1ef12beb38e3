"""Liveness of each subscription: which of them should speak and do not (PROTOCOL 3.2, 12).

A heartbeat says that the exchange is there, not that a book is alive, and one time-out for all streams is wrong for
nearly all of them. So the usual gaps of each stream are learned, once a second and not once a frame; a stream silent
for longer is *probed*: subscribed anew, which brings a snapshot. If that tells nothing new, the stream was only quiet.
If it does, or if there is no answer, it was mute. Other streams are witnesses: a ticker that shows another best bid
than a silent book has it probed at once.

    quiet ──silent for 0.7 x limit, or probe_after──► probed ──nothing new──► quiet, and trusted for longer
                                                        │ old news ──► Stalled and Recovered(by="resubscribe")
                                                        │ news of just then ──► REST is asked, the stream soon again
      a witness contradicts, no snapshot after an ack   │ no answer
                      └──────────► stalled ◄────────────┘
                                      │ resubscribed; still silent ──► the connection is opened anew, with restraint
                                      └ speaks ──► Recovered
"""

from __future__ import annotations

from collections.abc import Iterator

from krakenwire.book import BookState, parse_timestamp
from krakenwire.events import Ohlc, Ticker, Trade
from krakenwire.protocol.liveness.doubts import Doubts
from krakenwire.protocol.liveness.findings import Ask, Finding, Inquire, Reconnect, Revived, Stall
from krakenwire.protocol.liveness.gaps import SCARCE, SHORT_NS
from krakenwire.protocol.liveness.probe import Probe
from krakenwire.protocol.liveness.watched import Stream
from krakenwire.protocol.liveness.witnesses import Heard, is_repetition, news_of
from krakenwire.protocol.options import Options
from krakenwire.protocol.subscriptions import Key, State, SubscriptionTable
from krakenwire.protocol.wire.answers import Ack
from krakenwire.protocol.wire.symbols import Catalogue

__all__ = ["Liveness"]

_NS = 1_000_000_000
_SWEEP = 1 * _NS
"""How often all streams are looked at: no limit is shorter than some seconds."""
_EARLY = 0.7
"""Part of the limit after which a stream is probed, so that there is an answer, or none, when the limit is reached."""
_CONNECTION_SILENT = 3 * _NS
"""Heartbeats come once a second (PROTOCOL 3.2): without any frame it is the connection that is judged."""
_ANSWER = 5 * _NS
"""How long the snapshot may take after a probe went out, and after a stalled stream was subscribed anew."""
_UNUSUAL_ANSWER = 2 * _NS
"""The same where the silence itself is unusual."""
_LOOK_AGAIN = 10 * _NS
"""How long a stream may be silent after a probe that proved nothing, though it told something new; twice that after the
second such one in a row, and so on: a subscription that only ever brings snapshots is mute too."""
_TOGETHER = 0.8
"""Part of `probe_after` after which a stream is probed along with one that is due, in the same request."""
_PROBES_PER_SWEEP = 100
_RECONNECTS = 3
"""Reconnects for the sake of one stream; if it is silent still, it is the exchange's, and no reconnect will help."""
_HAVE_SNAPSHOT = frozenset({"book", "ticker", "ohlc", "instrument"})
"""Channels whose subscription is answered by a snapshot, unasked (PROTOCOL 2.4)."""
_MAY_BE_EMPTY = frozenset({"trade", "ohlc"})
"""Channels whose snapshot tells nothing of a symbol that has never traded."""
_JUDGED = frozenset({"book", "trade", "ticker", "ohlc"})
"""Channels that are expected to speak on after it; reference data need never change."""
_TRADED = frozenset({"online", "limit_only", "reduce_only"})
"""Statuses of an instrument in which it goes on being traded, so that silence means something (PROTOCOL 3.9)."""


class Liveness:
    """Judges the subscriptions of one connection.

    Args:
        options: numbers.
        catalogue: says which instruments are traded now.
        table: the subscriptions.

    Attributes:
        heard: the last message of each stream but the books, which know theirs.
        found: what the session is to do and to tell; taken and cleared by it.
        is_probing: some stream is being probed: its snapshot is to be shown to `is_repeated` and `look_at_books`.
        stalls: streams found mute.
        probes: streams subscribed anew to find out.
    """

    def __init__(self, options: Options, catalogue: Catalogue, table: SubscriptionTable) -> None:
        self.heard = Heard()
        self.found: list[Finding] = []
        self.is_probing = False
        self.stalls = 0
        self.probes = 0
        self._catalogue = catalogue
        self._table = table
        self._stall_after: int = round(options.stall_after * _NS)
        self._multiple = options.stall_multiple
        self._probe_after: int = round(options.probe_after * _NS)
        self._backoff: int = round(options.quarantine * _NS)
        self._backoff_limit: int = round(options.quarantine_limit * _NS)
        self._first_look: int = min(round(self._stall_after * _EARLY), self._probe_after)
        self._streams: dict[Key, Stream] = {}
        self._books: dict[str, Stream] = {}
        self._peers: dict[str | None, list[Stream]] = {}
        self._probed: dict[Stream, None] = {}
        self._doubts = Doubts(self.heard, self._books, self._probe_after)
        self._is_online = True
        self._sweep_at: int | None = None
        self._reconnect_at = 0
        self._reconnect_wait = 0

    # --- what happens to the subscriptions ---------------------------------------------------------------------------

    def subscribed(self, key: Key, ack: Ack, book: BookState | None, now: int) -> None:
        """Kraken has acknowledged a subscription.

        Args:
            key: its identity.
            ack: the answer.
            book: its book, if it is one.
            now: monotonic nanoseconds.
        """
        stream = self._streams.get(key)
        if stream is None:
            peers = self._peers.setdefault(key.symbol, [])
            stream = self._streams[key] = Stream(key, *self.heard.where(key), peers)
            peers.append(stream)
        stream.is_active = True
        if key.channel == "book" and key.symbol is not None:
            stream.book = book
            self._books[key.symbol] = stream
        if stream.probe is not None:
            stream.probe.back(_exchange_ns(ack.time_in))
        else:
            stream.awaits_snapshot = key.channel in _HAVE_SNAPSHOT
            stream.hear()
            stream.since = now
            stream.gap_from = stream.last_before = None
            stream.subscribed_ns = _exchange_ns(ack.time_in)
            stream.doubtful = 0
            stream.look_at = now + self._first_look
        if stream.is_stalled:
            if stream.resumed_by == "itself":
                stream.resumed_by = "resubscribe"
            stream.retry_at = max(stream.retry_at, now + _ANSWER)
            stream.look_at = now
        if self._sweep_at is None:
            self._sweep_at = now + _SWEEP

    def left(self, key: Key, ack: Ack) -> None:
        """Kraken has ended a subscription."""
        stream = self._streams.get(key)
        if stream is None:
            return
        stream.is_active = False
        probe = stream.probe
        if probe is not None:
            if stream.last_n() != stream.heard_n:  # it spoke after the probe was decided on
                probe.has_spoken = True
                stream.since = stream.hear()
            book = stream.book
            is_synced = book is not None and book.status == "synced"
            probe.left(_exchange_ns(ack.time_in), book if is_synced else None, stream.last())

    def keeps(self, key: Key) -> bool:
        """Whether what is held of a subscription that just ended stays good until its snapshot, which is on its way.

        During a probe it does: nothing came for a while, and in one round trip more hardly anything will; if the
        snapshot stays out, the book is withheld then.
        """
        stream = self._streams.get(key)
        return stream is not None and stream.probe is not None and stream.probe.content is not None

    def wants_snapshot(self, key: Key) -> bool:
        """Whether the snapshot of a channel that sends none unasked is wanted (PROTOCOL 2.4): it answers the probe."""
        stream = self._streams.get(key)
        return stream is not None and (stream.probe is not None or stream.is_stalled)

    def forget(self, key: Key) -> None:
        """It is subscribed no longer."""
        stream = self._streams.pop(key, None)
        if stream is None:
            return
        self._end_probe(stream)
        self._doubts.drop(stream)
        stream.peers.remove(stream)
        if not stream.peers:
            del self._peers[key.symbol]
        if key.channel != "book":
            stream.messages.pop(stream.name, None)
        elif key.symbol is not None and self._books.get(key.symbol) is stream:
            del self._books[key.symbol]
        if not self._streams:
            self._sweep_at = None

    def disconnected(self) -> None:
        """Nothing is acknowledged any more; what was learned is kept."""
        for stream in self._streams.values():
            stream.is_active = False
            stream.probe = None
            if stream.is_stalled:
                stream.resumed_by = "reconnect"
        self._probed.clear()
        self.is_probing = False
        self._doubts.clear()
        self._sweep_at = None

    # --- what excuses silence ----------------------------------------------------------------------------------------

    def restart(self, now: int, symbol: str | None = None) -> None:
        """Silence counts from now on: reading was paused, or the market was. All streams, or those of one symbol."""
        for stream in self._streams.values():
            if symbol is None or stream.key.symbol == symbol:
                self._excuse(stream, now)

    def shift(self, stalled_ns: int, now: int) -> None:
        """For `stalled_ns` it was we who did nothing: that is nobody's silence."""
        for stream in self._streams.values():
            stream.since = min(stream.since + stalled_ns, now)
            stream.look_at += stalled_ns
            stream.retry_at += stalled_ns
            if stream.gap_from is not None:
                stream.gap_from = min(stream.gap_from + stalled_ns, now)
            if stream.probe is not None:
                stream.probe.shift(stalled_ns)
        self._doubts.shift(stalled_ns)

    def set_engine(self, system: str, now: int) -> None:
        """The state of the matching engine (PROTOCOL 3.1): unless it is `online`, nothing is judged."""
        was_online, self._is_online = self._is_online, system == "online"
        if self._is_online and not was_online:
            self.restart(now)

    # --- snapshots that answer a probe -------------------------------------------------------------------------------

    def receive_nothing(self) -> None:
        """A message without an item came: the snapshot of candles of a symbol that has never traded, whichever it is.

        It names no symbol, so no stream of candles is expected to begin with one any more.
        """
        for stream in self._streams.values():
            if stream.key.channel == "ohlc":
                stream.awaits_snapshot = False

    def receive_snapshot(self, item: Trade | Ohlc, now: int) -> bool:
        """An item of a snapshot came; `conclude` follows when the frame is over.

        Returns:
            Whether it answers a probe and tells what was not told before.
        """
        is_new = False
        for stream in self._of(item):
            if stream.probe is not None and stream.probe.is_back:
                news = news_of(item, stream.probe.held, stream.key, stream.subscribed_ns)
                stream.probe.answer(news)
                is_new = is_new or news.is_new
            elif stream.is_stalled and stream.is_active:
                stream.heard_at = now  # it need not hold anything new
                self._spoke(stream)
        self.heard.keep(item)
        return is_new

    def is_repeated(self, ticker: Ticker) -> bool:
        """Whether the snapshot of a ticker answers a probe and tells what was told before; else it is kept."""
        for stream in self._of(ticker):
            if stream.probe is not None and stream.probe.is_back:
                stream.probe.answer(news_of(ticker, stream.probe.held, stream.key, stream.subscribed_ns))
                if is_repetition(ticker, stream.last()):
                    return True
        self.heard.tickers[ticker.symbol] = ticker
        return False

    def is_same_book(self, symbol: str, now: int) -> bool:
        """A proven snapshot of a book came: whether it answers a probe, and holds what was held before."""
        stream = self._books.get(symbol)
        probe = None if stream is None else stream.probe
        if stream is None or stream.book is None or probe is None or probe.content is None or not probe.is_back:
            return False
        probe.answer_book(stream.book)
        self._settle(stream, now)
        return not probe.is_new

    def conclude(self, now: int) -> None:
        """A frame is over: what snapshots in it answered is settled."""
        for stream in list(self._probed):
            if stream.probe is not None and stream.probe.is_answered:
                self._settle(stream, now)

    def confirm(self, inquiry: Inquire) -> None:
        """What a probe could not prove is proven: the stream had been mute. Harmless if that is known, or over."""
        stream = self._streams.get(inquiry.key)
        if stream is not None and not stream.is_stalled:
            self._was_mute(stream, inquiry.silent_ns, "probe")

    # --- judging -----------------------------------------------------------------------------------------------------

    def next_deadline(self) -> int | None:
        """When `sweep` is due (monotonic ns), None while nothing is subscribed."""
        return self._sweep_at

    def sweep(self, now: int, received_at: int) -> None:
        """Look at every stream; `received_at` is when the last frame of any kind came."""
        if self._sweep_at is None or now < self._sweep_at:
            return
        self._sweep_at = now + _SWEEP
        self.heard.shed(self._streams)
        is_judged = self._is_online and now - received_at < _CONNECTION_SILENT
        due: list[Stream] = []
        spoke: list[Stream] = []
        first_look = self._first_look
        for stream in self._streams.values():
            # `last_n` and `hear`, written out: this is all that most streams are looked at for.
            source = stream.book
            if source is None:
                source = stream.messages.get(stream.name)
            if source is not None and source.n != stream.heard_n:
                stream.heard_n = source.n
                at = stream.heard_at = source.stamp.received_mono_ns
                gap_from = stream.gap_from
                if gap_from is not None:
                    gap = at - gap_from
                    if gap <= SHORT_NS:
                        stream.gaps.short += 1
                    else:
                        stream.gaps.add(gap)
                # What excuses silence may be later than a message that is only seen now.
                stream.since = stream.gap_from = at = max(at, stream.since)
                stream.look_at = at + first_look
                if stream.is_stalled or stream.probe is not None or stream.awaits_snapshot or stream.doubtful:
                    self._spoke(stream)
                if len(stream.peers) > 1:
                    spoke.append(stream)
            elif is_judged and now >= stream.look_at and self._judge(stream, now):
                due.append(stream)
        if not is_judged:
            for stream in self._probed:
                if stream.probe is not None:
                    stream.probe.wait_from(now)  # answers do not come either
            return
        for stream in spoke:
            self._doubts.hear(stream, now)
        if due:
            self._ask(due, now)
        if self._doubts:
            self._weigh_doubts(now)

    def limit_ns(self, stream: Stream) -> int:
        """The silence that is usual at most: the larger of `stall_after` and a multiple of the learned percentile."""
        usual = stream.gaps.usual_ns()
        if usual is None:
            return self._probe_after
        return max(self._stall_after, round(self._multiple * usual), stream.raised)

    def stream(self, key: Key) -> Stream | None:
        """What is known of one subscription, or None."""
        return self._streams.get(key)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _judge(self, stream: Stream, now: int) -> bool:
        """Whether a probe is due; a stream that is found mute, or is in the midst of something, is seen to here."""
        if stream.is_stalled:
            self._retry(stream, now)
            return False
        silent = now - stream.since
        if stream.probe is not None:
            self._wait_for_answer(stream, silent, now)
            return False
        if not (stream.is_active and self._is_settled(stream.key)):
            return False  # it is on its way, or being left
        if stream.awaits_snapshot:
            if silent + _SWEEP >= self._stall_after:
                self._found_mute(stream, silent, self._stall_after, "silence", now)
            return False
        if stream.key.channel not in _JUDGED:
            stream.look_at = now + self._probe_after
            return False
        due_at = stream.since + self._patience(stream)
        if now < due_at:
            stream.look_at = due_at
            return False
        return True

    def _patience(self, stream: Stream) -> int:
        """The silence after which it is probed."""
        if stream.doubtful:
            return min(_LOOK_AGAIN << min(stream.doubtful - 1, 16), self._probe_after)
        if not stream.gaps.seen:
            return self._probe_after
        return min(self._probe_after, max(round(self.limit_ns(stream) * _EARLY), stream.raised))

    def _is_settled(self, key: Key) -> bool:
        sub = self._table.get(key)
        return sub is not None and sub.state is State.ACTIVE and sub.desired and not sub.renew

    def _is_excused(self, stream: Stream, now: int) -> bool:
        symbol = stream.key.symbol
        instrument = None if symbol is None else self._catalogue.get(symbol)
        if instrument is None or instrument.status in _TRADED:
            return False
        self._excuse(stream, now)
        return True

    def _excuse(self, stream: Stream, now: int) -> None:
        stream.since = now
        stream.gap_from = None if stream.gap_from is None else now
        stream.look_at = now + self._first_look
        stream.retry_at = max(stream.retry_at, now + _ANSWER)
        self._doubts.drop(stream)

    def _ask(self, due: list[Stream], now: int) -> None:
        """Probe those that are due, and with them those that soon will be and fit in the same requests."""
        alike = {(stream.key.channel, stream.key.option) for stream in due}
        soon = round(self._probe_after * _TOGETHER)
        asked = dict.fromkeys(due)
        for stream in self._streams.values():
            key = stream.key
            if (
                now - stream.since >= soon
                and (key.channel, key.option) in alike
                and not (stream.is_stalled or stream.awaits_snapshot or stream.probe is not None)
                and now - stream.since >= self._patience(stream) * _TOGETHER
                and stream.is_active
                and self._is_settled(key)
            ):
                asked.setdefault(stream)
        number = 0
        for stream in asked:
            if number == _PROBES_PER_SWEEP:
                break  # the others are due still
            if self._is_excused(stream, now):
                continue
            number += 1
            self._probe(stream, now, None)

    def _probe(self, stream: Stream, now: int, witness: str | None) -> None:
        silent = now - stream.since
        is_unusual = witness is not None or (stream.gaps.seen > 0 and silent >= round(_EARLY * self.limit_ns(stream)))
        # What few gaps show is no proof: a stream may be quiet for long after a burst that it began with.
        is_learned = stream.gaps.seen >= SCARCE or stream.key.event_trigger == "bbo"  # nobody knows more of quotes
        is_proof = witness is not None or (is_unusual and is_learned)
        held = stream.last()
        stream.probe = Probe(is_unusual=is_unusual, is_proof=is_proof, silent_ns=silent, held=held, witness=witness)
        stream.look_at = now
        self._probed[stream] = None
        self.is_probing = True
        self.probes += 1
        self.found.append(Ask(stream.key))

    def _wait_for_answer(self, stream: Stream, silent: int, now: int) -> None:
        probe = stream.probe
        assert probe is not None  # noqa: S101  # what it is called for
        if probe.sent_at is None:
            sub = self._table.get(stream.key)
            if sub is not None and not (sub.state is State.ACTIVE and sub.renew):
                probe.sent_at = now
            return
        waited = now - probe.sent_at
        if probe.is_back and (probe.is_alive or (stream.key.channel in _MAY_BE_EMPTY and probe.held is None)):
            if waited >= _ANSWER:  # it lives, or there was never a trade, so there need be nothing in the snapshot
                self._settle(stream, now)
            return
        limit = self.limit_ns(stream)
        if waited < (_UNUSUAL_ANSWER if probe.is_unusual else _ANSWER):
            return
        if probe.is_unusual and probe.witness is None and silent + _SWEEP < limit:
            return
        if self._is_excused(stream, now):
            return
        evidence = probe.witness or ("silence" if probe.is_unusual else "probe")
        self._found_mute(stream, silent, limit, evidence, now)

    def _settle(self, stream: Stream, now: int) -> None:
        """The probe of a stream is over: it was mute, or only quiet."""
        probe = stream.probe
        assert probe is not None  # noqa: S101  # what it is called for
        silent = max(now - stream.since, probe.silent_ns)
        if probe.proves_mute:
            stream.gap_from = now
            self._was_mute(stream, silent, probe.witness or "probe")
        elif probe.is_inconclusive:
            stream.gap_from = now  # it is not known whether the gap is to be learned
            stream.doubtful += 1
            inquiry = probe.inquiry(stream.key)
            if inquiry is not None:
                self.found.append(inquiry)
        else:
            stream.doubtful = 0
            if not probe.has_spoken:
                stream.raised = min(max(stream.raised, 2 * silent), self._probe_after)
        self._end_probe(stream)
        stream.since = now
        stream.hear()
        stream.look_at = now + (_LOOK_AGAIN if stream.doubtful else self._first_look)
        self._doubts.drop(stream)

    def _was_mute(self, stream: Stream, silent: int, evidence: str) -> None:
        """A probe has brought it back already."""
        stream.doubtful = 0
        self.stalls += 1
        self.found.append(Stall(stream.key, silent, self.limit_ns(stream), evidence, is_over=True))
        self.found.append(Revived(stream.key, silent, "resubscribe"))

    def _end_probe(self, stream: Stream) -> None:
        stream.probe = None
        self._probed.pop(stream, None)
        self.is_probing = bool(self._probed)

    def _found_mute(self, stream: Stream, silent: int, limit: int, evidence: str, now: int) -> None:
        was_probed = stream.probe is not None and stream.probe.sent_at is not None
        self._end_probe(stream)
        self._doubts.drop(stream)
        self.stalls += 1
        stream.is_stalled = True
        stream.stalled_from = now - silent
        stream.resumed_by = "resubscribe" if was_probed else "itself"
        stream.retries = 0
        stream.retry_at = now + _ANSWER
        stream.look_at = now
        self.found.append(Stall(stream.key, silent, limit, evidence, renew=not was_probed))

    def _retry(self, stream: Stream, now: int) -> None:
        """Of a stalled stream: ask again, or have the connection opened anew, each time more patiently."""
        if now < stream.retry_at or not self._is_settled(stream.key) or self._is_excused(stream, now):
            return
        if stream.reconnects < _RECONNECTS and now >= self._reconnect_at:
            self._give_up(stream, now)
            return
        wait = min(self._backoff << min(stream.retries, 16), self._backoff_limit)
        stream.resumed_by = "resubscribe"
        stream.retries += 1
        stream.retry_at = now + wait
        self.found.append(Ask(stream.key))

    def _give_up(self, stream: Stream, now: int) -> None:
        """Open the connection anew, for the sake of all streams that are stalled."""
        for other in self._streams.values():
            other.reconnects += other.is_stalled
        if now - self._reconnect_at >= 2 * self._backoff_limit:
            self._reconnect_wait = 0
        self._reconnect_wait = min(max(2 * self._reconnect_wait, self._backoff), self._backoff_limit)
        self._reconnect_at = now + self._reconnect_wait
        self.found.append(Reconnect(stream.key))

    def _spoke(self, stream: Stream) -> None:
        """A stream that something was expected of has spoken, at `heard_at`."""
        stream.awaits_snapshot = False
        stream.doubtful = 0
        if stream.is_stalled:
            stream.is_stalled = False
            stream.reconnects = 0
            stream.gap_from = stream.heard_at
            silent = stream.heard_at - stream.stalled_from
            self.found.append(Revived(stream.key, silent, stream.resumed_by))
        probe = stream.probe
        if probe is None:
            return
        if probe.is_left and stream.book is None:
            probe.is_alive = True  # now; the snapshot, which tells of before, is to come still
            return
        probe.has_spoken = True
        if probe.is_back:
            self._settle(stream, stream.heard_at)

    def _of(self, item: Trade | Ticker | Ohlc) -> Iterator[Stream]:
        """The streams that a message may belong to."""
        for sub in self._table.of(item.channel, item.symbol):
            stream = self._streams.get(sub.key)
            if stream is not None and not (isinstance(item, Ohlc) and item.interval != sub.key.interval):
                yield stream

    def _weigh_doubts(self, now: int) -> None:
        for stream, witness in self._doubts.weigh(now):
            if self._is_settled(stream.key) and not self._is_excused(stream, now):
                # A witness may err: Kraken need not tell its channels in one order. So it is asked first.
                self._probe(stream, now, witness.channel)
                stream.doubted_at = now


def _exchange_ns(text: str | None) -> int | None:
    try:
        return None if text is None else parse_timestamp(text)
    except ValueError:
        return None
