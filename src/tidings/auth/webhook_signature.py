"""How a call to a back end is signed: the same in both languages.

    Tidings-Signature: t=1795489445,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd

``t`` is the time of the call in seconds since 1970; ``v1`` is HMAC-SHA256, keyed by the shared secret, over ``t``, a
full stop, and the body's bytes. Who verifies compares in constant time, and refuses a ``t`` that lies more than five
minutes off: a call that was recorded is worth nothing later.
"""

from __future__ import annotations

import hashlib
import hmac

SIGNATURE_HEADER = "Tidings-Signature"
REPLAY_SECONDS = 300
SECRET_BYTES_MIN = 32  # as for HS256: RFC 7518, 3.2


def sign(secret: str, body: bytes, now_seconds: int) -> str:
    """The value of the header ``Tidings-Signature``."""
    return f"t={now_seconds},v1={_digest(secret, body, str(now_seconds))}"


def verify(secret: str, body: bytes, signature: str, now_seconds: float) -> bool:
    """Whether who knows the secret signed this body, within five minutes; for a back end in Python."""
    pairs = [part.partition("=")[::2] for part in signature.split(",")]
    moments = [value for name, value in pairs if name == "t"]
    if len(moments) != 1 or not (moments[0].isascii() and moments[0].isdigit()) or len(moments[0]) > 12:
        return False
    if abs(now_seconds - int(moments[0])) > REPLAY_SECONDS:
        return False
    expected = _digest(secret, body, moments[0]).encode()
    return any(hmac.compare_digest(expected, value.encode("utf-8", "replace")) for name, value in pairs if name == "v1")


def _digest(secret: str, body: bytes, moment: str) -> str:
    return hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
