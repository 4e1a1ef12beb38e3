"""`krakenwire sim`: ready to be pointed at, until it is told to stop."""

from __future__ import annotations

import json
import re
import signal
import socket
from pathlib import Path

import pytest

from helpers.frames import v2_element, v2_frame, walk
from helpers.processes import end, objects, run, running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_json_is_printed_when_it_is_ready_and_a_signal_ends_it(number: int) -> None:
    with running("sim", "--json", "--seed", "9", "--symbols", "ETH/USD,XBT/USD") as process:
        ready = json.loads(process.stdout.readline())
        streamed = run("stream", "book", "-s", "BTC/USD", "-n", "1", env=ready["env"])
        ended = end(process, number)
    assert streamed.code == 0
    assert (ready["symbols"], ready["seed"]) == (["BTC/USD", "ETH/USD"], 9)
    assert (ended.code, ended.out) == (0, "")
    assert "the simulator has ended" in ended.err


def test_lines_can_be_pasted_into_a_shell() -> None:
    with running("sim") as process:
        line = process.stdout.readline()
        ended = end(process)
    assert re.fullmatch(r"export KRAKEN_WS_PUBLIC_URL=ws://127\.0\.0\.1:\d+/v2\n", line)
    assert ended.code == 0
    assert "BTC/USD" in ended.err


def test_port_that_is_taken_is_wrong_usage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("sim", "--port", str(taken.getsockname()[1]))
    assert (ended.code, ended.out) == (2, "")
    assert "cannot serve on 127.0.0.1" in ended.err
    assert "; try --port 0" in ended.err
    assert "[" not in ended.err, "nothing of asyncio's own text"


def test_recording_is_served_as_it_is(tmp_path: Path) -> None:
    recording = tmp_path / "frames.jsonl"
    frames = [
        v2_frame(kind, v2_element("BTC/USD", bids, asks, checksum))
        for kind, bids, asks, checksum, _ in walk(3, updates=20)
    ]
    recording.write_bytes(b"\n".join(frames))
    with running("sim", "--json", "--playback", str(recording), "--rate", "0") as process:
        ready = json.loads(process.stdout.readline())
        streamed = run("stream", "book", "-s", "BTC/USD", "-n", "21", "--json", env=ready["env"])
        ended = end(process)
    assert ready["symbols"] == ["BTC/USD"]
    events = objects(streamed.out)
    assert [event["outcome"] for event in events] == ["verified"] * 21
    assert [event["checksum"] for event in events] == [checksum for *_, checksum, _ in walk(3, updates=20)]
    assert ended.code == 0


@pytest.mark.parametrize("content", [None, b"nothing to serve\n"], ids=["missing", "no frames"])
def test_recording_that_cannot_be_served_is_wrong_usage(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "frames.jsonl"
    if content is not None:
        file.write_bytes(content)
    ended = run("sim", "--playback", file)
    assert (ended.code, ended.out) == (2, "")
    assert str(file) in ended.err
    assert "Traceback" not in ended.err
