import json
from pathlib import Path

import pytest

from krakenwire import UsageError
from krakenwire.protocol.wire.auth import sign

SECRET = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
BODY = b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"


def test_signature_is_the_one_that_kraken_publishes() -> None:
    expected = "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    assert sign("/0/private/AddOrder", "1616492376594", BODY, SECRET) == expected
    assert sign("/0/private/AddOrder", "1616492376595", BODY, SECRET) != expected


def test_every_published_signature_holds(vectors: Path) -> None:
    found = json.loads((vectors / "rest_sign.json").read_text())["vectors"]
    assert found
    for each in found:
        body = each["encoded_payload"].encode()
        assert sign(each["uri_path"], each["nonce"], body, each["private_key"]) == each["api_sign"]


def test_secret_that_is_not_base64_is_refused_without_being_shown() -> None:
    with pytest.raises(UsageError, match="not valid base64") as caught:
        sign("/0/private/Balance", "1", b"nonce=1", "not*a*secret")
    assert "not*a*secret" not in str(caught.value)
    assert caught.value.__suppress_context__
