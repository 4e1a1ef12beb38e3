"""For every rule of the conformance suite a server that breaks it, and breaks nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from helpers.conformance import Answer, Flaw, Tamper
from krakenwire.conform.plainbook import PlainOrders
from krakenwire.conform.wire import Frame, Number, decode, encode
from krakenwire.sim.feed.stream import Stream
from krakenwire.sim.peer import Peer

__all__ = ["FLAWS", "OBSERVED", "Sight"]


def rewrite(pattern: str, replacement: str = "", **more: Any) -> Flaw:
    """Frames altered; those that become empty are not sent."""
    return Flaw(faults=(("rewrite", {"pattern": pattern, "replacement": replacement} | more),))


def answers(pattern: str, replacement: str = "", **more: Any) -> Flaw:
    """Answers altered."""
    return rewrite(pattern, replacement, channel="answer", **more)


def rest(call: str, pattern: str, replacement: str = "") -> Flaw:
    """Answers of REST altered."""
    return Flaw(faults=(("rewrite_rest", {"call": call, "pattern": pattern, "replacement": replacement}),))


def fault(kind: str, **parameters: Any) -> Flaw:
    """A fault of any kind."""
    return Flaw(faults=((kind, parameters),))


def accepts(error: str, method: str = "", **more: Any) -> Flaw:
    """A refusal that is told as a success."""
    pattern = rf'\{{"error":"{error}",("method":"{method}.*)"success":false'
    return answers(pattern, r'{\1"success":true', **more)


def query(part: str, alter: Callable[[bytes], bytes], *, status: int = 200) -> Flaw:
    """The answer of REST to a query with this part, altered."""

    def tamper(path: str, asked: str, body: bytes, answer: Answer) -> tuple[int, bytes]:
        answered = answer(asked)
        return (status, alter(answered[1])) if part in f"{path}?{asked}" else answered

    return Flaw(rest=tamper)


def misread(call: str, alter: Callable[[str], str]) -> Flaw:
    """A call of REST that understands its query as another."""

    def tamper(path: str, asked: str, body: bytes, answer: Answer) -> tuple[int, bytes]:
        return answer(alter(asked) if path.endswith(call) else asked)

    return Flaw(rest=tamper)


def refuse_json(path: str, asked: str, body: bytes, answer: Answer) -> tuple[int, bytes]:
    """REST that does not take JSON."""
    return (200, b'{"error":["EAPI:Invalid signature"]}') if body.startswith(b"{") else answer(asked)


# --- functions that alter frames ---------------------------------------------------------------------------------


def no_heartbeat(*, with_data: bool) -> Callable[[], Tamper]:
    """No heartbeats on connections that were sent data of the market, or on those that were not."""

    def make() -> Tamper:
        busy: set[Peer] = set()

        def tamper(peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
            if stream is not None and stream.channel in ("book", "ticker", "trade"):
                busy.add(peer)
            return () if b'{"channel":"heartbeat"}' in frame and (peer in busy) == with_data else (frame,)

        return tamper

    return make


def cut_watcher() -> Tamper:
    """The connection that watches the book at depth 100 is cut in the middle."""
    counts: dict[Peer, int] = {}

    def tamper(peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
        if stream is not None and stream.variant == 100 and stream.channel == "book":
            counts[peer] = counts.get(peer, 0) + 1
            if counts[peer] == 450:
                asyncio.get_running_loop().call_soon(peer.abort)
        return (frame,)

    return tamper


def book_after_goodbye() -> Tamper:
    """One more frame of the book behind the answer that ended it."""
    last: dict[Peer, bytes] = {}

    def tamper(peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
        if stream is not None and stream.channel == "book":
            last[peer] = frame
        is_end = b'"method":"unsubscribe"' in frame and b'"channel":"book"' in frame
        return (frame, last[peer]) if is_end and b'"success":true' in frame and peer in last else (frame,)

    return tamper


def double_ticker(trigger: str) -> Callable[[], Tamper]:
    """Updates of the ticker with one trigger are sent twice."""

    def make() -> Tamper:
        def tamper(peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
            is_meant = stream is not None and stream.channel == "ticker" and stream.variant == trigger
            return (frame, frame) if is_meant and b'"type":"update"' in frame else (frame,)

        return tamper

    return make


def no_second_snapshot() -> Tamper:
    """A book that is subscribed again sends no snapshot: of ETH/USD, so that only one rule meets it."""

    def tamper(peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
        is_meant = stream is not None and stream.channel == "book" and stream.symbol == "ETH/USD"
        return () if is_meant and b'"type":"snapshot"' in frame else (frame,)

    return tamper


def double_status() -> Tamper:
    """Every status is sent twice."""
    return lambda peer, stream, frame: (frame, frame) if b'"channel":"status"' in frame else (frame,)


class _Orders(PlainOrders):
    """A level3 book that shows its worst level."""

    def crossing(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """An event that locks the book, and those that take it back together with what the depth took away."""
        bids = self._sides["bids"]
        price, worst = min(self._sides["asks"]), min(bids)
        order = {"order_id": "OCROSS-AAAAA-AAAAAA", "limit_price": price, "order_qty": Number("1.00000000")}
        lost = [
            {"event": "add", "order_id": order_id, "limit_price": Number(texts[0]), "order_qty": Number(texts[1])}
            for order_id, texts in bids[worst].items()
        ]
        return {"event": "add"} | order | STAMP, [{"event": "delete"} | order | STAMP, *(each | STAMP for each in lost)]


STAMP = {"timestamp": "2026-01-01T00:00:00.000000000Z"}


def crossed_orders() -> Tamper:
    """A level3 book that is locked once and right again with the next message, its checksums right all along."""
    books: dict[Peer, _Orders] = {}
    counts: dict[Peer, int] = {}
    undo: dict[Peer, list[dict[str, Any]]] = {}

    def seal(peer: Peer, message: dict[str, Any]) -> bytes:
        """The message with the checksum of the book that its reader has after it."""
        frame = Frame(encode(message), 0)
        books[peer].apply(frame.data[0], is_snapshot=frame.kind == "snapshot")
        message["data"][0]["checksum"] = books[peer].checksum()
        return encode(message)

    def tamper(peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
        if stream is None or stream.channel != "level3" or stream.variant != 10:
            return (frame,)
        counts[peer] = number = counts.get(peer, -1) + 1
        books.setdefault(peer, _Orders(10))
        message = decode(frame)
        if number == 5:
            added, undo[peer] = books[peer].crossing()
            message["data"][0]["bids"] = [added]
            first = message | {"data": [message["data"][0] | {"asks": []}]}
            return (seal(peer, first), seal(peer, _with(first, undo[peer])), seal(peer, decode(frame)))
        return (seal(peer, message),)

    return tamper


def _with(message: dict[str, Any], bids: list[dict[str, Any]]) -> dict[str, Any]:
    return message | {"data": [message["data"][0] | {"bids": bids}]}


def declined_snapshot() -> Tamper:
    """Open orders are sent though they were declined."""
    orders: list[str] = []

    def tamper(peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
        orders.extend(_added(frame))
        if b'"snap_orders":false,"snap_trades":false' not in frame or not orders:
            return (frame,)
        report = {"order_id": orders[-1], "exec_type": "new", "order_status": "new"}
        return (frame, encode({"channel": "executions", "type": "snapshot", "data": [report], "sequence": 1}))

    return tamper


def tell_pending() -> Tamper:
    """Who does not want transitions is told `pending_new` instead of `new`."""
    told: set[tuple[Peer, str]] = set()

    def tamper(peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
        if stream is None or stream.channel != "executions":
            return (frame,)
        for order_id in re.findall(r'"order_id":"([^"]*)"', frame.decode()):
            if b'"exec_type":"pending_new"' in frame:
                told.add((peer, order_id))
            elif (peer, order_id) not in told:
                frame = frame.replace(b'"exec_type":"new"', b'"exec_type":"pending_new"')
        return (frame,)

    return tamper


def endless(time_in_force: str) -> Callable[[], Tamper]:
    """The end of orders of one time in force is not told."""

    def make() -> Tamper:
        orders: set[str] = set()

        def tamper(peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
            if stream is None or stream.channel != "executions":
                return (frame,)
            found = re.findall(r'"order_id":"([^"]*)"', frame.decode())
            if f'"time_in_force":"{time_in_force}"'.encode() in frame:
                orders.update(found)
            return () if b'"exec_type":"canceled"' in frame and orders.intersection(found) else (frame,)

        return tamper

    return make


def delete_told_as_modify() -> Tamper:
    """On level3, an account's order that is cancelled is told as modified."""
    orders: set[str] = set()

    def tamper(peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
        orders.update(_added(frame))
        if stream is None or stream.channel != "level3" or b'"event":"add"' in frame:
            return (frame,)
        is_ours = orders.intersection(re.findall(r'"order_id":"([^"]*)"', frame.decode()))
        return (frame.replace(b'"event":"delete"', b'"event":"modify"') if is_ours else frame,)

    return tamper


def count_rates() -> Tamper:
    """Reports carry a counter, but for the first connection that has any."""
    peers: list[Peer] = []

    def tamper(peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
        if stream is None or stream.channel != "executions":
            return (frame,)
        if not peers:
            peers.append(peer)
        return (frame if peer is peers[0] else frame.replace(b'"exec_type"', b'"ratecount":5,"exec_type"'),)

    return tamper


def _added(frame: bytes) -> list[str]:
    """The order that an answer to add_order names."""
    return re.findall(r'"order_id":"([^"]+)"', frame.decode()) if b'"method":"add_order"' in frame else []


FAR_ASK = r'("type":"update".*"asks":\[)(\{)'
"""Where a level can be put before the asks of an update."""
NO_SUCCESS = r'\1"error":"EGeneral:Internal error",\2"success":false'

FLAWS: dict[str, Flaw] = {
    # answers
    "ack.shape": answers(r'("method":"subscribe".*"result":\{)"channel":"trade"', r'\1"kanal":"trade"'),
    "ack.times": answers(r'("method":"subscribe".*"time_in":"[^"]*)\.\d{6}Z"', r'\1Z"'),
    "ack.echoes_req_id": answers(r'"req_id":4711,', '"req_id":4712,'),
    "ack.no_req_id": answers(r'("method":"subscribe",)("result")', r'\1"req_id":0,\2'),
    "req_id.integer": answers(r'"req_id":9007199254740993', '"req_id":9007199254740992'),
    "ack.per_symbol": answers(r'("req_id":2201,"result":.*"symbol":")ETH/USD', r"\1BTC/USD"),
    "ack.once": Flaw(tamper=lambda: lambda peer, stream, frame: (frame,) * (2 if b'"req_id":5101,' in frame else 1)),
    "refusal.shape": answers(r'"error":("Currency pair not supported NOT/LISTED")', r'"error":[\1]'),
    "refusal.keeps_open": answers(r'.*"req_id":7301,.*'),
    # frames
    "frames.channel_or_method": rewrite(r'^\{"channel":', '{"method":"x","channel":', channel="trade"),
    "frames.data": rewrite(r'"type":"update"', '"type":"delta"', channel="ohlc"),
    "frames.one_element": rewrite(
        r'("type":"update".*"data":\[)(\{"symbol":"BTC/USD",.*"checksum":(\d+),"timestamp":("[^"]*")\})',
        r'\1\2,{"symbol":"BTC/USD","bids":[],"asks":[],"checksum":\3,"timestamp":\4}',
        channel="book",
    ),
    "frames.symbol": rewrite(r'"symbol":"BTC/USD"', '"symbol":"ETH/USD"', channel="ohlc"),
    "frames.sequence": rewrite(r'^\{"channel":"ticker",', '{"channel":"ticker","sequence":7,'),
    "numbers.are_numbers": rewrite(r'"qty":([\d.]+)', r'"qty":"\1"', channel="book"),
    "numbers.padded": rewrite(r'"qty":0\.([1-9]\d{7})', r'"qty":\1e-8', channel="book"),
    "timestamps.rfc3339": rewrite(r'("timestamp":"[^"]*)Z"', r'\1+00:00"', channel="ticker"),
    # subscribing
    "subscribe.already": answers(r'"error":"Already subscribed"(.*"req_id":2402,)', r'"error":"No"\1'),
    "subscribe.one_depth": answers(r'"error":"Already subscribed"(.*"req_id":2403,)', r'"error":"No"\1'),
    "subscribe.intervals": answers(r'("req_id":2405,)(.*)"success":true', NO_SUCCESS),
    "subscribe.snapshot": rewrite(r'^.*?"type":"snapshot".*?"interval":1,.*', channel="ohlc"),
    "subscribe.snapshot_false": rewrite(r'"type":"update"', '"type":"snapshot"', channel="ticker"),
    "unsubscribe.acked": answers(r'("method":"unsubscribe".*"channel":"trade","symbol":")BTC/USD', r"\1ETH/USD"),
    "unsubscribe.instrument": answers(r'("method":"unsubscribe".*"channel":"instrument")', r'\1,"snapshot":true'),
    "unsubscribe.echoes_depth": answers(r'("method":"unsubscribe".*"channel":"book","depth":)25', r"\g<1>10"),
    "unsubscribe.stops": Flaw(tamper=book_after_goodbye),
    "unsubscribe.new_snapshot": Flaw(tamper=no_second_snapshot),
    # lifecycle
    "status.greeting": rewrite(r'("channel":"status","type":")update', r"\1snapshot"),
    "status.fields": rewrite(r'"system":"online"', '"system":"asleep"'),
    "status.connection_id": rewrite(r'"connection_id":(\d+)', r'"connection_id":"\1"'),
    "pong.shape": answers(r'("method":"pong","req_id":101,.*),"time_out":"[^"]*"', r"\1"),
    "ping.without_req_id": answers(r'\{"method":"pong","time_in"', '{"method":"pong","req_id":0,"time_in"'),
    "heartbeat.shape": rewrite(r'\{"channel":"heartbeat"\}', '{"channel":"heartbeat","type":"update"}'),
    "heartbeat.rate": Flaw(tamper=no_heartbeat(with_data=False)),
    "heartbeat.unconditional": Flaw(tamper=no_heartbeat(with_data=True)),
    "heartbeat.needs_subscription": Flaw(
        tamper=lambda: (
            lambda peer, stream, frame: (
                (frame, b'{"channel":"heartbeat"}') if b'"channel":"status"' in frame else (frame,)
            )
        )
    ),
    "connection.kept": Flaw(tamper=cut_watcher),
    "inactivity": Flaw(server={"inactivity": 0.3}, seconds=90.0),
    "rate.exceeded": answers(r'\{"Error":"Exceeded msg rate"\}', '{"Error":"Slow down"}'),
    # ticker
    "ticker.fields": rewrite(r'("type":"snapshot".*),"vwap":[\d.]+', r"\1", channel="ticker"),
    "ticker.complete": rewrite(r'("type":"update".*),"low":[\d.]+', r"\1", channel="ticker"),
    "ticker.trigger_bbo": Flaw(tamper=double_ticker("bbo")),
    "ticker.trigger_trades": Flaw(tamper=double_ticker("trades")),
    "ticker.bid_below_ask": rewrite(r'"low":[\d.]+', '"low":99999999.0', channel="ticker"),
    # book
    "book.ack": answers(r'("method":"subscribe".*"channel":"book","depth":)25', r"\g<1>10"),
    "book.default_depth": rewrite(
        r'("type":"snapshot".*"bids":\[.*?)(\],"asks")',
        r'\1,{"price":0.01,"qty":1.00000000}\2',
        channel="book",
        symbol="ETH/USD",
    ),
    "book.depths": answers(r'("method":"subscribe",)(.*"depth":500,.*)"success":true', NO_SUCCESS),
    "book.fields": rewrite(r'"checksum":(\d+)', r'"checksum":"\1"', channel="book"),
    "book.snapshot_levels": rewrite(
        r'("type":"snapshot".*"bids":\[)(\{[^}]*\}),(\{[^}]*\})', r"\1\3,\2", channel="book"
    ),
    "book.snapshot_checksum": fault("corrupt_checksum", channel="book", type="snapshot", count=0),
    "book.checksum": fault("corrupt_checksum", channel="book", count=0, chance=0.1),
    "book.truncation": rewrite(FAR_ASK, r'\1{"price":9999999.0,"qty":0.00000000},\2', channel="book"),
    "book.update_within_depth": rewrite(FAR_ASK, r'\1{"price":9999999.0,"qty":1.00000000},\2', channel="book"),
    "book.update_timestamp": rewrite(r'("type":"update".*),"timestamp":"[^"]*"', r"\1", channel="book"),
    # level3
    "level3.needs_token": accepts(r"Token\(s\) not found", door="l3"),
    "level3.own_host": accepts(r"Token\(s\) not found", door="public"),
    "level3.ack": answers(r'("method":"subscribe".*"channel":"level3","depth":)100', r"\g<1>10"),
    "level3.depths": answers(r'("method":"subscribe",)(.*"level3","depth":1000,.*)"success":true', NO_SUCCESS),
    "level3.depth_refused": accepts("Subscription depth not supported", door="l3"),
    "level3.unsubscribe": answers(r'("method":"unsubscribe".*"channel":"level3",.*"symbol":")BTC', r"\1ETH"),
    "level3.snapshot_levels": rewrite(
        r'^(?=(?>.*?"order_id"){150})(.*"type":"snapshot".*?"bids":\[)(\{[^}]*\}),(.*?)\],"asks"',
        r'\1\3,\2],"asks"',
        channel="level3",
    ),
    "level3.fields": rewrite(r'("timestamp":"[^"]*)\.\d{9}Z"\}', r'\1Z"}', channel="level3"),
    "level3.checksum": fault("corrupt_checksum", channel="level3", count=0),
    "level3.truncation": rewrite(
        r'("type":"update".*"bids":\[)(\{)',
        r'\1{"event":"delete","order_id":"OXXXXX-XXXXX-XXXXXX","limit_price":0.1,"order_qty":1.00000000,'
        r'"timestamp":"2026-01-01T00:00:00.000000000Z"},\2',
        channel="level3",
    ),
    "level3.uncrossed": Flaw(tamper=crossed_orders),
    "level3.own_order": Flaw(tamper=delete_told_as_modify),
    # trade
    "trade.ack": answers(r'("method":"subscribe".*"channel":"trade","snapshot":)false', r"\1true"),
    "trade.no_snapshot_by_default": rewrite(r'"type":"update"', '"type":"snapshot"', channel="trade"),
    "trade.snapshot_50": rewrite(r'("type":"snapshot".*"trade_id":)\d+', r"\g<1>1", channel="trade"),
    "trade.fields": rewrite(r'("type":"update".*"ord_type":")\w+', r"\1iceberg", channel="trade"),
    "trade.ids_step": rewrite(r'("type":"update".*"trade_id":\d+)', r"\g<1>0", channel="trade"),
    # ohlc
    "ohlc.ack": answers(r'"warnings":\["timestamp is deprecated, use interval_begin"\]', '"warnings":[]'),
    "ohlc.intervals": answers(r'("method":"subscribe",)(.*"interval":21600,.*)"success":true', NO_SUCCESS),
    "ohlc.aligned": rewrite(
        r'"interval_begin":"([^"]*):00\.0{9}Z","interval":5,', r'"interval_begin":"\1:30.000000000Z","interval":5,'
    ),
    "ohlc.fields": rewrite(r'"trades":(\d+)', r'"trades":\1.5', channel="ohlc"),
    "ohlc.range": rewrite(r'"low":[\d.]+', '"low":99999999.0', channel="ohlc"),
    "ohlc.end": rewrite(r'("interval":1,"timestamp":")[^"]*', r"\g<1>1970-01-01T00:00:00.000000Z", channel="ohlc"),
    "ohlc.top_timestamp": rewrite(r'^(\{"channel":"ohlc","type":"\w+"),"timestamp":"[^"]*"', r"\1"),
    # instrument
    "instrument.ack": answers(r'"warnings":\["tick_size is deprecated, use price_increment"\]', '"warnings":[]'),
    "instrument.data_object": rewrite(r'"data":(\{.*\})\}$', r'"data":[\1]}', channel="instrument"),
    "instrument.asset_fields": rewrite(r'"precision_display":\d+', '"precision_display":null', channel="instrument"),
    "instrument.pair_fields": rewrite(r'"has_index":\w+', '"has_index":"yes"', channel="instrument"),
    "instrument.margin_fields": rewrite(r'"marginable":true', '"marginable":false', channel="instrument"),
    "instrument.unique": rewrite(r'"symbol":"ETH/USD"', '"symbol":"eth/usd"', channel="instrument"),
    # tokens
    "token.issue": rest("GetWebSocketsToken", '"expires":900', '"expires":600'),
    "token.json_body": Flaw(rest=refuse_json),
    "token.bad_signature": rest("GetWebSocketsToken", "EAPI:Invalid signature", "EAPI:Invalid key"),
    "token.bad_key": rest("GetWebSocketsToken", "EAPI:Invalid key", "EAPI:Invalid signature"),
    "token.replayed_nonce": rest(
        "GetWebSocketsToken", r'"error":\["EAPI:Invalid nonce"\]', '"error":[],"result":{"token":"x","expires":900}'
    ),
    "rest.balance": rest("Balance", r'"(\d+\.\d+)"', r"\1"),
    "token.missing": accepts(r"Token\(s\) not found", door="auth"),
    "token.invalid": accepts("EAPI:Invalid token", "subscribe", door="auth"),
    "token.order_invalid": answers(r'"error":"EAPI:Invalid token","method":"cancel_all"', '"error":"No","method":"x"'),
    # executions
    "executions.ack": answers(r'"maxratecount":\d+', '"maxratecount":181'),
    "executions.snap_orders": rewrite(
        r'("type":"snapshot".*"order_status":")new"', r'\1pending_new"', channel="executions"
    ),
    "executions.snap_trades": rewrite(r'("type":"snapshot".*"exec_type":")trade"', r'\1fill"', channel="executions"),
    "executions.snapshot_declined": Flaw(tamper=declined_snapshot),
    "executions.sequence": rewrite(r'"sequence":\d+', '"sequence":7', channel="executions"),
    "executions.new_order": rewrite(r'("exec_type":"pending_new".*)"limit_price":[\d.]+,', r"\1", channel="executions"),
    "executions.canceled": rewrite(
        r'("exec_type":"canceled".*),"reason":"User requested"', r"\1", channel="executions"
    ),
    "executions.lifecycle": rewrite(r'"exec_type":"filled"', '"exec_type":"done"', channel="executions"),
    "executions.trade_fields": rewrite(r'"liquidity_ind":"t"', '"liquidity_ind":"m"', channel="executions"),
    "executions.cumulates": rewrite(r'("exec_type":"trade".*"cum_cost":)[\d.]+', r"\g<1>1.0", channel="executions"),
    "executions.sparse_merge": rewrite(r'"order_qty":[\d.]+,(.*"order_type":"market")', r"\1", channel="executions"),
    "executions.order_status_false": Flaw(tamper=tell_pending),
    "executions.unsubscribe": answers(r'("method":"unsubscribe".*"channel":")executions', r"\1orders"),
    # balances
    "balances.snapshot": rewrite(
        r'("type":"snapshot".*"wallets":\[\{"type":"spot","id":"main","balance":)[\d.]+',
        r"\g<1>1.5",
        channel="balances",
    ),
    "balances.sequence": rewrite(r'"sequence":\d+', '"sequence":7', channel="balances"),
    "balances.entry_fields": rewrite(r'("type":"update".*"wallet_id":")main', r"\1x", channel="balances"),
    "balances.two_entries_share_ref": rewrite(
        r'"ref_id":"[^"]*"(,"timestamp":"[^"]*","type":"trade","asset":"USD")',
        r'"ref_id":"TXXXXX-XXXXX-XXXXXX"\1',
        channel="balances",
    ),
    "balances.running": rewrite(r'("type":"update".*"balance":)[\d.]+', r"\g<1>1.0", channel="balances"),
    # orders
    "add_order.tick": answers("EOrder:Tick size check failed", "EGeneral:Internal error"),
    "add_order.minimum": answers("EOrder:Order minimum not met", "EGeneral:Internal error"),
    "add_order.cost_minimum": answers("EOrder:Cost minimum not met", "EGeneral:Internal error"),
    "add_order.funds": answers("EOrder:Insufficient funds", "EGeneral:Internal error"),
    "add_order.symbol": accepts("EQuery:Unknown asset pair", "add_order"),
    "add_order.no_price": accepts("EGeneral:Invalid arguments:limit_price", "add_order"),
    "add_order.unsupported_field": answers("Unsupported field: 'colour'", "Unknown field", door="auth"),
    "add_order.cl_ord_id_unique": accepts("EGeneral:Invalid arguments:cl_ord_id not unique", "add_order"),
    "order.refusal_shape": answers(r'"error":("Unsupported field: \'shape\'[^"]*")', r'"error":[\1]'),
    "add_order.ack": answers(r'("method":"add_order".*"cl_ord_id":")', r"\1x"),
    "add_order.userref": answers('"order_userref":77', '"order_userref":78'),
    "add_order.validate": answers(r'"result":\{"order_id":""', r'"result":{"order_id":"OAAAAA-AAAAA-AAAAAA"'),
    "add_order.post_only": answers(
        r'\{"error":"EOrder:Post only order",("method":"add_order".*)"success":false',
        r'{\1"result":{"order_id":"OAAAAA-AAAAA-AAAAAA"},"success":true',
    ),
    "add_order.ioc": Flaw(tamper=endless("IOC")),
    "add_order.fok": Flaw(tamper=endless("FOK")),
    "add_order.gtd": rewrite('"exec_type":"expired"', '"exec_type":"canceled"', channel="executions"),
    # amends
    "amend.in_place": answers(r'"amend_id":"[^"]*",'),
    "amend.reported": rewrite(r'("exec_type":"amended".*"order_qty":)[\d.]+', r"\g<1>9.0", channel="executions"),
    "amend.by_cl_ord_id": answers(r'("method":"amend_order".*"cl_ord_id":")', r"\1x"),
    "amend.no_change": answers("No amendable parameters", "Nothing to do"),
    "amend.unknown": answers(r'EOrder:Unknown order","method":"amend_order"', 'EOrder:No","method":"amend_order"'),
    "amend.post_only": accepts("EOrder:Post only order", "amend_order"),
    "amend.priority": rewrite(
        r'\{"event":"delete","order_id":"([^"]*)"[^}]*\},\{"event":"add",("order_id":"\1")',
        r'{"event":"modify",\2',
        channel="level3",
    ),
    # cancels
    "cancel.one_answer_each": answers(r'("req_id":6120,.*"order_id":")[^"]*', r"\1OAAAAA-AAAAA-AAAAAA"),
    "cancel.by_cl_ord_id": answers(
        r'("method":"cancel_order".*"result":\{"cl_ord_id":"[^"]*")', r'\1,"order_id":"OAAAAA-AAAAA-AAAAAA"'
    ),
    "cancel.unknown": answers(r'"error":"[^"]*"(.*"req_id":5401)', r'"error":"EGeneral:Internal error"\1'),
    "cancel.twice": answers(r'"error":"[^"]*"(.*"req_id":5402)', r'"error":"EGeneral:Internal error"\1'),
    "cancel_all.count": answers(r'"result":\{"count":2\}', '"result":{"count":3}'),
    # REST
    "rest.envelope": rest("Time", r'"error":\[\]', '"error":{}'),
    "rest.status_200": query("Spread?pair=NOTAPAIR", lambda body: body, status=404),
    "rest.error_text": rest("Spread", r'\["EQuery:Unknown asset pair"\]', '["Unknown asset pair"]'),
    "rest.unknown_pair": rest("OHLC", "EQuery:Unknown asset pair", "EQuery:Unknown pair"),
    "rest.time": rest("Time", r'"unixtime":\d+', '"unixtime":1'),
    "rest.system_status": rest("SystemStatus", '"status":"online"', '"status":"asleep"'),
    "rest.assets": rest("Assets", r'"display_decimals":\d+,'),
    "rest.asset_pairs": rest("AssetPairs", r'"ordermin":"([^"]*)"', r'"ordermin":\1'),
    "rest.asset_pairs_filter": query(
        "AssetPairs?pair=", lambda body: body.replace(b'"result":{', b'"result":{"EXTRA":{},')
    ),
    "rest.asset_pairs_match_instrument": rest("AssetPairs", '"pair_decimals":1,', '"pair_decimals":2,'),
    "rest.spellings": query("pair=XBTUSD", lambda body: body.replace(b"XXBTZUSD", b"XBTUSD")),
    "rest.ticker": rest("Ticker", r'"a":\[("[^"]*"),"[^"]*",', r'"a":[\1,'),
    "rest.depth": rest("Depth", r'("asks":\[\["[^"]*","[^"]*",)(\d+)', r'\g<1>"\2"'),
    "rest.depth_count": misread("Depth", lambda asked: re.sub(r"count=3$", "count=5", asked)),
    "rest.depth_default": misread("Depth", lambda asked: asked if "count" in asked else f"{asked}&count=50"),
    "rest.trades_rows": rest("Trades", r'"[ml]",""', '"x",""'),
    "rest.trades_count": misread("Trades", lambda asked: asked.replace("count=7", "count=9")),
    "rest.trades_cursor": rest("Trades", r'"last":"(\d+)"', r'"last":\1'),
    "rest.ohlc_rows": rest("OHLC", r'"last":(\d+)', r'"last":"\1"'),
    "rest.ohlc_interval": query("interval=60", lambda body: re.sub(rb'\[(\d{9})\d,"', rb'[\g<1>7,"', body)),
    "rest.spread_rows": rest("Spread", r'"last":(\d+)', r'"last":"\1"'),
    # refusals
    "error.malformed": answers(r'\{"error":"Malformed request","success"', '{"error":"What?","success"'),
    "error.unknown_symbol": answers("Currency pair not supported XLM/QQQ", "Unknown XLM/QQQ"),
    "error.v1_name": answers("Currency pair not supported XBT/USD", "Unknown XBT/USD"),
    "error.not_iso": answers("Currency pair not in ISO 4217-A3 format BTCUSD", "Unknown BTCUSD"),
    "error.status_subscribe": answers(r"Symbol\(s\) not found", "No such channel"),
    "error.channel": answers("Subscription name invalid", "No such channel"),
    "error.symbol_array": answers("Pair field must be an array", "No array"),
    "error.unsupported_field": answers("Unsupported field: 'colour'", "Unknown field", door="public"),
    "book.depth_refused": answers("Subscription depth not supported", "No such depth"),
    "book.depth_integer": answers("Subscription book depth must be an integer", "No integer"),
    "ohlc.interval_refused": answers("Subscription ohlc interval not supported", "No such interval"),
    "ohlc.interval_integer": answers("Subscription ohlc interval must be an integer", "No integer"),
}


class Sight(NamedTuple):
    """What an observation says of a server that behaves otherwise than the simulator does."""

    flaw: Flaw
    seen: str


OBSERVED: dict[str, Sight] = {
    "observe.wildcard": Sight(answers(r"ISO 4217-A3 format \*", "any form *"), "any form"),
    "observe.unknown_method": Sight(answers("Unsupported event", "Event(s) not found"), "Event(s) not found"),
    "observe.string_req_id": Sight(answers("Malformed request", "Odd id"), "Odd id"),
    "observe.ohlc_count": Sight(
        rewrite(r'("type":"snapshot".*"data":\[)\{[^}]*"interval":15,[^}]*\},', r"\1", channel="ohlc"), "96 candles"
    ),
    "observe.status_again": Sight(Flaw(tamper=double_status), "4 status messages"),
    "observe.asset_class": Sight(
        rewrite(r'"precision_display"', '"class":"currency","precision_display"', channel="instrument"), "class"
    ),
    "observe.level3_modify": Sight(
        rewrite(r'("event":"modify"[^}]*"order_qty":)[\d.]+', r"\g<1>9999.0", channel="level3"), " did"
    ),
    "observe.token_words": Sight(answers("EAPI:Invalid token", "Authentication failed"), "Authentication failed"),
    "observe.token_reuse": Sight(
        answers(r'("req_id":1,)("result":\{"channel":"balances".*)"success":true', NO_SUCCESS), "Internal error"
    ),
    "observe.executions_steps": Sight(
        rewrite(r'"sequence":(\d+)', r'"sequence":\g<1>0', channel="executions"), "steps of 10"
    ),
    "observe.ratecounter": Sight(Flaw(tamper=count_rates), "ratecount"),
    "observe.fok_spelling": Sight(rewrite('"FOK"', '"fok"', channel="executions"), "fok"),
}
