"""Who is it, and what may they do: credentials to identity, identity and topic to yes or no.

What may enter: ways to sign in (``tidings.ports.Authenticator``) and ways to decide
(``tidings.ports.Authorizer``). What may not: sockets, sessions, brokers. Whatever is not granted is refused,
and no message ever repeats a credential.
"""

from tidings.auth.callback import AuthenticateFunction, CallbackAuthenticator
from tidings.auth.jwt import JwtAuthenticator, mint_token
from tidings.auth.origin import check_origins, origin_allowed
from tidings.auth.rules import Access, Rule, RuleAuthorizer

__all__ = [
    "Access",
    "AuthenticateFunction",
    "CallbackAuthenticator",
    "JwtAuthenticator",
    "Rule",
    "RuleAuthorizer",
    "check_origins",
    "mint_token",
    "origin_allowed",
]
