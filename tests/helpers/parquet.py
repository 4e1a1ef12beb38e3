"""What DuckDB finds in an export, as rows of Python."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import duckdb

__all__ = ["parts", "query", "read"]


def query(text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    connection = duckdb.connect()
    try:
        connection.sql("SET TimeZone = 'UTC'")
        rows: list[tuple[Any, ...]] = connection.execute(text, list(parameters)).fetchall()
        return rows
    finally:
        connection.close()


def read(target: Path, channel: str, columns: str, where: str = "true", order: str = "n") -> list[tuple[Any, ...]]:
    """Rows of a channel; a path with `%` in it is none of our own."""
    return query(
        f"SELECT {columns} FROM read_parquet(?, hive_partitioning = true) WHERE {where} ORDER BY {order}",  # noqa: S608  # our own text
        f"{target}/channel={channel}/**/*.parquet",
    )


def parts(target: Path) -> dict[str, str]:
    """The files of an export, and the digest of each; what is half written would be among them."""
    return {
        str(path.relative_to(target)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(target.rglob("*"))
        if path.is_file() and path.parent.name != "_krakenwire"
    }
