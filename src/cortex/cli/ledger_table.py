"""``cortex ledger export --format parquet``: the log's facts as a table."""

from pathlib import Path

from cortex.cli.ledger_files import LedgerFiles
from cortex.foundation.errors import ValidationError


def write_table(files: LedgerFiles, start: int, out: Path | None) -> int:
    """Write entries from ``start`` on as Parquet; return how many.

    Raises:
        ValidationError: no file is named, or the extra is not installed.
        EntryNotFound: there is no ledger, or an entry is out of reach.
    """
    if out is None:
        message = "a table is written to a file"
        raise ValidationError(message, hint="Name one with --out.", field="out")
    try:
        from cortex.ledger.parquet import write_parquet
    except ImportError as error:
        raise ValidationError(str(error), field="format") from error
    return write_parquet(out, files.leaves(start), files.checkpoint())
