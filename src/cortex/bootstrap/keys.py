"""The key that signs context packs: the operator's, or one made at first start."""

import os
import secrets
import tempfile
from pathlib import Path

from cortex.settings import ConfigurationError, Settings

GENERATED_KEY_BYTES = 32


def prepare_home(settings: Settings) -> Path:
    """Create the home folder, readable by its owner alone, and return it.

    Raises:
        ConfigurationError: it cannot be made.
    """
    home = settings.home_folder
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"the data folder {home} cannot be made: {error.strerror}"
        hint = "Name one that can be written with CORTEX_HOME."
        raise ConfigurationError(message, hint=hint) from error
    return home


def signing_key(settings: Settings) -> bytes:
    """Return the explicit key, or the one kept in ``home/keys/signing.key``."""
    explicit = settings.signing_key_bytes()
    if explicit is not None:
        return explicit
    path = settings.home_folder / "keys" / "signing.key"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.exists():
        return _kept(path)
    key = secrets.token_hex(GENERATED_KEY_BYTES).encode()
    # Whole or not at all, on a full disk too; of several workers the first one's stays.
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:  # 0600 from the start
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(file.name, path)
        except FileExistsError:
            return _kept(path)
    return key


def _kept(path: Path) -> bytes:
    key = path.read_bytes().strip()
    if not key:
        message = f"{path} is empty; delete it and start again to make a new key"
        raise OSError(message)
    return key
