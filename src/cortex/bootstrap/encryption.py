"""The master keys that wrap every tenant's data keys, from the settings."""

from cortex.security.envelope import Keyring, MasterKey
from cortex.settings import Settings


def keyring(settings: Settings) -> Keyring | None:
    """Return the master keys; None leaves what is stored unencrypted.

    Raises:
        ValidationError: a key has another length or form.
    """
    current = settings.encryption.key
    if current is None:
        return None
    older = [
        MasterKey.parse(key.get_secret_value())
        for key in settings.encryption.older_keys
    ]
    return Keyring(MasterKey.parse(current.get_secret_value()), older)
