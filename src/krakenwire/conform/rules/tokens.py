"""PROTOCOL 8.1, 8.2, 5: signatures, nonces and tokens."""

from __future__ import annotations

import base64
from dataclasses import replace

from krakenwire.conform.rule import rule
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.target import Credentials
from krakenwire.conform.verdict import NotTested, expect
from krakenwire.conform.web import Reply
from krakenwire.conform.wire import in_words

__all__ = [
    "rest_balance",
    "token_bad_key",
    "token_bad_signature",
    "token_invalid",
    "token_issue",
    "token_json_body",
    "token_missing",
    "token_order_invalid",
    "token_replayed_nonce",
]

METHOD = "GetWebSocketsToken"


def _credentials(subject: Subject) -> Credentials:
    if subject.target.credentials is None:
        raise NotTested(subject.target.why_not_private)
    return subject.target.credentials


def _expect_error(reply: Reply, error: str) -> None:
    expect(reply.errors == [error], f"the error `{error}`", in_words(reply.errors) if reply.errors else "none", reply)


@rule("token.issue", "8.2", "DOC", lane="account")
async def token_issue(subject: Subject) -> str | None:
    """`GetWebSocketsToken` gives a token, a string, that expires in 900 s."""
    reply = await subject.web.post(METHOD, _credentials(subject))
    expect(not reply.errors, "a token", in_words(reply.errors))
    expect_shape(reply.outcome, {"token": "text", "expires": "integer"})
    expect(reply.outcome.integer("expires") == 900, "`expires` 900", reply.outcome.get("expires"))
    return None


@rule("token.json_body", "8.1", "DOC", lane="account")
async def token_json_body(subject: Subject) -> str | None:
    """A JSON body is accepted, signed over the nonce and its exact text."""
    reply = await subject.web.post(METHOD, _credentials(subject), is_json=True)
    expect(not reply.errors, "a token", in_words(reply.errors))
    return None


@rule("token.bad_signature", "8.1", "DOC", lane="account")
async def token_bad_signature(subject: Subject) -> str | None:
    """A wrong signature is refused with `EAPI:Invalid signature`."""
    wrong = replace(_credentials(subject), secret=base64.b64encode(bytes(64)).decode())
    _expect_error(await subject.web.post(METHOD, wrong), "EAPI:Invalid signature")
    return None


@rule("token.bad_key", "9.7", "DOC", lane="account")
async def token_bad_key(subject: Subject) -> str | None:
    """A key that does not exist is refused with `EAPI:Invalid key`."""
    wrong = replace(_credentials(subject), key=base64.b64encode(bytes(42)).decode())
    _expect_error(await subject.web.post(METHOD, wrong), "EAPI:Invalid key")
    return None


@rule("token.replayed_nonce", "8.1", "DOC", lane="account")
async def token_replayed_nonce(subject: Subject) -> str | None:
    """A nonce that was used is refused with `EAPI:Invalid nonce`."""
    credentials = _credentials(subject)
    nonce = subject.web.new_nonce()
    first = await subject.web.post(METHOD, credentials, nonce=nonce)
    if first.errors:
        raise NotTested(f"needs a first use of the nonce, which was refused: {in_words(first.errors)}")
    _expect_error(await subject.web.post(METHOD, credentials, nonce=nonce), "EAPI:Invalid nonce")
    return None


@rule("rest.balance", "8", "DOC", lane="account")
async def rest_balance(subject: Subject) -> str | None:
    """`Balance` maps assets to amounts as strings."""
    reply = await subject.web.post("Balance", _credentials(subject))
    expect(not reply.errors, "balances", in_words(reply.errors))
    for asset, amount in reply.outcome.fields.items():
        expect(type(amount) is str, f"a string for {asset}", in_words(amount))
    return f"{len(reply.outcome.fields)} assets"


@rule("token.missing", "5", "DOC", lane="account")
async def token_missing(subject: Subject) -> str | None:
    """A private channel without a token is refused, and the connection stays open."""
    async with subject.line("auth") as line:
        answer = await line.answer("subscribe", {"channel": "executions"})
        expect(not answer.is_success, "a refusal", "success", answer)
        expect(await line.is_alive(), "an open connection", "no answer to a ping")
    return f"it said {answer.said}"


@rule("token.invalid", "8.2", "SDK", lane="account")
async def token_invalid(subject: Subject) -> str | None:
    """A private channel with a token that was never issued is refused, and the connection stays open."""
    async with subject.line("auth") as line:
        answer = await line.answer("subscribe", {"channel": "executions", "token": "bm90IGEgdG9rZW4"})
        expect(not answer.is_success, "a refusal", "success", answer)
        expect(await line.is_alive(), "an open connection", "no answer to a ping")
    return f"it said {answer.said}"


@rule("token.order_invalid", "8.2", "SDK", lane="account")
async def token_order_invalid(subject: Subject) -> str | None:
    """A request with a token that was never issued is refused as `EAPI:Invalid token` or `ESession:Invalid session`."""
    async with subject.line("auth") as line:
        answer = await line.answer("cancel_all", {"token": "bm90IGEgdG9rZW4"})
        expect(not answer.is_success, "a refusal", "success", answer)
        known = ("EAPI:Invalid token", "ESession:Invalid session")
        expect(answer.error.startswith(known), " or ".join(known), answer.said, answer)
    return None
