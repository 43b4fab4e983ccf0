"""Where old entries of the ledger go: a folder, or an S3-compatible store."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from cortex.foundation.errors import ValidationError
from cortex.ledger.archive import Archive
from cortex.ledger.objects import FolderObjects, ObjectStore

FILE_SCHEME = "file://"
S3_SCHEME = "s3://"


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
        from cortex.ledger.objects_s3 import S3Objects, S3Place  # noqa: PLC0415
    except ImportError as error:
        raise ValidationError(str(error), field="ledger_archive") from error
    bucket, _, prefix = place.removeprefix(S3_SCHEME).partition("/")
    if not bucket:
        message = f"{place!r} names no bucket"
        hint = "Write s3://BUCKET/PREFIX."
        raise ValidationError(message, hint=hint, field="ledger_archive")
    return S3Objects(S3Place(bucket, prefix.strip("/")))
