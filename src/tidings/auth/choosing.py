"""Which authenticator and which authorizer an application gets, by what it gives and what is set."""

from __future__ import annotations

from collections.abc import Mapping

from tidings.auth.callback import AuthenticateFunction, CallbackAuthenticator
from tidings.auth.jwt import JwtAuthenticator
from tidings.auth.rules import Access, Rule, RuleAuthorizer
from tidings.ports import Authenticator, Authorizer
from tidings.settings import ConfigurationError, Settings


def authenticator_of(authenticate: AuthenticateFunction | Authenticator | None, settings: Settings) -> Authenticator:
    """A function, an object, or tokens by the key of the settings. Raises ConfigurationError where there is no key."""
    if authenticate is None:
        key = settings.secret or settings.public_key
        if key is None:
            raise ConfigurationError(
                "setting secret (TIDINGS_SECRET) is missing: give a secret of 32 bytes or more, or authenticate="
            )
        return JwtAuthenticator(key, algorithms=settings.algorithms, audience=settings.audience, issuer=settings.issuer)
    if hasattr(authenticate, "authenticate"):
        return authenticate
    return CallbackAuthenticator(authenticate)


def authorizer_of(authorize: Mapping[str, Rule | Access | bool] | Authorizer | None, settings: Settings) -> Authorizer:
    """Rules, or an object. Raises UsageError for a rule that does not fit."""
    if authorize is None or isinstance(authorize, Mapping):
        return RuleAuthorizer(authorize, types=settings.topics)
    return authorize
