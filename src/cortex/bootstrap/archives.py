"""Where old entries of the ledger go: a folder, or an S3-compatible store."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cortex.foundation.errors import ValidationError
from cortex.ledger.archive import Archive
from cortex.ledger.objects import FolderObjects, ObjectStore

FILE_SCHEME = "file://"
S3_SCHEME = "s3://"

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
"""Variables that name a store other than Amazon's, the most specific first."""


def archive_at(place: str) -> Archive | None:
    """Return the ledger's archive at a folder or URL; None for nowhere.

    Raises:
        ValidationError: the place is of a kind that is not spoken here.
    """
    if not place:
        return None
    if place.startswith(S3_SCHEME):
        return Archive(_s3_objects(place))
    if place.startswith(FILE_SCHEME):
        place = unquote(urlsplit(place).path)
    if "://" in place or not place:
        message = f"{place!r} is no place for an archive"
        hint = "Name a folder, a file:// URL, or s3://BUCKET/PREFIX."
        raise ValidationError(message, hint=hint, field="ledger_archive")
    return Archive(FolderObjects(Path(place).expanduser()))


def _s3_objects(place: str) -> ObjectStore:
    try:
        from cortex.ledger.objects_s3 import S3Objects, S3Place
    except ImportError as error:
        raise ValidationError(str(error), field="ledger_archive") from error
    bucket, _, prefix = place.removeprefix(S3_SCHEME).partition("/")
    if not bucket:
        message = f"{place!r} names no bucket"
        hint = "Write s3://BUCKET/PREFIX."
        raise ValidationError(message, hint=hint, field="ledger_archive")
    named = (os.environ[name] for name in ENDPOINTS if os.environ.get(name))
    return S3Objects(S3Place(bucket, prefix.strip("/"), next(named, "")))
