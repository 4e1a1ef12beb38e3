"""The rows of one segment on their way to their files: many partitions, little memory, and no file of them open."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import quote

from krakenwire.clock import NS_PER_S
from krakenwire.journal.tables.arrow import to_batch
from krakenwire.journal.tables.schema import SCHEMAS, Channel, Column

__all__ = ["Partition", "Spool", "columns_of"]

_MOST_CELLS = 400_000
"""Values held in memory, of some 100 bytes each."""
_GROUP = 65_536
"""Rows of a row group of Parquet."""
_NO_SYMBOL = "__HIVE_DEFAULT_PARTITION__"
"""What is read as null."""


class Partition(NamedTuple):
    """Which rows belong together."""

    channel: Channel
    symbol: str | None
    date: str

    @property
    def folder(self) -> str:
        """Its path, as Hive has it: a symbol is URL-encoded, which DuckDB, Polars and pyarrow undo."""
        symbol = _NO_SYMBOL if self.symbol is None else quote(self.symbol, safe="")
        return f"channel={self.channel}/symbol={symbol}/date={self.date}"


def columns_of(channel: Channel) -> list[Column]:
    """The columns in a file; the symbol is in its path."""
    return [column for column in SCHEMAS[channel].columns if column.name != "symbol"]


class Spool:
    """Takes the rows of a segment, and gives them by partition. What does not fit in memory waits in temporary files.

    Args:
        scale: decimals of numbers.

    Attributes:
        counts: rows by channel.
    """

    def __init__(self, scale: int) -> None:
        self.counts: dict[Channel, int] = {}
        self._scale = scale
        self._rows: dict[Partition, list[Any]] = {}
        self._cells: dict[Partition, int] = {}
        self._held = 0
        self._files: dict[Partition, Path] = {}
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def add(self, channel: Channel, rows: Sequence[Any]) -> None:
        """More rows of a channel."""
        day_ns = SCHEMAS[channel].day_ns
        width = len(SCHEMAS[channel].columns)
        for row in rows:
            partition = Partition(channel, row.symbol, _date(day_ns(row)))
            self._rows.setdefault(partition, []).append(row)
            cells = width + (4 * len(row.bids) if channel == "book" else 0)
            self._cells[partition] = self._cells.get(partition, 0) + cells
            self._held += cells
        self.counts[channel] = self.counts.get(channel, 0) + len(rows)
        if self._held > _MOST_CELLS:
            self._make_room()

    def partitions(self) -> list[Partition]:
        """All there are, in the same order whenever the rows are the same."""
        return sorted(self._rows.keys() | self._files.keys(), key=lambda each: (each[0], each[1] or "", each[2]))

    def write(self, partition: Partition, file: IO[bytes], metadata: dict[str, str]) -> None:
        """All rows of a partition as one Parquet file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = columns_of(partition.channel)
        schema = to_batch(columns, [], self._scale).schema.with_metadata(metadata)
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            group: list[Any] = []
            rows = 0
            for batch in self._batches(partition, columns):
                at = 0
                while at < batch.num_rows:  # groups of the same size, however the rows came
                    part = batch.slice(at, _GROUP - rows)
                    group.append(part)
                    rows += part.num_rows
                    at += part.num_rows
                    if rows == _GROUP:
                        writer.write_table(pa.Table.from_batches(group, schema), _GROUP)
                        group, rows = [], 0
            if group:
                writer.write_table(pa.Table.from_batches(group, schema), _GROUP)

    def close(self) -> None:
        """Its temporary files are gone."""
        if self._directory is not None:
            self._directory.cleanup()

    def _make_room(self) -> None:
        """Put half of what is held on disk, the largest partitions first."""
        for partition in sorted(self._cells, key=self._cells.__getitem__, reverse=True):
            if self._held <= _MOST_CELLS // 2:
                break
            self._put_away(partition)

    def _put_away(self, partition: Partition) -> None:
        import pyarrow as pa

        batch = to_batch(columns_of(partition.channel), self._rows.pop(partition), self._scale)
        self._held -= self._cells.pop(partition)
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="krakenwire-export-")
        path = self._files.setdefault(partition, Path(self._directory.name, str(len(self._files))))
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        # Opened for this batch alone: there may be thousands of partitions.
        with open(path, "ab") as file, pa.ipc.new_stream(file, batch.schema, options=options) as stream:
            stream.write_batch(batch)

    def _batches(self, partition: Partition, columns: list[Column]) -> Iterator[Any]:
        import pyarrow as pa

        path = self._files.get(partition)
        if path is not None:
            with open(path, "rb") as file:
                size = path.stat().st_size
                while file.tell() < size:
                    yield from pa.ipc.open_stream(file)
        if partition in self._rows:
            yield to_batch(columns, self._rows[partition], self._scale)


def _date(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // NS_PER_S, UTC):%Y-%m-%d}"
