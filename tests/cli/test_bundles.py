"""`--bundles`: a book that is found wrong over a real socket leaves a bundle, and `replay` plays it."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.processes import objects, run, simulator


@pytest.mark.parametrize(
    "command",
    [
        ("stream", "book", "-s", "BTC/USD", "--depth", "100", "--seconds", "4"),
        ("book", "BTC/USD", "--depth", "100", "--json", "--seconds", "4"),
    ],
    ids=["stream", "book"],
)
def test_wrong_book_leaves_a_bundle_that_replays(tmp_path: Path, command: tuple[str, ...]) -> None:
    directory = tmp_path / "bundles"
    faults = ("--fault", "corrupt_checksum:channel=book,count=1@2s")
    with simulator("--rate", "200", "--seed", "5", "--symbols", "BTC/USD", *faults) as env:
        ended = run(*command, "--bundles", directory, env=env)
    assert ended.code == 0, ended.err
    (path,) = directory.iterdir()
    assert path.name.endswith("-BTC-USD-checksum")
    replayed = run("replay", "--json", path)
    (report,) = objects(replayed.out)
    assert (replayed.code, report["reproduced"], report["mismatched"]) == (1, True, 1)


def test_directory_that_cannot_be_used_is_refused_before_anything_is_connected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run(
        "stream",
        "trade",
        "-s",
        "BTC/USD",
        "--bundles",
        tmp_path / "file",
        env={"KRAKEN_WS_PUBLIC_URL": "ws://127.0.0.1:1"},
    )
    assert ended.code == 2
    assert "bundles cannot be written to" in ended.err


def test_demo_takes_the_option_too(tmp_path: Path) -> None:
    ended = run("demo", "--seconds", "1", "--symbols", "BTC/USD", "--json", "--bundles", tmp_path / "bundles")
    assert ended.code == 0, ended.err
    assert list((tmp_path / "bundles").iterdir()) == []
