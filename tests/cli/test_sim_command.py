"""`krakenwire sim`: ready to be pointed at, until it is told to stop."""

from __future__ import annotations

import base64
import contextlib
import json
import shlex
import signal
import socket
import ssl
import stat
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from helpers.frames import v2_element, v2_frame, walk
from helpers.processes import call, end, objects, run, running
from krakenwire.protocol.wire.auth import sign
from krakenwire.sim.accounts.accounts import Accounts

URLS = {"KRAKEN_WS_PUBLIC_URL", "KRAKEN_WS_AUTH_URL", "KRAKEN_WS_L3_URL", "KRAKEN_SPOT_URL"}
CONTROL = "KRAKENWIRE_SIM_CONTROL_URL"
KEYS = {"KRAKEN_API_KEY", "KRAKEN_API_SECRET"}
SECRET = base64.b64encode(b"a secret of somebody").decode()
ACCOUNTS = f'[accounts.dora]\nkey = "dora-key"\nsecret = "{SECRET}"\notp = "dora-otp"\nfunds = {{ USD = 5 }}\n'
WITHOUT_EXTRA = (
    sys.executable,
    "-c",
    "import sys; sys.modules['aiohttp'] = sys.modules['trustme'] = None; from krakenwire.cli import main; main()",
)


def exports(out: str) -> dict[str, str]:
    """What a shell would make of the lines that were printed."""
    words = shlex.split(out, comments=True)
    assert words[0::2] == ["export"] * (len(words) // 2)
    return dict(word.split("=", 1) for word in words[1::2])


def frames(file: Path) -> Path:
    """A recording of one book."""
    file.write_bytes(
        b"\n".join(
            v2_frame(kind, v2_element("BTC/USD", bids, asks, checksum))
            for kind, bids, asks, checksum, _ in walk(3, updates=20)
        )
    )
    return file


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_json_is_printed_when_it_is_ready_and_a_signal_ends_it(number: int) -> None:
    with running("sim", "--json", "--seed", "9", "--symbols", "ETH/USD,XBT/USD") as process:
        ready = json.loads(process.stdout.readline())
        streamed = run("stream", "book", "-s", "BTC/USD", "-n", "1", env=ready["env"])
        ended = end(process, number)
    assert streamed.code == 0
    assert (ready["symbols"], ready["seed"]) == (["BTC/USD", "ETH/USD"], 9)
    assert ready["env"].keys() == URLS | KEYS | {CONTROL}
    assert (ready["accounts"], ready["ca_file"], ready["kraken_cli_env"]) == (["alice", "bob", "carol"], None, {})
    assert (ended.code, ended.out) == (0, "")
    assert "the simulator has ended" in ended.err


def test_lines_can_be_pasted_into_a_shell() -> None:
    with running("sim") as process:
        lines = [process.stdout.readline() for _ in range(7)]
        ended = end(process)
    env = exports("".join(lines))
    assert env.keys() == URLS | KEYS | {CONTROL}
    assert {name for name in env if env[name].startswith("ws://127.0.0.1:")} == URLS - {"KRAKEN_SPOT_URL"}
    assert {name for name in env if env[name].startswith("http://127.0.0.1:")} == {"KRAKEN_SPOT_URL", CONTROL}
    alice = Accounts.default().credentials("alice")
    assert (env["KRAKEN_API_KEY"], env["KRAKEN_API_SECRET"]) == (alice.key, alice.secret)
    assert (ended.code, ended.out) == (0, "")
    assert "accounts: alice, bob, carol (the key is alice's)" in ended.err
    assert "BTC/USD" in ended.err


def test_what_is_printed_signs_in() -> None:
    path = "/0/private/GetWebSocketsToken"
    with running("sim", "--json", "--symbols", "BTC/USD") as process:
        env = json.loads(process.stdout.readline())["env"]
        headers = {"API-Key": env["KRAKEN_API_KEY"], "API-Sign": sign(path, "1", b"nonce=1", env["KRAKEN_API_SECRET"])}
        token = httpx.post(env["KRAKEN_SPOT_URL"] + path, content=b"nonce=1", headers=headers).json()
        state = httpx.get(env[CONTROL] + "/state").json()
        assert end(process).code == 0
    assert token["error"] == []
    assert token["result"]["token"]
    assert (state["status"], state["symbols"]) == ("online", ["BTC/USD"])


def test_clients_that_hang_up_before_tls_is_agreed_leave_no_traceback() -> None:
    with running("sim", "--tls", "--json") as process:
        env = json.loads(process.stdout.readline())["env"]
        for url in env["KRAKEN_WS_PUBLIC_URL"], env["KRAKEN_SPOT_URL"]:
            parts = urlsplit(url)
            for hello in (b"", b"GET /v2 HTTP/1.1\r\n\r\n", b"\x16\x03\x01"):
                with socket.create_connection((parts.hostname, parts.port)) as client:
                    client.sendall(hello)
                    client.shutdown(socket.SHUT_WR)
                    with contextlib.suppress(ConnectionError):
                        while client.recv(4096):
                            pass
        ended = end(process)
    assert (ended.code, ended.err.splitlines()) == (0, ["the simulator has ended"])


@pytest.mark.parametrize("option", ["--auth-port", "--l3-port"])
def test_port_of_a_private_door_is_refused_for_a_recording(tmp_path: Path, option: str) -> None:
    refused = run("sim", "--playback", frames(tmp_path / "frames.jsonl"), option, "0")
    assert (refused.code, refused.out) == (2, "")
    assert f"a recording has only the public WebSocket: give --playback or {option}, not both" in refused.err


def test_tls_is_trusted_by_who_is_given_the_variables() -> None:
    with running("sim", "--tls", "--json") as process:
        ready = json.loads(process.stdout.readline())
        env, ca_file = ready["env"], Path(ready["ca_file"])
        trusting = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        assert {env[name] for name in trusting} == {str(ca_file)}
        assert stat.S_IMODE(ca_file.parent.stat().st_mode) == 0o700
        streamed = run("stream", "trade", "-s", "BTC/USD", "-n", "1", env=env)
        context = ssl.create_default_context(cafile=ca_file)
        time = httpx.get(env["KRAKEN_SPOT_URL"] + "/0/public/Time", verify=context).json()
        strange = run("stream", "trade", "-s", "BTC/USD", "-n", "1", env=env | {"SSL_CERT_FILE": ""})
        assert end(process, signal.SIGTERM).code == 0
    assert {env[name].partition(":")[0] for name in URLS} == {"wss", "https"}
    assert env[CONTROL].startswith("http://127.0.0.1:")
    assert (streamed.code, time["error"]) == (0, [])
    assert strange.code == 3
    assert ready["kraken_cli_env"].keys() == {"KRAKEN_DANGER_ALLOW_ANY_URL_HOST", "KRAKEN_DANGER_ACCEPT_INVALID_CERTS"}
    assert not ca_file.parent.exists()


def test_directory_that_is_named_keeps_what_vouches_for_it(tmp_path: Path) -> None:
    directory = tmp_path / "tls"
    with running("sim", "--tls-dir", directory) as process:
        lines = "".join(process.stdout.readline() for _ in range(15))
        assert end(process).code == 0
    env = exports(lines)
    assert env["KRAKEN_WS_L3_URL"].startswith("wss://")
    assert env["KRAKEN_DANGER_ACCEPT_INVALID_CERTS"] == env["KRAKEN_DANGER_ALLOW_ANY_URL_HOST"] == "1"
    assert lines.count("# ") == 2
    assert Path(env["SSL_CERT_FILE"]).parent == directory
    assert "CERTIFICATE" in Path(env["SSL_CERT_FILE"]).read_text()


@pytest.mark.parametrize("as_json", [False, True])
def test_secrets_of_a_users_accounts_are_printed_nowhere(tmp_path: Path, as_json: bool) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(ACCOUNTS)
    with running("--debug", "sim", "--accounts", file, *(["--json"] if as_json else [])) as process:
        first = process.stdout.readline()
        ended = end(process)
    printed = first + ended.out + ended.err
    for secret in ("dora-key", SECRET, "dora-otp"):
        assert secret not in printed
    assert "dora" in printed
    assert ended.code == 0


def test_accounts_of_a_file_are_those_that_can_sign_in(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(ACCOUNTS)
    path, body = "/0/private/Balance", b"nonce=1&otp=dora-otp"
    with running("sim", "--accounts", file, "--json") as process:
        env = json.loads(process.stdout.readline())["env"]
        headers = {"API-Key": "dora-key", "API-Sign": sign(path, "1", body, SECRET)}
        answer = httpx.post(env["KRAKEN_SPOT_URL"] + path, content=body, headers=headers).json()
        end(process)
    assert answer == {"error": [], "result": {"ZUSD": "5.0000"}}


def test_faults_of_the_command_line_and_of_a_script_are_done_and_logged(tmp_path: Path) -> None:
    script, log = tmp_path / "faults.toml", tmp_path / "faults.jsonl"
    script.write_text('[[fault]]\nkind = "rest_error"\ncall = "SystemStatus"\nerror = "EService:Busy"\n')
    arguments = ("--fault", "rest_error:call=Time,error=EService:Unavailable,count=2", "--faults", script)
    with running("sim", "--json", *arguments, "--fault-log", log) as process:
        url = json.loads(process.stdout.readline())["env"]["KRAKEN_SPOT_URL"]
        errors = [
            httpx.get(f"{url}/0/public/{call}").json()["error"]
            for call in ("Time", "SystemStatus", "Time", "Time", "SystemStatus")
        ]
        ended = end(process)
    assert errors == [["EService:Unavailable"], ["EService:Busy"], ["EService:Unavailable"], [], []]
    logged = objects(log.read_text())
    assert [(each["kind"], each["touched"]) for each in logged] == [("rest_error", 2), ("rest_error", 1)]
    assert (ended.code, "2 fault(s) were injected" in ended.err) == (0, True)


def test_what_cannot_work_is_wrong_usage() -> None:
    complaints = {
        ("--fault", "nonsense"): "unknown fault 'nonsense'",
        ("--fault", "cut:code=x"): "code",
        ("--faults", "missing.toml"): "cannot read the script missing.toml: No such file or directory\n",
        ("--accounts", "missing.toml"): "cannot read missing.toml",
        ("--host", ""): "--host: expected an address or a name",
        ("--fault", "thin_book"): "fault thin_book needs symbol: text, which one, as in `BTC/USD`",
        ("--fault-log", "missing/log"): "cannot write the log of the faults to missing/log: No such file or directory",
        ("--host", "no.such.host.invalid"): "--host: no.such.host.invalid is no address or name of this machine: ",
        ("--symbols", "NOPE/USD"): "unknown symbol 'NOPE/USD'",
    }
    for options, complaint in complaints.items():
        ended = call("sim", *options)
        assert (ended.code, ended.out) == (2, "")
        assert complaint in ended.err
        assert "Traceback" not in ended.err


def test_funds_in_what_does_not_exist_are_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(ACCOUNTS.replace("USD = 5", "UDS = 5"))
    ended = run("sim", "--accounts", file)
    assert (ended.code, ended.out) == (2, "")
    assert f"{file}: accounts.dora.funds.UDS: the simulator has no such asset; did you mean USD" in ended.err


def test_port_that_is_taken_is_wrong_usage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ("--port", "--auth-port", "--l3-port", "--rest-port", "--control-port")
        every = [run("sim", option, port) for option in options]
    for ended in every:
        assert (ended.code, ended.out) == (2, "")
        assert f"cannot serve on 127.0.0.1:{port}: Address already in use; port 0 lets the system choose" in ended.err
        assert "[" not in ended.err, "nothing of asyncio's own text"


def test_ports_that_are_given_are_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        rest, auth = (each.getsockname()[1] for each in (one, other))
    with running("sim", "--json", "--rest-port", str(rest), "--auth-port", str(auth)) as process:
        env = json.loads(process.stdout.readline())["env"]
        end(process)
    assert env["KRAKEN_SPOT_URL"] == f"http://127.0.0.1:{rest}"
    assert env["KRAKEN_WS_AUTH_URL"] == f"ws://127.0.0.1:{auth}/v2"


@pytest.mark.parametrize(
    ("arguments", "warned"),
    [((), ["known to everybody", "plain text"]), (("--tls",), ["known to everybody"])],
)
def test_address_that_others_can_reach_is_warned_of(arguments: tuple[str, ...], warned: list[str]) -> None:
    with running("sim", "--host", "0.0.0.0", "--json", *arguments) as process:  # noqa: S104  # that is the point
        env = json.loads(process.stdout.readline())["env"]
        ended = end(process)
    assert "warning: 0.0.0.0 can be reached from other machines" in ended.err
    assert [each for each in ("known to everybody", "plain text") if each in ended.err] == warned
    assert all("127.0.0.1" in env[name] for name in URLS), "0.0.0.0 is nothing to connect to"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_is_not_warned_of(host: str) -> None:
    with running("sim", "--host", host, "--json") as process:
        env = json.loads(process.stdout.readline())["env"]
        ended = end(process)
    assert "warning" not in ended.err
    assert (f"[{host}]" if ":" in host else host) in env["KRAKEN_SPOT_URL"]


def test_without_the_extra_the_websockets_are_served_and_it_says_what_is_missing() -> None:
    with running("sim", "--json", program=WITHOUT_EXTRA) as process:
        ready = json.loads(process.stdout.readline())
        streamed = run("stream", "book", "-s", "BTC/USD", "-n", "1", env=ready["env"])
        ended = end(process)
    assert ready["env"].keys() == URLS - {"KRAKEN_SPOT_URL"} | KEYS
    assert (streamed.code, ended.code) == (0, 0)
    assert "no REST API and no control endpoint without the extra `sim`: pip install 'krakenwire[sim]'" in ended.err


@pytest.mark.parametrize("option", [("--rest-port", "0"), ("--control-port", "0"), ("--tls",)])
def test_what_needs_the_extra_is_wrong_usage_without_it(option: tuple[str, ...]) -> None:
    ended = run("sim", *option, program=WITHOUT_EXTRA)
    assert (ended.code, ended.out) == (2, "")
    assert "the extra `sim`" in ended.err
    assert "pip install 'krakenwire[sim]'" in ended.err


def test_recording_is_served_as_it_is(tmp_path: Path) -> None:
    recording = frames(tmp_path / "frames.jsonl")
    with running("sim", "--json", "--playback", recording, "--rate", "0") as process:
        ready = json.loads(process.stdout.readline())
        streamed = run("stream", "book", "-s", "BTC/USD", "-n", "21", "--json", env=ready["env"])
        ended = end(process)
    assert (ready["symbols"], ready["accounts"]) == (["BTC/USD"], [])
    assert ready["env"].keys() == {"KRAKEN_WS_PUBLIC_URL", "KRAKEN_SPOT_URL", CONTROL}
    events = objects(streamed.out)
    assert [event["outcome"] for event in events] == ["verified"] * 21
    assert [event["checksum"] for event in events] == [checksum for *_, checksum, _ in walk(3, updates=20)]
    assert ended.code == 0


def test_recording_has_no_accounts(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(ACCOUNTS)
    ended = run("sim", "--playback", frames(tmp_path / "frames.jsonl"), "--accounts", accounts)
    assert (ended.code, ended.out) == (2, "")
    assert "a recording has no accounts" in ended.err


@pytest.mark.parametrize("content", [None, b"nothing to serve\n"], ids=["missing", "no frames"])
def test_recording_that_cannot_be_served_is_wrong_usage(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "frames.jsonl"
    if content is not None:
        file.write_bytes(content)
    ended = run("sim", "--playback", file)
    assert (ended.code, ended.out) == (2, "")
    assert str(file) in ended.err
    assert "Traceback" not in ended.err
