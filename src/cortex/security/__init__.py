"""Who may call: tokens and the scopes they hold."""
