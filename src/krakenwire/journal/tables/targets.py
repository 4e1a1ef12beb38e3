"""Where files are exported to: a folder, or whatever fsspec has a URL for. A file is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from krakenwire.errors import UsageError
from krakenwire.journal.tables.arrow import import_extra
from krakenwire.journal.tools.repairing import sync_directory

__all__ = ["Folder", "Remote", "Target", "open_target"]

_PARTIAL = ".partial"
_ATOMIC = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "memory"})
"""Where an object appears when all of it is there; elsewhere it is written under another name, and renamed."""


class Target(Protocol):
    """Files by their names, which are relative and have `/` in them."""

    def read(self, name: str) -> bytes | None:
        """What is in a file; None if there is none."""

    def create(self, name: str) -> Any:
        """A context with a binary file to write, which replaces `name` when the context ends without an error."""

    def remove(self, name: str) -> None:
        """Remove a file; harmless if there is none."""


class Folder:
    """A local directory.

    Args:
        path: where; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def read(self, name: str) -> bytes | None:
        """As of `Target`."""
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"cannot read {self._path / name}: {error.strerror}") from None

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        """As of `Target`."""
        path = self._path / name
        partial = path.with_name(f".{path.name}{_PARTIAL}")  # hidden from whoever reads all that is there
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(partial, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            sync_directory(path.parent)
        except BaseException as error:
            with suppress(OSError):
                partial.unlink()
            if isinstance(error, OSError):
                raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
            raise

    def remove(self, name: str) -> None:
        """As of `Target`."""
        with suppress(FileNotFoundError):
            (self._path / name).unlink()


class Remote:
    """Whatever fsspec reaches.

    Args:
        url: of it.
        system: its file system.
        path: in that.
    """

    def __init__(self, url: str, system: Any, path: str) -> None:
        self._url = url
        self._system = system
        self._path = path.rstrip("/")
        protocol = system.protocol if isinstance(system.protocol, str) else system.protocol[0]
        self._is_atomic = protocol in _ATOMIC

    def __str__(self) -> str:
        return self._url

    def read(self, name: str) -> bytes | None:
        """As of `Target`."""
        try:
            content: bytes = self._system.cat_file(f"{self._path}/{name}")
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever the library behind it raises
            raise UsageError(f"cannot read {name} in {self._url}: {_words(error)}") from None
        return content

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        """As of `Target`."""
        final = f"{self._path}/{name}"
        with tempfile.NamedTemporaryFile(prefix="krakenwire-") as file:
            yield file
            file.flush()
            try:
                self._put(file.name, final)
            except Exception as error:  # whatever the library behind it raises
                raise UsageError(f"cannot write {name} in {self._url}: {_words(error)}") from None

    def remove(self, name: str) -> None:
        """As of `Target`."""
        with suppress(FileNotFoundError):
            self._system.rm_file(f"{self._path}/{name}")

    def _put(self, local: str, final: str) -> None:
        parent, _, name = final.rpartition("/")
        self._system.makedirs(parent, exist_ok=True)
        if self._is_atomic:
            self._system.put_file(local, final)
            return
        partial = f"{parent}/.{name}{_PARTIAL}"
        self._system.put_file(local, partial)
        with suppress(FileNotFoundError):
            self._system.rm_file(final)  # not every rename replaces what is there
        self._system.mv(partial, final)


def open_target(where: str | os.PathLike[str]) -> Target:
    """A folder, or what a URL names.

    Raises:
        UsageError: what it needs is not installed, or there is no such place.
    """
    text = os.fspath(where)
    if not text:
        raise UsageError("name a folder or a URL to export to, not nothing")
    if "://" not in text:
        return Folder(Path(text))
    fsspec = import_extra("fsspec", "a URL to export to", "'krakenwire[export]'")
    try:
        system, path = fsspec.core.url_to_fs(text)
    except (ImportError, ValueError) as error:  # the library for that protocol; no such protocol
        raise UsageError(f"cannot export to {_without_secrets(text)}: {error}") from None
    if "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)):
        return Folder(Path(path))
    return Remote(_without_secrets(text), system, path)


def _without_secrets(url: str) -> str:
    """A URL as it may be shown: who it is for is not."""
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def _words(error: Exception) -> str:
    return type(error).__name__  # its text may hold what the URL had in it
