"""Pure ASGI wrappers around the application, outermost first in ``http.app``."""
