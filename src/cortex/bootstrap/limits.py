"""Who keeps the rate limits, from the settings."""

from cortex.app import Loop, nothing, opened
from cortex.foundation.bucket import LocalRates, Rate, Rates
from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.foundation.lifecycle import Component
from cortex.operations.quotas import Meter, Quotas
from cortex.settings import Settings
from cortex.storage.sqlite import Database
from cortex.telemetry.logs import Logger


def open_rates(settings: Settings, clock: Clock) -> tuple[Rates, Component]:
    """Return this process's own buckets, or those in Redis where one is named.

    Raises:
        ValidationError: Redis is named and its extra is not installed.
    """
    if settings.redis_url is None:
        return LocalRates(clock), opened("rates", nothing, nothing)
    try:
        from cortex.storage.rates_redis import RedisRates  # noqa: PLC0415
    except ImportError as error:
        message = "CORTEX_REDIS_URL is set, but the redis extra is not installed"
        hint = "Install it with: pip install 'cortex-context[redis]'"
        raise ValidationError(message, hint=hint, field="redis_url") from error
    rates = RedisRates.from_url(settings.redis_url.get_secret_value(), clock)
    return rates, opened("rates", nothing, rates.close)


def rate_of(settings: Settings) -> Rate:
    """Return how many requests one client may send."""
    return Rate(settings.rate_limit_per_minute)


def quotas_of(settings: Settings) -> Quotas:
    """Return what one tenant may use a day."""
    given = settings.quotas
    return Quotas(given.tokens, given.embeddings, given.bytes)


def open_meter(
    settings: Settings, database: Database, clock: Clock, log: Logger
) -> tuple[Meter, tuple[Component, ...]]:
    """Return what counts what tenants use, and its parts, after the database."""
    meter = Meter(quotas_of(settings), database, clock=clock)
    loop = Loop("quotas", meter.run, clock, log)
    return meter, (opened("quota-usage", meter.open, meter.flush), loop.component())
