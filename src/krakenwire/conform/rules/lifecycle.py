"""PROTOCOL 2.5, 3.1 to 3.3, 9.2, 9.3: how a connection begins, what keeps it and what ends it."""

from __future__ import annotations

from itertools import pairwise

from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import in_words
from krakenwire.net.endpoints import is_loopback

__all__ = [
    "connection_kept",
    "heartbeat_needs_subscription",
    "heartbeat_rate",
    "heartbeat_shape",
    "heartbeat_unconditional",
    "inactivity",
    "ping_without_req_id",
    "pong_shape",
    "rate_exceeded",
    "status_connection_id",
    "status_fields",
    "status_greeting",
]

SYSTEMS = ("online", "cancel_only", "post_only", "maintenance")
QUIET_S = 1.5
"""Longer than a heartbeat's second."""
LONGEST_SILENCE_NS = 4_000_000_000
"""Four missed heartbeats: less is a slow network (the worst gap measured was 1.12 s)."""
FLOOD = 1000


@rule("status.greeting", "2.5", "DOC", "WIRE", lane="requests")
async def status_greeting(subject: Subject) -> str | None:
    """The first frame after the upgrade is one of the channel `status`, of type update."""
    async with subject.apart() as line:
        first = await line.wait(lambda _: True)
        if first is None:
            broken("a status frame at once", f"no frame within {line.patience:g} s")
        expect(first.channel == "status" and first.kind == "update", "a status update", "another frame first", first)
    return None


@rule("status.fields", "3.1", "DOC", "WIRE", lane="requests")
async def status_fields(subject: Subject) -> str | None:
    """A status has `system` (online, cancel_only, post_only or maintenance), `api_version` v2 and `version`."""
    async with subject.apart() as line:
        status = await line.wait(lambda frame: frame.channel == "status")
        if status is None:
            raise NotTested("needs the status frame, which did not come")
        expect(len(status.data) == 1, "one element in `data`", len(status.data), status)
        shape = {"system": "|".join(SYSTEMS), "api_version": "v2|", "version": "text"}
        expect_shape(status.data[0], shape)
        return f"{status.data[0].text('system')}, version {status.data[0].text('version')}"


@rule("status.connection_id", "3.1", "DOC", "WIRE", lane="requests")
async def status_connection_id(subject: Subject) -> str | None:
    """`connection_id` of a status is an unsigned 64-bit integer."""
    async with subject.apart() as line:
        status = await line.wait(lambda frame: frame.channel == "status" and bool(frame.data))
        if status is None:
            raise NotTested("needs the status frame, which did not come")
        expect_shape(status.data[0], {"connection_id": "integer"})
        value = status.data[0].integer("connection_id")
        expect(0 <= value < 2**64, "a number of 64 bits without sign", value, status)
    return None


@rule("pong.shape", "3.3", "DOC", "WIRE", lane="requests")
async def pong_shape(subject: Subject) -> str | None:
    """A ping is answered by `"method":"pong"` with its `req_id`, `time_in` and `time_out`."""
    async with subject.line() as line:
        pong = await line.answer("ping", req_id=101)
        expect_shape(pong.item, {"method": "pong|", "req_id": "integer", "time_in": "time", "time_out": "time"})
        expect(pong.item.integer("req_id") == 101, "`req_id` 101", in_words(pong.item.get("req_id")), pong)
    return None


@rule("ping.without_req_id", "2.2", "DOC", "WIRE", lane="requests")
async def ping_without_req_id(subject: Subject) -> str | None:
    """The pong of a ping without `req_id` has none either."""
    async with subject.line() as line:
        pong = await line.answer("ping", req_id=None)
        expect("req_id" not in pong.item, "no `req_id`", in_words(pong.item.get("req_id")), pong)
    return None


@rule("heartbeat.shape", "3.2", "DOC", "WIRE", lane="watch")
async def heartbeat_shape(subject: Subject) -> str | None:
    """A heartbeat is `{"channel":"heartbeat"}` and nothing else."""
    beats = await subject.watch.heartbeats()
    if not beats:
        raise NotTested(f"no heartbeat came in {subject.target.seconds:g} s")
    for beat in beats:
        expect(set(beat.fields) == {"channel"}, "no field but `channel`", ", ".join(beat.fields), beat)
    return f"{len(beats)} heartbeats"


@rule("heartbeat.rate", "3.2", "DOC", "WIRE", lane="apart")
async def heartbeat_rate(subject: Subject) -> str | None:
    """With a subscription but no data, a heartbeat comes about once a second."""
    async with subject.apart() as line:
        await line.subscribed("instrument", snapshot=False)
        begin = len(line.frames)
        count = 0
        for _ in range(2):
            beat = await line.wait(lambda frame: frame.channel == "heartbeat", since=begin, within=QUIET_S * 2)
            if beat is None:
                break
            begin = line.frames.index(beat, begin) + 1
            count += 1
        expect(count == 2, "two heartbeats within a few seconds", f"{count} within {QUIET_S * 2:g} s of the last")
    return None


@rule("heartbeat.unconditional", "3.2", "WIRE", lane="watch")
async def heartbeat_unconditional(subject: Subject) -> str | None:
    """Heartbeats come about once a second while data flows too."""
    beats = await subject.watch.heartbeats()
    lines = await subject.watch.lines()
    lasted_s = (subject.clock.monotonic_ns() - lines[0].opened_ns) / 1e9
    if lasted_s < QUIET_S * 2 and len(beats) < 2:
        raise NotTested(f"watched only {lasted_s:.1f} s; --seconds 3 or more would do")
    expect(
        len(beats) >= lasted_s / 2 - 1, "a heartbeat about every second", f"{len(beats)} in {lasted_s:.1f} s of data"
    )
    return f"{len(beats)} in {lasted_s:.1f} s"


@rule("heartbeat.needs_subscription", "3.2", "DOC", lane="apart")
async def heartbeat_needs_subscription(subject: Subject) -> str | None:
    """Heartbeats start once something is subscribed, not before."""
    async with subject.apart() as line:
        beat = await line.wait(lambda frame: frame.channel == "heartbeat", within=QUIET_S)
        if beat is not None:
            broken("no heartbeat before the first subscription", "one", beat)
    return None


@rule("connection.kept", "2.5", "DOC", "WIRE", lane="watch")
async def connection_kept(subject: Subject) -> str | None:
    """A connection with subscriptions stays open, and is never silent for several seconds."""
    await subject.watch.everything()
    await subject.watch.heartbeats()
    for line in await subject.watch.lines():
        if line.closed is not None:
            broken("an open connection", f"its end: {line.closed.code} {line.closed.reason}".rstrip())
        times = [line.opened_ns, *(frame.received_ns for frame in line.frames), subject.clock.monotonic_ns()]
        longest = max(later - earlier for earlier, later in pairwise(times))
        expect(longest < LONGEST_SILENCE_NS, "some frame at least every second", f"{longest / 1e9:.1f} s of silence")
    return None


@rule("inactivity", "9.2", "DOC", "SDK", lane="apart")
async def inactivity(subject: Subject) -> str | None:
    """A connection without a subscription and without traffic is closed after about a minute."""
    if subject.target.seconds < 90:
        raise NotTested("takes a minute and a half; --seconds 90 asks for it")
    async with subject.apart() as line:
        await line.wait(lambda _: False, within=90.0)
        if line.closed is None:
            broken("the server to close it after about 60 s", "an open connection after 90 s")
        lasted = (subject.clock.monotonic_ns() - line.opened_ns) / 1e9
        expect(lasted > 40, "the server to close it after about 60 s", f"its end after {lasted:.1f} s")
    return f"closed with {line.closed.code} after {lasted:.0f} s"


@rule("rate.exceeded", "9.3", "DOC", "3P", lane="apart")
async def rate_exceeded(subject: Subject) -> str | None:
    """Who sends too fast is told `Exceeded msg rate` and stays connected."""
    if not is_loopback(subject.target.public):
        raise NotTested("floods the server; only done to this machine")
    async with subject.apart() as line:
        for number in range(FLOOD):
            await line.send({"method": "ping", "req_id": number})
        refused = await line.wait(lambda frame: frame.is_answer and frame.fields.get("method") != "pong")
        if refused is None:
            broken(f"a refusal among the answers to {FLOOD} pings at once", "none")
        expect(refused.error == "Exceeded msg rate", "the error `Exceeded msg rate`", refused.error, refused)
        expect(line.closed is None, "an open connection", "its end")
    return None
