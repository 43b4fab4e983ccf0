"""What can be wrong with a file that came in.

::

    CortexError
    ├── ValidationError
    │   ├── BrokenMedia          it ends too early, or contradicts itself
    │   ├── UnreadFormat         a format that is not read here
    │   ├── InvalidModality      no such modality, or not the file's
    │   └── SecurityViolation    it is not what it is called, or more than one thing
    └── NotInstalled             a model or a program for it is not on this machine
"""

from cortex.foundation.errors import CortexError, ValidationError


class BrokenMedia(ValidationError):
    """The file ends too early, contradicts itself, or cannot be decoded."""


class UnreadFormat(ValidationError):
    """The file's format is not one that is read here."""

    code = "UNSUPPORTED_MEDIA"


class InvalidModality(ValidationError):
    """There is no such modality, or the file is of another."""

    code = "INVALID_MODALITY"


class SecurityViolation(ValidationError):
    """The file is not what it is called, hides another, or would not stop growing."""

    code = "SECURITY_VIOLATION"


class NotInstalled(CortexError):
    """What it takes is not on this machine; ``data['missing']`` names it."""

    code = "NOT_INSTALLED"
