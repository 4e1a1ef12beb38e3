from __future__ import annotations

import pytest

from krakenwire.errors import UsageError
from krakenwire.net.endpoints import Endpoints, is_loopback, shown


def test_defaults_are_kraken_spot() -> None:
    assert Endpoints() == Endpoints(
        public="wss://ws.kraken.com/v2",
        auth="wss://ws-auth.kraken.com/v2",
        l3="wss://ws-l3.kraken.com/v2",
        rest="https://api.kraken.com",
    )


def test_environment_overrides_what_it_names_and_nothing_else() -> None:
    environ = {
        "KRAKEN_SPOT_URL": "http://127.0.0.1:8001",
        "KRAKEN_WS_PUBLIC_URL": "ws://127.0.0.1:8000/v2",
        "KRAKEN_WS_AUTH_URL": "",
        "PATH": "/bin",
    }
    found = Endpoints.from_environment(environ)
    assert found.rest == "http://127.0.0.1:8001"
    assert found.public == "ws://127.0.0.1:8000/v2"
    assert found.auth == Endpoints().auth
    assert found.l3 == Endpoints().l3


@pytest.mark.parametrize(
    "variable", ["KRAKEN_SPOT_URL", "KRAKEN_WS_PUBLIC_URL", "KRAKEN_WS_AUTH_URL", "KRAKEN_WS_L3_URL"]
)
def test_a_wrong_variable_is_named_in_the_error(variable: str) -> None:
    with pytest.raises(UsageError, match=variable):
        Endpoints.from_environment({variable: "ftp://example.com"})


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ws.kraken.com/v2",
        "https://ws.kraken.com/v2",
        "wss://",
        "wss:///v2",
        "wss://host:0/v2",
        "wss://host:99999/v2",
        "wss://host:port/v2",
        "wss://[::1/v2",
        "wss://host/v2#top",
        "wss://ho st/v2",
        "wss://host/v2\r\nX: y",
    ],
)
def test_what_is_no_websocket_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"Endpoints\.public"):
        Endpoints(public=url)


def test_rest_wants_http() -> None:
    with pytest.raises(UsageError, match=r"Endpoints\.rest: expected https:// or http://"):
        Endpoints(rest="wss://api.kraken.com")


def test_credentials_in_a_url_are_refused_and_not_shown() -> None:
    with pytest.raises(UsageError, match="credentials do not go into a URL") as caught:
        Endpoints(public="wss://bob:hunter2@host/v2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://bob:hunter2@host:1/v2?token=abc#f", "wss://host:1/v2"),
        ("wss://a@b@host/v2", "wss://host/v2"),
        ("wss://[::1]:8/v2?x", "wss://[::1]:8/v2"),
        ("wss://[::1", "(malformed URL)"),
    ],
)
def test_shown_url_has_no_secrets(url: str, expected: str) -> None:
    assert shown(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "ws://localhost/v2",
        "ws://LOCALHOST:80",
        "ws://sim.localhost/",
        "ws://127.0.0.1:8000",
        "ws://127.8.9.1",
        "ws://[::1]:9/",
        "ws://[::ffff:127.0.0.1]/",
    ],
)
def test_loopback_is_recognised(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    [
        "ws://ws.kraken.com",
        "ws://localhost.evil.com",
        "ws://notlocalhost",
        "ws://10.0.0.1",
        "ws://127.0.0.1.evil.com",
        "ws://127.0.0.1@evil.com",
        "ws://[2001:db8::1]/",
        "ws://[::1",
        "",
    ],
)
def test_what_is_elsewhere_is_no_loopback(url: str) -> None:
    assert not is_loopback(url)


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        ({}, True),
        ({"public": "wss://beta-ws.kraken.com/v2"}, True),
        ({"public": "ws://127.0.0.1:8080/v2"}, False),
        ({"public": "wss://notkraken.com/v2"}, False),
        ({"public": "wss://ws.kraken.com.example.org/v2"}, False),
        ({"public": "ws://127.0.0.1:8080/v2", "rest": "http://127.0.0.1:8081"}, True),
        ({"rest": "http://127.0.0.1:8081"}, True),
    ],
)
def test_krakens_rest_belongs_to_krakens_websocket_only(urls: dict[str, str], expected: bool) -> None:
    assert Endpoints(**urls).has_rest is expected
