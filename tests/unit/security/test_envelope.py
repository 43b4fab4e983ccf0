"""Sealing, moving, rotating and destroying keys."""

import dataclasses

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from cortex.foundation.errors import ValidationError
from cortex.security.data_keys import DataKeys
from cortex.security.envelope import (
    OVERHEAD_BYTES,
    Keyring,
    MasterKey,
    Xaes,
    key_id_of,
)
from cortex.security.errors import DecryptionFailed
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database

OLD, NEW = MasterKey(b"o" * 32), MasterKey(b"n" * 32)
RING = Keyring(OLD)
KEY = RING.unwrap(RING.make("acme", "memory"))
OTHER_TENANT = RING.unwrap(RING.make("other", "memory"))


@pytest.fixture
async def database(tmp_path, clock):
    steps = load_migrations("cortex.storage") + load_migrations("cortex.security")
    database = Database(tmp_path / "cortex.db", clock=clock, migrations=steps)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def keys(database, clock):
    return DataKeys(database, RING, clock=clock)


@pytest.mark.parametrize(
    ("key", "extra", "sealed"),
    [
        (
            b"\x01" * 32,
            b"",
            "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
        ),
        (
            b"\x03" * 32,
            b"c2sp.org/XAES-256-GCM",
            "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
        ),
    ],
)
def test_the_published_vectors_of_the_cipher(key, extra, sealed):
    """From the specification; the two keys take the two ways of the derivation."""
    nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX"
    cipher = Xaes(key)
    assert cipher.seal(nonce, b"XAES-256-GCM", extra).hex() == sealed
    assert cipher.open(nonce, bytes.fromhex(sealed), extra) == b"XAES-256-GCM"
    with pytest.raises(InvalidTag):
        cipher.open(nonce, bytes.fromhex(sealed), extra + b"x")


@given(st.binary(max_size=300), st.binary(max_size=30))
def test_what_is_sealed_opens_again(content, context):
    sealed = KEY.seal(content, context)
    assert KEY.open(sealed, context) == content
    assert len(sealed) == len(content) + OVERHEAD_BYTES
    assert key_id_of(sealed) == KEY.id
    assert sealed != KEY.seal(content, context)


@given(st.binary(max_size=40), st.data())
def test_one_changed_bit_is_noticed(content, data):
    sealed = bytearray(KEY.seal(content, b"row-1"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DecryptionFailed):
        KEY.open(bytes(sealed), b"row-1")


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_content_does_not_open_elsewhere(here, there):
    if here != there:
        with pytest.raises(DecryptionFailed):
            KEY.open(KEY.seal(b"x", here), there)


@pytest.mark.parametrize("cut", [0, 1, 16, 40, 56])
def test_a_torn_value_is_noticed(cut):
    with pytest.raises(DecryptionFailed):
        KEY.open(KEY.seal(b"", b"")[:cut], b"")


def test_a_wrapped_key_is_bound_to_its_tenant_and_purpose():
    wrapped = RING.make("acme", "memory")
    for change in ({"tenant": "other"}, {"purpose": "ledger"}, {"id": b"x" * 16}):
        with pytest.raises(DecryptionFailed):
            RING.unwrap(dataclasses.replace(wrapped, **change))
    with pytest.raises(DecryptionFailed):
        RING.unwrap(dataclasses.replace(wrapped, wrapped=b""))
    with pytest.raises(DecryptionFailed):
        OTHER_TENANT.open(KEY.seal(b"x", b""), b"")


def test_master_keys_are_read_and_never_shown():
    for text in ("6f" * 32, "b29v" * 10 + "b28="):
        key = MasterKey.parse(text)
        assert key == OLD
        assert "6f6f" not in repr(key)
        assert "oooo" not in repr(key)
    for text in ("", "6f" * 31, "not a key", "b29v"):
        with pytest.raises(ValidationError) as caught:
            MasterKey.parse(text)
        assert not text or text not in str(caught.value)
    assert OLD.id != NEW.id
    with pytest.raises(ValueError, match="32 bytes"):
        Xaes(b"short")


async def test_a_tenant_gets_one_key_and_keeps_it(keys, database, clock):
    first = await keys.current("acme", "memory")
    assert (await keys.current("acme", "memory")).id == first.id
    assert (await keys.current("acme", "ledger")).id != first.id
    assert (await keys.current("other", "memory")).id != first.id
    again = DataKeys(database, RING, clock=clock)
    sealed = first.seal(b"x", b"row")
    assert (await again.opener("acme", sealed)).open(sealed, b"row") == b"x"


async def test_another_tenants_content_has_no_opener(keys):
    sealed = (await keys.current("acme", "memory")).seal(b"x", b"row")
    with pytest.raises(DecryptionFailed):
        await keys.opener("other", sealed)


async def test_rotation_keeps_older_content_readable(keys):
    old = await keys.current("acme", "memory")
    sealed = old.seal(b"x", b"row")
    new = await keys.rotate("acme", "memory")
    assert (await keys.current("acme", "memory")).id == new.id != old.id
    assert (await keys.opener("acme", sealed)).open(sealed, b"row") == b"x"


async def test_the_master_key_is_changed_without_touching_content(
    keys, database, clock
):
    sealed = (await keys.current("acme", "memory")).seal(b"x", b"row")
    await keys.current("other", "memory")
    both = DataKeys(database, Keyring(NEW, [OLD]), clock=clock)
    assert await both.rewrap() == 2
    assert await both.rewrap() == 0
    only_new = DataKeys(database, Keyring(NEW), clock=clock)
    assert (await only_new.opener("acme", sealed)).open(sealed, b"row") == b"x"
    only_old = DataKeys(database, RING, clock=clock)
    with pytest.raises(DecryptionFailed, match="not at hand") as caught:
        await only_old.opener("acme", sealed)
    assert caught.value.data["master_key"] == NEW.id


async def test_destroyed_keys_leave_no_byte_behind(keys, database, tmp_path):
    key = await keys.current("acme", "memory")
    kept = await keys.current("acme", "ledger")
    sealed, other = key.seal(b"x", b"row"), kept.seal(b"y", b"row")
    wrapped = await database.read(
        lambda c: c.execute("SELECT wrapped FROM security_data_keys").fetchall()
    )
    assert await keys.destroy("acme", "memory") == 1
    with pytest.raises(DecryptionFailed, match="gone"):
        await keys.opener("acme", sealed)
    assert (await keys.opener("acme", other)).open(other, b"row") == b"y"
    assert await keys.destroy("acme") == 1
    await database.scrub()
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert all(bytes(row[0]) not in content for row in wrapped)
        assert key.id not in content
