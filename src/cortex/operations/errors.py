"""What can go wrong with promises::

CortexError
├── ValidationError
│   └── SloInvalid       a file of objectives breaks a rule; says where
├── NotFound
│   └── AlertNotFound    no such alert is firing
└── Unavailable
    └── PowerUnavailable the named source of power figures is not there
"""

from cortex.foundation.errors import NotFound, Unavailable, ValidationError


class SloInvalid(ValidationError):
    """A file of objectives cannot be taken; ``field`` says where it is wrong."""

    code = "SLO_INVALID"


class AlertNotFound(NotFound):
    """No alert of that name is firing."""

    code = "ALERT_NOT_FOUND"


class PowerUnavailable(Unavailable):
    """The named source of power figures cannot be read on this machine."""

    code = "POWER_UNAVAILABLE"
