"""What the doors can answer instead of a principal.

The leaves of this room::

    CortexError
    ├── ValidationError
    │   ├── PolicyInvalid        a policy file breaks a rule: where, and what is right
    │   └── TlsInvalid           a certificate, key or authority cannot be used
    ├── NotFound
    │   ├── TokenNotFound        no such token in this tenant
    │   └── SecretNotFound       the place a reference names holds no such secret
    ├── Unauthenticated
    │   └── TokenEnded           it was good once: its time is over, or it was revoked
    ├── Unavailable
    │   ├── IssuerUnavailable    an identity provider's keys cannot be had
    │   └── SecretUnavailable    the place a reference names cannot be asked
    └── DecryptionFailed         ciphertext, key or context do not belong together

None of them carries a credential, a key or a secret: not in the message, not in the
data, not by ``repr``.
"""

from cortex.foundation.errors import (
    CortexError,
    NotFound,
    Unauthenticated,
    Unavailable,
    ValidationError,
)


class PolicyInvalid(ValidationError):
    """A policy breaks a rule of its format; ``data['field']`` says where."""

    code = "POLICY_INVALID"


class TlsInvalid(ValidationError):
    """A certificate, key or authority file cannot be used for TLS."""

    code = "TLS_INVALID"


class TokenNotFound(NotFound):
    """The tenant has no token with that id."""

    code = "TOKEN_NOT_FOUND"


class SecretNotFound(NotFound):
    """A reference is well formed, but nothing is there."""

    code = "SECRET_NOT_FOUND"


class TokenEnded(Unauthenticated):
    """A token that was good once has expired or was revoked.

    Callers are told what they are told of any token that is not good; who watches for
    intrusion tells a forgotten token from a guessed one by the type.
    """


class IssuerUnavailable(Unavailable):
    """The signing keys of an identity provider cannot be fetched."""

    code = "ISSUER_UNAVAILABLE"


class SecretUnavailable(Unavailable):
    """A store of secrets does not answer, or does not let us in."""

    code = "SECRET_UNAVAILABLE"


class DecryptionFailed(CortexError):
    """The ciphertext was changed, or belongs to another key, tenant or context."""

    code = "DECRYPTION_FAILED"
