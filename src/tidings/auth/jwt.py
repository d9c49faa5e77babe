"""JSON Web Tokens (RFC 7519): signed claims that say who the user is.

The claims: ``sub`` is the user, ``tenant`` the tenant, ``subscribe`` and ``publish`` are lists of topic
patterns. ``exp`` is always required; ``aud`` and ``iss`` must match exactly where the server sets them.
The verifier trusts nothing that the token says of itself: algorithm and key come from the server alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import jwt
from jwt.algorithms import get_default_algorithms

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError, UsageError
from tidings.core.identity import Identity
from tidings.core.topics import TopicPattern
from tidings.ports import Credentials

LEEWAY_SECONDS = 30  # how far the issuer's clock may be off
TOKEN_LENGTH_MAX = 8_192  # a frame before authentication holds no more
USER_LENGTH_MAX = 128
PATTERNS_MAX = 256  # as many as a connection may hold topics
EXPIRY_MAX = 253_402_300_799  # the end of the year 9999, in seconds: a time in milliseconds lies above

# Headers that point to a key of the token's own choosing, or ask for more than a signature.
_FORBIDDEN_HEADERS = ("jku", "jwk", "x5u", "x5c", "crit", "zip", "enc", "b64")

_FAMILIES = {
    "HMAC": ("HS256", "HS384", "HS512"),
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "ECDSA": ("ES256", "ES256K", "ES384", "ES512"),
    "EdDSA": ("EdDSA",),
}
_log = logging.getLogger("tidings.auth")


class JwtAuthenticator:
    """Takes tokens that one key has signed (``tidings.ports.Authenticator``).

    :param key: the secret of the HS algorithms, 32 bytes or more; of the others the public key as PEM.
    :param algorithms: which the server takes, all of one family; HS256 is the default.
    :param audience: what ``aud`` must be or hold; without it ``aud`` is not looked at.
    :param issuer: what ``iss`` must be; without it ``iss`` is not looked at.
    :param leeway_seconds: how far the issuer's clock may be off.

    Raises UsageError at construction for a weak or unfitting key.
    """

    def __init__(
        self,
        key: str | bytes,
        *,
        algorithms: Sequence[str] = ("HS256",),
        audience: str | None = None,
        issuer: str | None = None,
        leeway_seconds: float = LEEWAY_SECONDS,
    ) -> None:
        _check_algorithms(algorithms)
        for algorithm in algorithms:
            check_key(key, algorithm)
        self._key = key
        self._algorithms = list(algorithms)
        self._audience = audience
        self._issuer = issuer
        self._leeway_seconds = leeway_seconds

    async def authenticate(self, credentials: Credentials) -> Identity:
        """Say who signed in. Raises PeerError ``unauthorized`` for every token that is not whole and good."""
        try:
            claims = self._verified(credentials.token)
        except PeerError:
            raise
        except jwt.InvalidTokenError as error:
            raise _unauthorized(_sentence(error)) from None
        except Exception as error:
            # What no library foresaw in a hostile token is still a refusal, never a fault of the server.
            _log.warning("a token made the verifier fail with %s; refused", type(error).__name__)
            raise _unauthorized(_UNREADABLE) from None
        return _identity(claims)

    def _verified(self, token: str) -> dict[str, Any]:
        if len(token) > TOKEN_LENGTH_MAX:
            raise _unauthorized(f"The token has more than {TOKEN_LENGTH_MAX} characters.")
        if not token.isascii():
            raise _unauthorized(_UNREADABLE)
        # One call for header and claims: looked at alone, each would be decoded a second time.
        verified = jwt.decode_complete(
            token,
            self._key,
            algorithms=self._algorithms,
            audience=self._audience,
            issuer=self._issuer,
            leeway=self._leeway_seconds,
            options={"require": ["exp", "sub"], "verify_aud": self._audience is not None},
        )
        for name in _FORBIDDEN_HEADERS:
            if name in verified["header"]:
                raise _unauthorized(f"The token's header has {name}, which this server does not take.")
        claims: dict[str, Any] = verified["payload"]
        return claims


def mint_token(
    secret: str,
    *,
    user: str,
    now: datetime,
    tenant: str | None = None,
    subscribe: Sequence[str] | None = None,
    publish: Sequence[str] | None = None,
    ttl_seconds: int = 3_600,
    audience: str | None = None,
    issuer: str | None = None,
    algorithm: str = "HS256",
) -> str:
    """Make a token that :class:`JwtAuthenticator` of the same secret takes, for ``ttl_seconds`` from ``now``.

    Raises UsageError for what it would refuse: a short secret, an empty user, a bad pattern, no time to live.
    """
    _check_algorithms([algorithm])
    if algorithm not in _FAMILIES["HMAC"]:
        raise UsageError(f"tokens are made with a secret and HS256, HS384 or HS512, not with {algorithm}")
    check_key(secret, algorithm)
    if ttl_seconds < 1:
        raise UsageError(f"ttl_seconds must be 1 or more; it is {ttl_seconds}")
    issued_at = int(now.timestamp())
    claims: dict[str, Any] = {"sub": user, "iat": issued_at, "exp": issued_at + ttl_seconds}
    optional = {"tenant": tenant, "subscribe": subscribe, "publish": publish, "aud": audience, "iss": issuer}
    for name, value in optional.items():
        if value is not None:
            claims[name] = value if isinstance(value, str) else list(value)
    try:
        _identity(claims)
    except PeerError as fault:
        raise UsageError(fault.message) from None
    return jwt.encode(claims, secret, algorithm=algorithm)


def check_key(key: str | bytes, algorithm: str) -> None:
    """Raise UsageError unless the key fits the algorithm and is strong enough for it; the key is not shown."""
    implementation = get_default_algorithms().get(algorithm)
    if implementation is None:
        raise UsageError(f"algorithm {algorithm!r} is not supported here")
    hmac = algorithm in _FAMILIES["HMAC"]
    try:
        prepared = implementation.prepare_key(key)
    except Exception:
        wanted = "a plain secret, not a public key" if hmac else f"a public key for {algorithm}, as PEM"
        raise UsageError(f"the key of {algorithm} must be {wanted}") from None
    if hasattr(prepared, "private_bytes"):
        raise UsageError(f"{algorithm} needs the public key, and this is the private one: keep that with the issuer")
    if hmac and isinstance(prepared, bytes) and len(prepared) < _hmac_key_bytes(algorithm):
        raise UsageError(
            f"secret has {len(prepared)} bytes, and {algorithm} needs {_hmac_key_bytes(algorithm)} or more; "
            'make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'
        )
    weakness = implementation.check_key_length(prepared)
    if weakness is not None:
        raise UsageError(f"the key of {algorithm} is too short to be safe")


def _hmac_key_bytes(algorithm: str) -> int:
    return int(algorithm[2:]) // 8  # RFC 7518, 3.2: a key of the hash's size or larger


def _check_algorithms(algorithms: Sequence[str]) -> None:
    """One family only: a public key must never be taken for a secret (CVE-2022-29217)."""
    if isinstance(algorithms, str) or not algorithms:
        raise UsageError("algorithms must be a list such as ['HS256']")
    families = {name for name, members in _FAMILIES.items() for a in algorithms if a in members}
    unknown = [a for a in algorithms if not any(a in members for members in _FAMILIES.values())]
    if unknown:
        known = ", ".join(a for members in _FAMILIES.values() for a in members)
        raise UsageError(f"algorithm {unknown[0]!r} is not one of {known}")
    if len(families) > 1:
        raise UsageError(f"algorithms must be of one family, for there is one key; these are {', '.join(algorithms)}")


def _identity(claims: dict[str, Any]) -> Identity:
    """Claims to identity, each of its type. Raises PeerError ``unauthorized`` naming the claim."""
    expires_at = claims["exp"]
    if isinstance(expires_at, bool) or not isinstance(expires_at, int | float) or not 0 < expires_at <= EXPIRY_MAX:
        raise _unauthorized("The token's claim exp must be a time in seconds since 1970.")
    return Identity(
        user=_text(claims, "sub"),
        tenant=None if claims.get("tenant") is None else _text(claims, "tenant"),
        expires_at=float(expires_at),
        subscribe=_patterns(claims, "subscribe"),
        publish=_patterns(claims, "publish"),
        claims=claims,
    )


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str) or not 0 < len(value) <= USER_LENGTH_MAX or not _is_unicode(value):
        raise _unauthorized(f"The token's claim {name} must be a string of 1 to {USER_LENGTH_MAX} characters.")
    return value


def _patterns(claims: dict[str, Any], name: str) -> tuple[str, ...] | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > PATTERNS_MAX or not all(isinstance(v, str) for v in value):
        raise _unauthorized(f"The token's claim {name} must be a list of at most {PATTERNS_MAX} topic patterns.")
    for pattern in value:
        try:
            TopicPattern(pattern)
        except ValueError as error:
            raise _unauthorized(f"The token's claim {name} is wrong: {error}.") from None
    return tuple(value)


def _is_unicode(text: str) -> bool:
    """Whether the text can be sent: JSON can spell half a character (a lone surrogate), UTF-8 cannot."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


_UNREADABLE = "The token is not a JSON Web Token that this server can read."
_SENTENCES: tuple[tuple[type[jwt.InvalidTokenError], str], ...] = (
    (jwt.ExpiredSignatureError, "The token has expired; get a new one."),
    (jwt.ImmatureSignatureError, "The token is not valid yet; check the clock of who issued it."),
    (jwt.InvalidAudienceError, "The token is for another audience."),
    (jwt.InvalidIssuerError, "The token is of another issuer."),
    (jwt.InvalidAlgorithmError, "The token is signed with an algorithm that this server does not take."),
    (jwt.InvalidSignatureError, "The token is not signed with this server's key."),
)


def _sentence(error: jwt.InvalidTokenError) -> str:
    """Our own words for a refusal: the library's may repeat what the token holds."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"The token lacks the claim {error.claim}."
    return next((sentence for kind, sentence in _SENTENCES if isinstance(error, kind)), _UNREADABLE)


def _unauthorized(message: str) -> PeerError:
    return PeerError(ErrorCode.UNAUTHORIZED, message)
