"""Failures of the ledger.

::

    ValidationError
    ├── NoteInvalid        a signed note or checkpoint that breaks its format
    ├── ProofInvalid       a Merkle proof that does not lead to the root
    ├── PolicyInvalid      a trust policy file that cannot be read
    └── KeyUnusable        a key file that is malformed or open to others
    NotFound
    ├── EntryNotFound      no entry at that index, or none published yet
    ├── ObjectMissing      the archive lacks an object it should hold
    └── ContentForgotten   the content's key was destroyed on request
    Conflict
    └── ObjectExists       create-only storage already holds that name
    Unavailable
    ├── LedgerStopped      the writer met an error and takes no more entries
    └── ArchiveUnreachable the store of old bundles does not answer, or refuses
    CortexError
    └── LedgerTampered     what is stored contradicts what was signed
"""

from cortex.foundation.errors import (
    Conflict,
    CortexError,
    NotFound,
    Unavailable,
    ValidationError,
)


class NoteInvalid(ValidationError):
    """Bytes that are not a well-formed, trusted signed note."""

    code = "NOTE_INVALID"


class ProofInvalid(ValidationError):
    """A proof that does not show what it claims to show."""

    code = "PROOF_INVALID"


class PolicyInvalid(ValidationError):
    """A trust policy that breaks the tlog-policy format."""

    code = "POLICY_INVALID"


class KeyUnusable(ValidationError):
    """A key that is malformed, or readable by others than its owner."""

    code = "LEDGER_KEY_UNUSABLE"


class EntryNotFound(NotFound):
    """No entry at that index, or it is not covered by a checkpoint yet."""

    code = "ENTRY_NOT_FOUND"


class ObjectMissing(NotFound):
    """An object that should be in the archive is not there."""

    code = "ARCHIVE_OBJECT_MISSING"


class ContentForgotten(NotFound):
    """The content was forgotten: its key is destroyed, only its trace is left."""

    code = "CONTENT_FORGOTTEN"


class ObjectExists(Conflict):
    """Create-only storage holds other bytes under that name already."""

    code = "ARCHIVE_OBJECT_EXISTS"


class LedgerStopped(Unavailable):
    """The writer stopped at a storage error; reads still work."""

    code = "LEDGER_STOPPED"


class ArchiveUnreachable(Unavailable):
    """The archive does not answer, refuses, or cannot be trusted to keep objects."""

    code = "ARCHIVE_UNREACHABLE"


class LedgerTampered(CortexError):
    """Stored entries or heads contradict a head that was signed."""

    code = "LEDGER_TAMPERED"
