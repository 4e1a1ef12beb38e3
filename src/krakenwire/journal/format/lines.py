"""The lines of a segment that are no frames: inputs, what was wanted of the shell, and the head of a segment.

The first character of a line says what it is::

    {  [    a frame, as it came
    :       a frame that begins otherwise, as it came after the colon
    ;       a frame that holds a line feed, as base64
    !       another input: a JSON array, led by its name
    =       the same, of an input that has no time
    >       an action, what the core wanted of its shell: a JSON array, led by its name
    letter  a line about the journal itself: its name, a space, JSON or figures
"""

from __future__ import annotations

import base64
from typing import Any, Final, Union, get_args

import msgspec

from krakenwire.errors import FrameError
from krakenwire.protocol.inputs import Answered, Input
from krakenwire.protocol.outputs import Action, Close, Fetch, Open, Send

__all__ = [
    "FORMAT",
    "Head",
    "Made",
    "decode_action",
    "decode_frame",
    "decode_head",
    "decode_input",
    "encode_action",
    "encode_frame",
    "encode_head",
    "encode_input",
]

FORMAT: Final = 1
"""Of the journal; a reader refuses a higher one, and reads every lower one."""

_HEAD = b"journal "


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a core was made of, so that it can be made again.

    Attributes:
        options: `Options`, all of them; the seed is among them.
        mirror: every connection twice.
        book_audit: how books are audited.
        reconnect_every: seconds, or a time of day in UTC as `HH:MM:SS`; None for never.
        passive: there are only frames, which somebody else asked for: imported ones.
    """

    options: dict[str, Any]
    mirror: bool = False
    book_audit: str | None = None
    reconnect_every: float | str | None = None
    passive: bool = False


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a segment.

    Attributes:
        format: see `FORMAT`.
        journal: what all segments of a directory have in common: 32 hexadecimal digits.
        segment: number of this one, from 1; it is in the file's name, too.
        run: how often a program has begun to record here, from 1.
        is_first: the first segment of its run: a core is made, or with `resumed` goes on from where the run before
            ended.
        resumed: the run goes on where the one before ended.
        n: number of the input before the first one here. A run that goes on leaves numbers out, which may have been
            used of which nobody knows.
        received_ns: UTC at which the segment was begun.
        made: what the run's core was made of.
        endpoints: where the exchange is, by purpose (`public`, `rest`).
        krakenwire, kernel, python: versions of the program that wrote it.
        went_on_from: of a run that goes on: number of the last input that it knew of the run before.
    """

    format: int
    journal: str
    segment: int
    run: int
    is_first: bool
    resumed: bool
    n: int
    received_ns: int
    made: Made
    endpoints: dict[str, str]
    krakenwire: str
    kernel: str
    python: str
    went_on_from: int | None = None

    def goes_on(self, n: int | None) -> bool:
        """Whether a run begins here that goes on where another one is after its input `n`."""
        return self.is_first and self.resumed and n is not None and self.went_on_from == n


class _Open(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    connection: str


class _Send(msgspec.Struct, frozen=True, array_like=True, tag="send"):
    connection: str
    text: str


class _Close(msgspec.Struct, frozen=True, array_like=True, tag="close"):
    connection: str
    reason: str
    retire: bool
    is_dead: bool


class _Fetch(msgspec.Struct, frozen=True, array_like=True, tag="fetch"):
    number: int
    call: str
    params: tuple[tuple[str, str], ...]


class _Bytes(msgspec.Struct, frozen=True):
    """What is no text."""

    base64: bytes


class _Answered(msgspec.Struct, frozen=True, array_like=True, tag="answered"):
    """`Answered`, its body as text: bodies are JSON, which base64 would keep from being read and from getting small."""

    number: int
    body: str | _Bytes | None
    error: str | None
    retryable: bool
    retry_after: float | None


_BAD_JSON = msgspec.MsgspecError, ValueError, RecursionError  # the latter two: no UTF-8, and nested too deep
_input: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    Union[tuple({*get_args(Input)} - {Answered} | {_Answered})]  # noqa: UP007  # of types that are found at run time
)
_action = msgspec.json.Decoder(_Open | _Send | _Close | _Fetch)
_head = msgspec.json.Decoder(Head)


def encode_frame(frame: bytes) -> bytes:
    """The line of a frame, without its line feed."""
    if b"\n" in frame:
        return b";" + base64.b64encode(frame)
    return frame if frame[:1] in (b"{", b"[") else b":" + frame


def decode_frame(line: bytes) -> bytes:
    """The frame of a line that begins with `{`, `[`, `:` or `;`.

    Raises:
        FrameError: what should be base64 is not.
    """
    if line[:1] == b";":
        try:
            return base64.b64decode(line[1:], validate=True)
        except ValueError as error:
            raise FrameError(f"not base64: {error}", 1) from None
    return line[1:] if line[:1] == b":" else line


def encode_input(given: Input, *, is_timed: bool = True) -> bytes:
    """The line of an input that is no frame."""
    what: Any = given
    if isinstance(given, Answered):
        what = _Answered(given.number, _body(given.body), given.error, given.retryable, given.retry_after)
    return (b"!" if is_timed else b"=") + _encode(what)


def _body(body: bytes | None) -> str | _Bytes | None:
    if body is None:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return _Bytes(body)


def _encode(value: Any) -> bytes:
    """JSON, in which what no UTF-8 can hold (half of a surrogate pair, from an error's words) is a question mark."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_encodable(msgspec.to_builtins(value)))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return [_encodable(each) for each in value] if isinstance(value, list | tuple) else value


def decode_input(line: bytes) -> Input:
    """The input of a line that begins with `!` or `=`.

    Raises:
        FrameError: it is none that this version knows; says why.
    """
    try:
        given = _input.decode(line[1:])
    except _BAD_JSON as error:
        raise FrameError(f"not an input: {error}", 1) from None
    if not isinstance(given, _Answered):
        known: Input = given
        return known
    body = given.body.base64 if isinstance(given.body, _Bytes) else given.body
    body = body.encode() if isinstance(body, str) else body
    return Answered(given.number, body, given.error, given.retryable, given.retry_after)


def encode_action(action: Action) -> bytes:
    """The line of an action."""
    if isinstance(action, Send):
        return b">" + _encode(_Send(action.connection, action.text.decode()))
    if isinstance(action, Fetch):
        return b">" + _encode(_Fetch(action.number, action.call, action.params))
    if isinstance(action, Open):
        return b">" + _encode(_Open(action.connection))
    return b">" + _encode(_Close(action.connection, action.reason, action.retire, action.is_dead))


def decode_action(line: bytes) -> Action:
    """The action of a line that begins with `>`.

    Raises:
        FrameError: it is none that this version knows; says why.
    """
    try:
        action = _action.decode(line[1:])
    except _BAD_JSON as error:
        raise FrameError(f"not an action: {error}", 1) from None
    if isinstance(action, _Send):
        return Send(action.connection, action.text.encode())
    if isinstance(action, _Fetch):
        return Fetch(action.number, action.call, action.params)
    if isinstance(action, _Open):
        return Open(action.connection)
    return Close(action.connection, action.reason, action.retire, action.is_dead)


def encode_head(head: Head) -> bytes:
    """The first line of a segment."""
    return _HEAD + _encode(head)


def decode_head(line: bytes) -> Head:
    """What the first line of a segment says.

    Raises:
        FrameError: it is no such line, or of a format that is not known here; says why.
    """
    if not line.startswith(_HEAD):
        raise FrameError(f"expected the first line of a segment, which begins with {_HEAD.decode()!r}", 0)
    try:
        form = msgspec.json.decode(line[len(_HEAD) :], type=dict[str, Any]).get("format")
        if not isinstance(form, int) or not 0 < form <= FORMAT:
            raise FrameError(f"a journal of format {form}; this version reads up to {FORMAT}: update krakenwire", 0)
        return _head.decode(line[len(_HEAD) :])
    except _BAD_JSON as error:
        raise FrameError(f"the first line of the segment is not what it should be: {error}", len(_HEAD)) from None
