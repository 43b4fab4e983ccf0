"""Encryption at rest: master keys from the settings, data keys from the database."""

from dataclasses import dataclass
from functools import partial

from cortex.foundation.clock import Clock
from cortex.foundation.tenancy import Namespace
from cortex.memory.resealing import Resealing
from cortex.memory.sealing import NoSeals, Seals
from cortex.security.data_keys import DataKeys
from cortex.security.envelope import KEY_BYTES, Keyring, MasterKey
from cortex.security.sealing import (
    STORE_PURPOSE,
    SealedValues,
    TenantSeals,
    sealed_value,
)
from cortex.settings import ConfigurationError, Settings
from cortex.storage.keyvalue import KeyValue
from cortex.storage.keyvalue_sqlite import SqliteKeyValue
from cortex.storage.sqlite import Connection, Database
from cortex.telemetry.logs import Logger

_FIELD = "encryption.key"


@dataclass(frozen=True, slots=True)
class Encryption:
    """How one process's stores are encrypted, if they are."""

    database: Database
    clock: Clock
    keys: DataKeys | None
    seals: Seals

    def values(self, keeper: KeyValue) -> KeyValue:
        """Return a keeper of values, sealed on their way if anything is."""
        return keeper if self.keys is None else SealedValues(keeper, self.keys)

    async def begin(self, log: Logger, values: SqliteKeyValue) -> None:
        """Check that keys and data belong together; seal what is plain still.

        Raises:
            ConfigurationError: the data are sealed by other keys than the settings'.
        """
        if self.keys is None:
            if await self._is_sealed():
                message = "the data are encrypted, and no encryption key is set"
                hint = "Set CORTEX_ENCRYPTION__KEY to the key they were stored with."
                raise ConfigurationError(message, hint=hint, field=_FIELD)
            return
        foreign = await self.keys.foreign()
        if foreign:
            message = (
                "the encryption key is not the one the data were stored with "
                f"(master key {foreign[0]} is missing)"
            )
            hint = (
                "Set CORTEX_ENCRYPTION__KEY to that key, or name it among "
                "CORTEX_ENCRYPTION__OLDER_KEYS."
            )
            raise ConfigurationError(message, hint=hint, field=_FIELD)
        wrapped = await self.keys.rewrap()
        if wrapped:
            log.info("data keys wrapped by the new master key", keys=wrapped)
        sealed = await values.rewrite(partial(_sealed, self.keys))
        sealed += await Resealing(self.database, self.seals).run()
        if sealed:
            await self.database.scrub()
            log.info("stored rows were encrypted", rows=sealed)

    async def _is_sealed(self) -> bool:
        # Any ring will do to ask whether there are keys.
        spare = Keyring(MasterKey(bytes(KEY_BYTES)))
        keys = DataKeys(self.database, spare, clock=self.clock)
        return bool(await keys.tenants(STORE_PURPOSE))


def encryption_of(settings: Settings, database: Database, clock: Clock) -> Encryption:
    """Return how the settings want the stores encrypted.

    Raises:
        ValidationError: a master key has another length or form.
    """
    ring = keyring(settings)
    if ring is None:
        return Encryption(database, clock, None, NoSeals())
    keys = DataKeys(database, ring, clock=clock)
    return Encryption(database, clock, keys, TenantSeals(keys))


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


def _sealed(
    keys: DataKeys,
    connection: Connection,
    namespace: Namespace,
    key: str,
    value: bytes,
) -> bytes | None:
    return sealed_value(keys, connection, (namespace, key, value))
