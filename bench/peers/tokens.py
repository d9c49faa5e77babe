"""Tokens for all servers of the benchmark, and the check that those in Python share: HS256, with an end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt

SECRET = "benchmark-secret-of-32-bytes-or-more"
_LIFE_SECONDS = 86_400


def user_of(token: str) -> str:
    """Say whose token it is. Raises jwt.InvalidTokenError."""
    claims: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["exp"]})
    return str(claims["sub"])


def make(user: str, **claims: Any) -> str:
    """A token that is good for a day."""
    return jwt.encode({"sub": user, "exp": int(time.time()) + _LIFE_SECONDS, **claims}, SECRET, algorithm="HS256")


def write(path: Path, prefix: str, count: int) -> None:
    """One token a line, each of another user who may read all topics of the benchmark."""
    lines = (make(f"{prefix}-{number}", subscribe=["bench:*"]) for number in range(count))
    path.write_text("\n".join(lines) + "\n")
