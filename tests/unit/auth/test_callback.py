"""Signing in by a function of the application: what it may return and raise, and what a client learns."""

from __future__ import annotations

import functools
import logging
import threading
from typing import Any

import jwt
import pytest
from starlette.exceptions import HTTPException

from tidings.auth import CallbackAuthenticator
from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.identity import Identity
from tidings.ports import Credentials, CredentialSource

CREDENTIALS = Credentials(token="sesame", source=CredentialSource.MESSAGE)
ANA = Identity(user="ana")


class AsyncObject:
    async def __call__(self, credentials: Credentials) -> Identity:
        return ANA


async def ask(function: Any) -> Identity:
    return await CallbackAuthenticator(function).authenticate(CREDENTIALS)


async def in_loop(credentials: Credentials) -> Identity:
    assert credentials is CREDENTIALS
    assert threading.current_thread() is threading.main_thread()
    return ANA


def in_thread(credentials: Credentials) -> Identity:
    assert credentials is CREDENTIALS
    assert threading.current_thread() is not threading.main_thread(), "a plain function would block the loop"
    return ANA


def returns_a_coroutine(credentials: Credentials) -> Any:
    return in_loop(credentials)


@pytest.mark.parametrize(
    "function",
    [in_loop, in_thread, returns_a_coroutine, functools.partial(in_loop), AsyncObject()],
    ids=["coroutine function", "function", "returns a coroutine", "partial", "object"],
)
async def test_plain_and_async_functions(function: Any) -> None:
    assert await ask(function) is ANA


def raising(error: BaseException) -> Any:
    async def authenticate(credentials: Credentials) -> Identity:
        raise error

    return authenticate


async def none(credentials: Credentials) -> None:
    return None


@pytest.mark.parametrize(
    "function",
    [
        none,
        raising(PeerError(ErrorCode.FORBIDDEN, "No such session.")),
        raising(jwt.ExpiredSignatureError("sesame expired")),
        raising(HTTPException(401, "sesame")),
        raising(HTTPException(403, "sesame")),
    ],
)
async def test_refusals(function: Any) -> None:
    with pytest.raises(PeerError) as refused:
        await ask(function)
    assert refused.value.code is ErrorCode.UNAUTHORIZED
    assert "sesame" not in refused.value.message


async def test_a_peer_error_keeps_its_sentence() -> None:
    with pytest.raises(PeerError, match="No such session"):
        await ask(raising(PeerError(ErrorCode.UNAUTHORIZED, "No such session.")))


async def returns_a_user(credentials: Credentials) -> Any:
    return {"user": "ana"}


@pytest.mark.parametrize(
    "function", [raising(KeyError("db-password")), raising(HTTPException(500, "db-password")), returns_a_user]
)
async def test_a_fault_is_logged_and_not_told(function: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "tidings"), pytest.raises(PeerError) as refused:
        await ask(function)
    assert refused.value.code is ErrorCode.INTERNAL
    assert refused.value.message == ErrorCode.INTERNAL.sentence
    assert "authenticate" in caplog.text
