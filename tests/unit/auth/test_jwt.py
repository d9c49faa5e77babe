"""Tokens that must be taken, and a zoo of those that must not (security classes C2, C3, C8)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tidings.auth import JwtAuthenticator, mint_token
from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError, UsageError
from tidings.core.identity import Identity
from tidings.ports import Credentials, CredentialSource

SECRET = "0123456789abcdef0123456789abcdef"
OTHER_SECRET = "another-secret-of-thirty-two-bytes"
NOW = int(datetime.now(UTC).timestamp())


def now() -> int:
    """Not NOW, when a minute more or less decides: the suite takes longer than that."""
    return int(datetime.now(UTC).timestamp())


GOOD: dict[str, Any] = {"sub": "u-1", "exp": NOW + 3_600, "aud": "tidings", "iss": "https://issuer.example"}
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
WEAK_RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)


def pem(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: bytes, payload: bytes, secret: str = SECRET) -> str:
    """A token of whatever bytes, rightly signed: so its signature is never what gets it refused."""
    head = f"{b64(header)}.{b64(payload)}"
    return f"{head}.{b64(hmac.digest(secret.encode(), head.encode(), hashlib.sha256))}"


def token(header: dict[str, Any] | None = None, **claims: Any) -> str:
    return signed(
        json.dumps({"alg": "HS256", "typ": "JWT"} | (header or {})).encode(), json.dumps(GOOD | claims).encode()
    )


def lacking(claim: str) -> str:
    return signed(b'{"alg":"HS256"}', json.dumps({k: v for k, v in GOOD.items() if k != claim}).encode())


def unsigned(alg: object) -> str:
    return f"{b64(json.dumps({'alg': alg}).encode())}.{b64(json.dumps(GOOD).encode())}."


def tampered() -> str:
    head, _, signature = token().split(".")
    return f"{head}.{b64(json.dumps(GOOD | {'sub': 'admin'}).encode())}.{signature}"


def claims_text(text: str) -> str:
    return signed(b'{"alg":"HS256"}', text.encode())


async def authenticate(authenticator: JwtAuthenticator, text: str) -> Identity:
    return await authenticator.authenticate(Credentials(token=text, source=CredentialSource.QUERY))


def strict() -> JwtAuthenticator:
    return JwtAuthenticator(SECRET, audience="tidings", issuer="https://issuer.example")


ZOO: dict[str, Callable[[], str]] = {
    # No token at all.
    "empty": lambda: "",
    "spaces": lambda: "   ",
    "one dot": lambda: ".",
    "two dots": lambda: "..",
    "words": lambda: "not a token",
    "two parts": lambda: "a.b",
    "five parts, as an encrypted one has": lambda: "a.b.c.d.e",
    "not ASCII": lambda: "tökén.a.b",
    "half a character": lambda: "\ud800.a.b",
    "a zero byte": lambda: token() + "\0",
    "a line break": lambda: token() + "\n",
    "over-long": lambda: token(note="x" * 8_192),
    "header is no JSON": lambda: signed(b"{", b"{}"),
    "header is a list": lambda: signed(b"[]", b"{}"),
    "header nests 4,000 deep": lambda: f"{b64(b'[' * 4_000)}.{b64(b'{}')}.{b64(b'x')}",
    "claims are a list": lambda: claims_text("[]"),
    "claims are no JSON": lambda: claims_text("sub=u-1"),
    "claims nest 3,000 deep": lambda: claims_text("[" * 3_000),
    # Algorithms (C2).
    "alg none": lambda: unsigned("none"),
    "alg None": lambda: unsigned("None"),
    "alg nOnE": lambda: unsigned("nOnE"),
    "alg null": lambda: unsigned(None),
    "alg empty": lambda: unsigned(""),
    "alg a list": lambda: unsigned(["HS256"]),
    "alg of the family, not taken": lambda: jwt.encode(GOOD, SECRET * 2, algorithm="HS512"),
    "alg of another family": lambda: jwt.encode(GOOD, RSA_KEY, algorithm="RS256"),
    "no alg": lambda: signed(b'{"typ":"JWT"}', json.dumps(GOOD).encode()),
    "alg named twice, none last": lambda: signed(b'{"alg":"HS256","alg":"none"}', json.dumps(GOOD).encode()),
    # Signatures.
    "another secret": lambda: jwt.encode(GOOD, OTHER_SECRET, algorithm="HS256"),
    "no signature": lambda: token().rpartition(".")[0] + ".",
    "half a signature": lambda: token()[:-20],
    "claims changed": tampered,
    # Headers that point elsewhere (C2).
    "jku": lambda: token({"jku": "https://evil.example/keys"}),
    "jwk": lambda: token({"jwk": {"kty": "oct", "k": b64(OTHER_SECRET.encode())}}),
    "x5u": lambda: token({"x5u": "https://evil.example/cert"}),
    "x5c": lambda: token({"x5c": ["MIIB"]}),
    "crit, unknown": lambda: token({"crit": ["exp2"], "exp2": 1}),
    "crit, empty": lambda: token({"crit": []}),
    "b64 false": lambda: token({"b64": False, "crit": ["b64"]}),
    "zip": lambda: token({"zip": "DEF"}),
    "kid no string": lambda: token({"kid": 7}),
    # Time.
    "expired": lambda: token(exp=now() - 32),
    "no exp": lambda: lacking("exp"),
    "exp null": lambda: token(exp=None),
    "exp a string": lambda: token(exp=str(NOW + 60)),
    "exp a bool": lambda: token(exp=True),
    "exp in milliseconds": lambda: token(exp=(NOW + 60) * 1_000),
    "exp infinite": lambda: claims_text(json.dumps(GOOD).replace(str(NOW + 3_600), "Infinity")),
    "exp not a number": lambda: claims_text(json.dumps(GOOD).replace(str(NOW + 3_600), "NaN")),
    "exp of 400 digits": lambda: claims_text(json.dumps(GOOD).replace(str(NOW + 3_600), "9" * 400)),
    "not yet": lambda: token(nbf=now() + 120),
    "issued in the future": lambda: token(iat=now() + 120),
    # Audience and issuer, compared exactly (C3).
    "no aud": lambda: lacking("aud"),
    "aud another": lambda: token(aud="other"),
    "aud longer": lambda: token(aud="tidings2"),
    "aud shorter": lambda: token(aud="tid"),
    "aud an object": lambda: token(aud={"tidings": 1}),
    "aud a list without us": lambda: token(aud=["a", "b"]),
    "no iss": lambda: lacking("iss"),
    "iss shorter": lambda: token(iss="https://issuer"),
    "iss longer": lambda: token(iss="https://issuer.example.evil"),
    "iss a list": lambda: token(iss=["https://issuer.example"]),
    # The other claims, each of its type.
    "no sub": lambda: lacking("sub"),
    "sub empty": lambda: token(sub=""),
    "sub a number": lambda: token(sub=7),
    "sub over-long": lambda: token(sub="x" * 129),
    "sub half a character": lambda: claims_text(json.dumps(GOOD).replace("u-1", "\\ud800")),
    "tenant a number": lambda: token(tenant=7),
    "tenant empty": lambda: token(tenant=""),
    "subscribe a string": lambda: token(subscribe="gift-list:*"),
    "subscribe of numbers": lambda: token(subscribe=[1]),
    "subscribe no pattern": lambda: token(subscribe=["gift-list"]),
    "publish an object": lambda: token(publish={"gift-list:*": True}),
    "publish of too many": lambda: token(publish=["a:b"] * 257),
}  # fmt: skip


@pytest.mark.parametrize("name", ZOO)
async def test_a_bad_token_is_unauthorized_and_not_repeated(name: str, caplog: pytest.LogCaptureFixture) -> None:
    bad = ZOO[name]()
    with pytest.raises(PeerError) as refused:
        await authenticate(strict(), bad)
    assert refused.value.code is ErrorCode.UNAUTHORIZED
    parts = [part for part in bad.split(".") if len(part) > 8]
    assert not any(part in refused.value.message for part in parts), "the message repeats the token"
    assert refused.value.message.endswith("."), "not a sentence"
    assert caplog.text == "", "the verifier was surprised by what anybody can send"


def test_the_zoo_has_forty_tokens() -> None:
    assert len(ZOO) >= 40


async def test_a_good_token() -> None:
    good = token(tenant="t-1", subscribe=["gift-list:*"], publish=[], role="parent")
    identity = await authenticate(strict(), good)
    assert identity == Identity(
        user="u-1", tenant="t-1", expires_at=NOW + 3_600, subscribe=("gift-list:*",), publish=()
    )
    assert identity.claims["role"] == "parent"


@pytest.mark.parametrize(
    "claims",
    [
        lambda: {"aud": ["other", "tidings"]},
        lambda: {"exp": now() - 5},
        lambda: {"nbf": now() + 5},
        lambda: {"tenant": None},
    ],
)
async def test_good_at_the_edges(claims: Callable[[], dict[str, Any]]) -> None:
    assert (await authenticate(strict(), token(**claims()))).user == "u-1"


async def test_audience_and_issuer_are_looked_at_only_when_set() -> None:
    assert (await authenticate(JwtAuthenticator(SECRET), token(aud="any", iss="any"))).user == "u-1"


async def test_public_keys() -> None:
    elliptic, edwards = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    for key, algorithm in ((RSA_KEY, "RS256"), (elliptic, "ES256"), (edwards, "EdDSA")):
        authenticator = JwtAuthenticator(pem(key.public_key()), algorithms=[algorithm])
        assert (await authenticate(authenticator, jwt.encode(GOOD, key, algorithm=algorithm))).user == "u-1"


async def test_a_public_key_is_never_taken_for_a_secret() -> None:
    public = pem(RSA_KEY.public_key())
    forged = signed(b'{"alg":"HS256"}', json.dumps(GOOD).encode(), secret=public)
    with pytest.raises(PeerError, match="algorithm"):
        await authenticate(JwtAuthenticator(public, algorithms=["RS256"]), forged)
    with pytest.raises(UsageError, match="not a public key"):
        JwtAuthenticator(public, algorithms=["HS256"])


@pytest.mark.parametrize(
    ("key", "algorithms", "said"),
    [
        ("short", ["HS256"], "secret has 5 bytes, and HS256 needs 32"),
        (SECRET, ["HS256", "HS512"], "HS512 needs 64"),
        (SECRET, ["none"], "'none' is not one of"),
        (SECRET, [], "must be a list"),
        (SECRET, "HS256", "must be a list"),
        (SECRET, ["HS256", "RS256"], "one family"),
        (SECRET, ["RS256"], "public key for RS256, as PEM"),
        (pem(WEAK_RSA_KEY.public_key()), ["RS256"], "too short"),
        (pem(ec.generate_private_key(ec.SECP384R1()).public_key()), ["ES256"], "public key for ES256"),
        (
            RSA_KEY.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
            ["RS256"],
            "this is the private one",
        ),
    ],
)
def test_a_key_that_cannot_be_safe_is_refused_at_start(key: str, algorithms: list[str], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        JwtAuthenticator(key, algorithms=algorithms)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value) and "BEGIN" not in str(refused.value)
    assert SECRET not in str(refused.value)


async def test_what_is_minted_is_taken() -> None:
    minted = mint_token(
        SECRET, user="u-1", tenant="t-1", subscribe=["gift-list:*"], publish=["chat:{room}"], ttl_seconds=3_600,
        audience="tidings", issuer="https://issuer.example", now=datetime.fromtimestamp(NOW, UTC),
    )  # fmt: skip
    identity = await authenticate(strict(), minted)
    assert identity == Identity(
        user="u-1", tenant="t-1", expires_at=NOW + 3_600, subscribe=("gift-list:*",), publish=("chat:{room}",)
    )
    plain = await authenticate(JwtAuthenticator(SECRET), mint_token(SECRET, user="u-2", now=datetime.now(UTC)))
    assert (plain.tenant, plain.subscribe, plain.publish) == (None, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": ""}, {"user": "x" * 129}, {"subscribe": ["gift-list"]}, {"ttl_seconds": 0}, {"tenant": ""},
        {"secret": "short"}, {"algorithm": "RS256"}, {"algorithm": "none"},
    ],
)  # fmt: skip
def test_what_would_be_refused_is_not_minted(wrong: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"secret": SECRET, "user": "u-1", "now": datetime.now(UTC)} | wrong
    with pytest.raises(UsageError):
        mint_token(arguments.pop("secret"), **arguments)
