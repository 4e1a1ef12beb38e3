"""Acknowledgements, replies and pongs in every form they were seen in."""

from __future__ import annotations

import json

import pytest

from krakenwire.events import ExchangeError, Pong, Raw, Reply, Stamp
from krakenwire.protocol.wire.answers import Ack
from krakenwire.protocol.wire.codec import decode

STAMP = Stamp("public", 0, 1, 2)


def one(frame: bytes) -> object:
    decoded = decode(frame, stamp=STAMP, n=9, seq=4)
    assert len(decoded) == 1
    return decoded[0]


def ack(frame: bytes) -> Ack:
    answer = one(frame)
    assert isinstance(answer, Ack), answer
    return answer


def test_ack_tells_what_was_subscribed() -> None:
    assert one(
        b'{"method":"subscribe","req_id":42,"result":{"channel":"book","depth":10,"snapshot":true,"symbol":"BTC/USD"},'
        b'"success":true,"time_in":"2026-08-16T23:37:04.334090Z","time_out":"2026-08-16T23:37:04.334135Z"}'
    ) == Ack(
        method="subscribe",
        success=True,
        req_id=42,
        channel="book",
        symbol="BTC/USD",
        depth=10,
        snapshot=True,
        result=b'{"channel":"book","depth":10,"snapshot":true,"symbol":"BTC/USD"}',
        time_in="2026-08-16T23:37:04.334090Z",
        time_out="2026-08-16T23:37:04.334135Z",
        wire_name="BTC/USD",
    )


def test_ack_without_req_id_tells_interval_and_warnings() -> None:
    answer = ack(
        b'{"method":"subscribe","result":{"channel":"ohlc","interval":5,"snapshot":true,"symbol":"ALGO/USD",'
        b'"warnings":["timestamp is deprecated, use interval_begin"]},"success":true}'
    )
    assert (answer.req_id, answer.interval, answer.depth) == (None, 5, None)
    assert answer.warnings == ("timestamp is deprecated, use interval_begin",)


def test_ack_of_an_unsubscribe_tells_its_event_trigger() -> None:
    answer = ack(
        b'{"method":"unsubscribe","result":{"channel":"ticker","event_trigger":"bbo","symbol":"ALGO/USD"},"success":true}'
    )
    assert (answer.method, answer.event_trigger, answer.snapshot) == ("unsubscribe", "bbo", None)


@pytest.mark.parametrize(
    ("frame", "error", "symbol", "req_id"),
    [
        (
            b'{"error":"Already subscribed","method":"subscribe","req_id":2,"success":false,"symbol":"BTC/USD",'
            b'"time_in":"2025-12-20T07:39:28.809188Z","time_out":"2025-12-20T07:39:28.809200Z"}',
            "Already subscribed",
            "BTC/USD",
            2,
        ),
        (
            b'{"error":"Subscription depth not supported","method":"subscribe","success":false,'
            b'"time_in":"2026-08-16T23:54:19.629313Z","time_out":"2026-08-16T23:54:19.629343Z"}',
            "Subscription depth not supported",
            None,
            None,
        ),
        (
            b'{"error":"Currency pair not supported XLM/GBP","method":"subscribe","success":false,"symbol":"XLM/GBP"}',
            "Currency pair not supported XLM/GBP",
            "XLM/GBP",
            None,
        ),
        (
            b'{"error":"ESession:Invalid session","method":"subscribe","req_id":42,"status":"error","success":false}',
            "ESession:Invalid session",
            None,
            42,
        ),
        (
            b'{"error":"Exceeded msg rate","method":"subscribe","req_id":3,"success":false}',
            "Exceeded msg rate",
            None,
            3,
        ),
    ],
)
def test_failed_ack_gives_krakens_text_and_what_there_is_to_correlate_it(
    frame: bytes, error: str, symbol: str | None, req_id: int | None
) -> None:
    answer = ack(frame)
    assert (answer.success, answer.error, answer.symbol, answer.req_id) == (False, error, symbol, req_id)
    assert (answer.channel, answer.result) == (None, None)


@pytest.mark.parametrize(
    ("error", "symbol"),
    [
        ("Currency pair not supported XBT/USD", "XBT/USD"),
        ("Currency pair not in ISO 4217-A3 format *", "*"),
        ("Symbol(s) not found", None),
        ("Currency pair not supported", None),
    ],
)
def test_failed_ack_without_symbol_takes_the_one_named_in_its_text(error: str, symbol: str | None) -> None:
    answer = ack(json.dumps({"method": "subscribe", "success": False, "error": error}).encode())
    assert answer.symbol == symbol


@pytest.mark.parametrize("success", [None, "true", 1, {}])
def test_success_that_is_not_true_is_a_failure(success: object) -> None:
    answer = ack(json.dumps({"method": "subscribe", "result": {"channel": "book"}, "success": success}).encode())
    assert answer.success is False
    assert answer.error is None


def test_answer_that_does_not_say_whether_it_succeeded_failed() -> None:
    assert ack(b'{"method":"subscribe","result":{"channel":"book"}}').success is False
    assert ack(b'{"method":"unsubscribe","req_id":1}').success is False


def test_ack_is_read_leniently_so_that_nobody_waits_for_it_in_vain() -> None:
    answer = ack(
        b'{"method":"subscribe","req_id":"7","success":true,"symbol":null,"time_in":5,'
        b'"result":{"channel":1,"depth":"10","interval":2.5,"symbol":["A/B"],"snapshot":"yes","warnings":["w",5,null]}}'
    )
    assert answer.success
    assert {answer.req_id, answer.channel, answer.symbol, answer.depth, answer.interval} == {None}
    assert (answer.snapshot, answer.time_in, answer.warnings) == (None, None, ("w",))


@pytest.mark.parametrize("result", [b"[]", b"null", b'"book"', b"5"])
def test_ack_with_a_result_of_another_shape_still_counts(result: bytes) -> None:
    answer = ack(b'{"method":"subscribe","success":true,"result":' + result + b"}")
    assert answer.success
    assert answer.result == (None if result == b"null" else result)


def test_errors_in_an_array_are_kept_as_their_json() -> None:
    assert ack(b'{"method":"subscribe","success":false,"error":["EGeneral:A"]}').error == '["EGeneral:A"]'


def test_pong_echoes_req_id_and_has_the_times_of_the_exchange() -> None:
    frame = b'{"method":"pong","req_id":101,"time_in":"2023-09-24T14:10:23.799685Z","time_out":"2023-09-24T14:10:23Z"}'
    times = {"time_in": "2023-09-24T14:10:23.799685Z", "time_out": "2023-09-24T14:10:23Z"}
    assert one(frame) == Pong(stamp=STAMP, n=9, seq=4, req_id=101, **times)
    assert one(b'{"method":"pong"}') == Pong(stamp=STAMP, n=9, seq=4)
    assert one(b'{"method":"pong","success":true,"req_id":1,"result":{"warnings":["w"]}}') == Pong(
        stamp=STAMP, n=9, seq=4, req_id=1
    )


@pytest.mark.parametrize("tail", [b'"error":"no"', b'"success":false'])
def test_pong_that_failed_is_a_reply(tail: bytes) -> None:
    reply = one(b'{"method":"pong","req_id":1,' + tail + b"}")
    assert isinstance(reply, Reply)
    assert (reply.method, reply.success) == ("pong", False)


def test_refused_ping_is_a_reply_with_the_method_ping() -> None:
    text = "Unsupported field: 'params' for the given msg type: ping"
    frame = json.dumps({"error": text, "method": "ping", "req_id": 0, "success": False}).encode()
    assert one(frame) == Reply(stamp=STAMP, n=9, seq=4, method="ping", success=False, req_id=0, error=text)


def test_reply_keeps_its_result_undecoded() -> None:
    assert one(
        b'{"method":"add_order","req_id":11,"result":{"order_id":"AA5JGQ-SBMRC-SCJ7J7","warnings":["w"]},"success":true,'
        b'"time_in":"a","time_out":"b"}'
    ) == Reply(
        stamp=STAMP,
        n=9,
        seq=4,
        method="add_order",
        success=True,
        req_id=11,
        result=b'{"order_id":"AA5JGQ-SBMRC-SCJ7J7","warnings":["w"]}',
        warnings=("w",),
        time_in="a",
        time_out="b",
    )


def test_reply_to_a_batch_keeps_its_array() -> None:
    reply = one(b'{"method":"batch_add","req_id":14,"result":[{"order_id":"A"},{"error":"E"}],"success":false}')
    assert isinstance(reply, Reply)
    assert (reply.result, reply.success) == (b'[{"order_id":"A"},{"error":"E"}]', False)


def test_reply_to_batch_cancel_tells_the_count_beside_its_result() -> None:
    reply = one(b'{"method":"batch_cancel","orders_cancelled":2,"req_id":0,"success":true}')
    assert isinstance(reply, Reply)
    assert (reply.orders_cancelled, reply.result, reply.success) == (2, None, True)


def test_reply_that_failed_gives_krakens_text() -> None:
    reply = one(
        b'{"method":"add_order","req_id":99,"success":false,"error":"EOrder:Insufficient funds","symbol":"A/B"}'
    )
    assert isinstance(reply, Reply)
    assert (reply.success, reply.error, reply.symbol) == (False, "EOrder:Insufficient funds", "A/B")


@pytest.mark.parametrize(
    ("frame", "error", "req_id"),
    [
        (b'{"Error": "Exceeded msg rate"}', "Exceeded msg rate", None),
        (b'{"error":"Exceeded msg rate","req_id":5}', "Exceeded msg rate", 5),
        (b'{"error":null,"Error":"x"}', "x", None),
        (b'{"error":["a"]}', '["a"]', None),
    ],
)
def test_error_that_answers_nothing_is_an_exchange_error(frame: bytes, error: str, req_id: int | None) -> None:
    assert one(frame) == ExchangeError(stamp=STAMP, n=9, seq=4, error=error, req_id=req_id)


@pytest.mark.parametrize(
    ("frame", "method"),
    [
        (b'{"method":"subscribe","params":{"channel":"book","symbol":["MINA/GBP"],"depth":25}}', "subscribe"),
        (b'{"method":"ping","req_id":101}', "ping"),
        (b'{"method":"ping"}', "ping"),
        (b'{"method":"amend_order","params":{"order_id":"A","order_qty":5.1},"req_id":0}', "amend_order"),
    ],
)
def test_recorded_request_is_raw(frame: bytes, method: str) -> None:
    assert one(frame) == Raw(stamp=STAMP, n=9, seq=4, name=method, reason="request", frame=frame)
