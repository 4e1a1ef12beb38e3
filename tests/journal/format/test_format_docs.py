"""docs/journal-format.md is enough to read a journal with, and names everything there is."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from krakenwire.events import Stamp
from krakenwire.journal.files.segments import read_blocks, read_head
from krakenwire.journal.format import BlockWriter, close_block, read_block
from krakenwire.journal.format.lines import (
    FORMAT,
    Head,
    Made,
    decode_action,
    decode_input,
    encode_action,
    encode_head,
    encode_input,
)
from krakenwire.journal.writing.disk import Disk
from krakenwire.journal.writing.segment import SegmentFile
from krakenwire.protocol.inputs import Answered, Deadline, Input, Started
from krakenwire.protocol.outputs import Action, Open

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "journal-format.md").read_text("utf-8")
OLD = Path(__file__).resolve().parents[2] / "data"
SAMPLE, USE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
HEAD = Head(
    format=FORMAT,
    journal="0" * 32,
    segment=1,
    run=1,
    is_first=True,
    resumed=False,
    n=0,
    received_ns=1_790_000_000_000_000_000,
    made=Made(options={}),
    endpoints={},
    krakenwire="1",
    kernel="compiled",
    python="3",
)


def reader() -> dict[str, Any]:
    """The page's own reader."""
    names: dict[str, Any] = {}
    exec(compile(SAMPLE, "docs/journal-format.md", "exec"), names)  # noqa: S102  # the page's, to see that it is right
    return names


def ours(directory: Path) -> list[tuple[int, Any, str, Any]]:
    """The same of this package's reader."""
    found: list[tuple[int, Any, str, Any]] = []
    for path in sorted(directory.glob("*.zst")):
        for at in read_blocks(path):
            block = read_block(at.text)
            n = block.n
            for entry in block.entries:
                n += entry.kind in ("frame", "input")
                stamp = entry.stamp and (
                    *(entry.stamp.connection, entry.stamp.epoch),
                    *(entry.stamp.received_ns, entry.stamp.received_mono_ns),
                )
                content: Any = entry.content
                if entry.kind in ("input", "action"):
                    content = json.loads(content[1:])
                elif entry.kind == "note":
                    content = content.decode()
                found.append((n, stamp, entry.kind, content))
    return found


def write(directory: Path, number: int, *, torn: int = 0) -> None:
    """A segment with one of each; `torn` bytes are missing at its end."""
    path = directory / f"{number:08}-20261123T021911Z.zst"
    file = SegmentFile(Disk(), path, encode_head(HEAD))
    writer = BlockWriter(100 * number)
    stamps = [Stamp(f"public-{i}", i % 3, 1_790_000_000_000_000_000 + 7 * i, 5_000 + 6 * i) for i in range(40)]
    for block in range(4):
        writer.line(encode_input(Started(), is_timed=False), None)
        writer.line(encode_action(Open("public")), None, is_input=False)
        for i, frame in itertools.product(range(block, 40, 3), (b"{}", b"[1]", b"odd\xff", b"two\nlines", b"")):
            writer.frame(frame, stamps[i])
        writer.line(encode_input(Answered(1, b"\xff", None, True, None)), stamps[3])
        writer.line(encode_input(Answered(1, b'"\n"', "no", False, 1.5)), stamps[3])
        writer.line(encode_input(Deadline()), stamps[1])
        writer.line(b'digest [1,"00"]', None, is_input=False)
        file.write(close_block(writer.take()), 1, is_last=block == 1)
    file.close()
    if torn:
        path.write_bytes(path.read_bytes()[:-torn])


def test_the_pages_reader_reads_what_ours_reads(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2)
    read = list(reader()["segments"](tmp_path))
    assert [head["journal"] for head, _ in read] == [HEAD.journal] * 2
    lines = [line for _, lines in read for line in lines]
    assert lines == ours(tmp_path)
    assert {kind for _, _, kind, _ in lines} == {"frame", "input", "action", "note"}


def test_the_pages_reader_reads_a_torn_segment_up_to_its_last_whole_block(tmp_path: Path) -> None:
    write(tmp_path, 1)
    ((_, whole),) = reader()["segments"](tmp_path)
    write_torn = tmp_path / "torn"
    write_torn.mkdir()
    write(write_torn, 1, torn=40)
    ((_, kept),) = reader()["segments"](write_torn)
    assert 0 < len(kept) < len(whole)
    assert kept == whole[: len(kept)]
    assert kept[-1][2:] == ("note", 'digest [1,"00"]')


def test_the_pages_reader_finds_damage_and_later_formats(tmp_path: Path) -> None:
    names = reader()
    lines = b'block [0,0,0,[["a",0]]]\nat a0\n{}\ncrc 00000000\n'.split(b"\n")
    with pytest.raises(ValueError, match="damaged"):
        list(names["lines_of"](lines))
    head = json.loads(encode_head(HEAD)[8:]) | {"format": FORMAT + 1}
    file = SegmentFile(Disk(), tmp_path / "00000001-20261123T021911Z.zst", b"journal " + json.dumps(head).encode())
    file.close()
    with pytest.raises(ValueError, match="not known here"):
        list(names["segments"](tmp_path))


def test_the_pages_use_of_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal").mkdir()
    write(tmp_path / "journal", 1)
    monkeypatch.chdir(tmp_path)
    exec(compile(USE, "docs/journal-format.md", "exec"), reader())  # noqa: S102  # as above
    assert capsys.readouterr().out == "1 265 frames\n"


def test_every_input_action_and_key_of_the_head_is_on_the_page() -> None:
    for kind in get_args(Input):
        fields = "".join(f", {name}" for name in kind.__struct_fields__)
        assert f'`["{kind.__name__.lower()}"{fields}]`' in PAGE, kind
    for kind in get_args(Action):
        fields = "".join(f", {name}" for name in kind.__struct_fields__)
        assert f'`["{kind.__name__.lower()}"{fields}]`' in PAGE, kind
    for model in (Head, Made):
        for name in model.__struct_fields__:
            assert f"`{name}`" in PAGE, name
    assert f"The format has the number {FORMAT}." in PAGE


# A journal of each format, as it was recorded when that was the newest: by `helpers.journals.record_run`, two runs of a
# client of the simulator, with faults. Of each: segments, inputs of each, and the digest of all its lines.
OLD_JOURNALS = {"journal-v1": ([827, 249], "1c3b1affb92b8e384fd8fb315aec2acd59cf3bb27db73194fac55e010ec5d910")}


@pytest.mark.parametrize("name", OLD_JOURNALS)
def test_an_old_journal_stays_readable(name: str) -> None:
    inputs, digest = OLD_JOURNALS[name]
    read = list(reader()["segments"](OLD / name))
    assert [lines[-1][0] for _, lines in read] == inputs
    assert [lines[-1][3][:4] for _, lines in read] == ["end "] * len(inputs)
    lines = [line for _, lines in read for line in lines]
    assert lines == ours(OLD / name)
    assert hashlib.sha256(repr(lines).encode()).hexdigest() == digest


@pytest.mark.parametrize("name", OLD_JOURNALS)
def test_all_that_is_in_an_old_journal_has_a_meaning_still(name: str) -> None:
    for path in sorted((OLD / name).glob("*.zst")):
        assert read_head(path).format == int(name.removeprefix("journal-v"))
        for at in read_blocks(path):
            for entry in read_block(at.text).entries:
                if entry.kind == "input":
                    decode_input(entry.content)
                elif entry.kind == "action":
                    decode_action(entry.content)


def test_there_is_an_old_journal_of_every_format() -> None:
    assert sorted(path.name for path in OLD.glob("journal-v*")) == [f"journal-v{n}" for n in range(1, FORMAT + 1)]
    assert sorted(OLD_JOURNALS) == [f"journal-v{n}" for n in range(1, FORMAT + 1)]
