"""docs/events.md says what the code says: every event, its channel, every field with its type."""

from __future__ import annotations

import re
import types
import typing
from pathlib import Path

import pytest

from krakenwire import events
from krakenwire.book.pure import BookUpdate

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "events.md").read_text("utf-8")

# A compiled class does not tell the types of its fields; its twin, which has the same ones, does.
EVENTS: dict[str, type] = {"BookUpdate": BookUpdate} | {
    name: value
    for name, value in vars(events).items()
    if isinstance(value, type) and issubclass(value, events.Message) and value is not events.Message
}
COMMON = {"channel", "stamp", "n", "seq", "connection", "epoch", "received_ns", "received_mono_ns"}


def rows(text: str) -> dict[str, list[str]]:
    """The rows of the tables in `text` by the first word in their first cell; the other cells as they are."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if match := re.match(r"\| \[?`(\w+)`\S* \|(.*)\|$", line):
            assert match[1] not in found, f"{match[1]} stands twice"
            found[match[1]] = [cell.strip() for cell in match[2].split(" | ")]
    return found


def section(title: str) -> str:
    """What stands under a heading, up to the next one."""
    match = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match, f"docs/events.md has no heading {title!r}"
    return match[1]


def words(annotation: object) -> str:
    """A type as the page writes it."""
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if annotation is type(None):
        return "None"
    if origin is typing.Literal:
        return ", ".join(arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(words, arguments))
    if origin is tuple:
        return f"tuple of {words(arguments[0])}"
    assert isinstance(annotation, type), annotation
    return annotation.__name__


def fields(event: type) -> dict[str, str]:
    """The fields that an event has of its own, each with its type as the page writes it."""
    hints = typing.get_type_hints(event)
    for name in dir(event):
        value = getattr(event, name)
        if isinstance(value, property):
            hints[name] = typing.get_type_hints(value.fget)["return"]
    own = {name: hint for name, hint in hints.items() if name not in COMMON and not name.startswith("_")}
    return {name: words(hint) + (", ns" if name.endswith("_ns") else "") for name, hint in own.items()}


def test_every_event_and_nothing_else_is_in_the_overview() -> None:
    assert rows(section("All events")).keys() == EVENTS.keys()


@pytest.mark.parametrize("name", EVENTS)
def test_overview_names_the_channel_of_the_event(name: str) -> None:
    channel, *_ = rows(section("All events"))[name]
    assert channel == getattr(EVENTS[name], "channel")  # noqa: B009  # BookUpdate's is no part of `type`


@pytest.mark.parametrize("name", EVENTS)
def test_table_of_an_event_has_its_fields_and_their_types(name: str) -> None:
    documented = {field: cells[0] for field, cells in rows(section(name)).items()}
    assert documented == fields(EVENTS[name])


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_has_what_the_page_says_all_have(name: str) -> None:
    common = rows(section("What every event has")).keys()
    assert common == COMMON
    assert {field for field in common if not hasattr(EVENTS[name], field)} == set()


def test_page_has_no_section_of_an_event_that_does_not_exist() -> None:
    assert set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == EVENTS.keys()
