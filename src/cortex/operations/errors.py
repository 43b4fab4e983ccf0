"""What can go wrong with promises::

CortexError
├── ValidationError
│   └── SloInvalid       a file of objectives breaks a rule; says where
├── NotFound
│   ├── AlertNotFound    no such alert is firing
│   └── RevisionNotFound no such revision of the settings is kept
├── Conflict
│   └── RevisionMoved    the settings were changed by somebody else meanwhile
├── SettingsNotApplied   a change of the settings failed and was undone
├── RateLimited
│   └── QuotaExceeded    a tenant used up what it has a day
└── Unavailable
    └── PowerUnavailable the named source of power figures is not there
"""

from cortex.foundation.errors import (
    Conflict,
    CortexError,
    NotFound,
    RateLimited,
    Unavailable,
    ValidationError,
)


class SloInvalid(ValidationError):
    """A file of objectives cannot be taken; ``field`` says where it is wrong."""

    code = "SLO_INVALID"


class AlertNotFound(NotFound):
    """No alert of that name is firing."""

    code = "ALERT_NOT_FOUND"


class PowerUnavailable(Unavailable):
    """The named source of power figures cannot be read on this machine."""

    code = "POWER_UNAVAILABLE"


class QuotaExceeded(RateLimited):
    """A tenant used up what it may use a day; ``measure`` says of what."""

    code = "QUOTA_EXCEEDED"
    retryable = False


class RevisionNotFound(NotFound):
    """No such revision of the settings is kept."""

    code = "REVISION_NOT_FOUND"


class RevisionMoved(Conflict):
    """The settings were changed by somebody else meanwhile."""

    code = "REVISION_MOVED"
    retryable = True


class SettingsNotApplied(CortexError):
    """A change of the settings did not apply; it was undone everywhere."""

    code = "SETTINGS_NOT_APPLIED"
