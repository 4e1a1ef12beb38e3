"""From an error to its exit code, and to one line on stderr."""

from __future__ import annotations

import pytest
import typer

from krakenwire import (
    BookUnsynced,
    ConnectFailed,
    ConnectionClosed,
    FrameError,
    SubscriptionRejected,
    SubscriptionTimeout,
    UnknownSymbol,
    UsageError,
)
from krakenwire.cli.exits import DONE, UNREACHABLE, USAGE, WRONG, reports_errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no"), USAGE),
        (UnknownSymbol("A/B"), USAGE),
        (ConnectFailed("ws://x", "gone"), UNREACHABLE),
        (ConnectionClosed("closed"), UNREACHABLE),
        (SubscriptionTimeout("late"), UNREACHABLE),
        (SubscriptionRejected("book", "A/B", "no"), WRONG),
        (BookUnsynced("A/B", "checksum"), WRONG),
        (FrameError("bad", 3), WRONG),
        (OSError(28, "No space left on device"), WRONG),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_becomes_its_exit_code_and_its_own_words(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    @reports_errors
    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == code
    assert capsys.readouterr() == ("", f"krakenwire: {error}\n")


def test_error_that_nobody_foresaw_is_named_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    @reports_errors
    def command() -> None:
        raise ZeroDivisionError("division by zero")

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == WRONG
    err = capsys.readouterr().err
    assert "unexpected ZeroDivisionError: division by zero" in err
    assert "--debug" in err
    assert "Traceback" not in err


def test_exit_code_that_a_command_chose_is_kept() -> None:
    @reports_errors
    def command() -> None:
        raise typer.Exit(DONE)

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == DONE


def test_interrupt_where_nobody_waits_for_it_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    @reports_errors
    def command() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == WRONG
    assert capsys.readouterr().err == "krakenwire: interrupted\n"
