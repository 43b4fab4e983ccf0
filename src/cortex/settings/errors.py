"""What is wrong with the settings."""

from cortex.foundation.errors import CortexError


class ConfigurationError(CortexError):
    """The settings cannot be used; the message names each wrong one."""

    code = "CONFIGURATION_ERROR"
