"""Settings of power figures."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EnergySettings(BaseModel):
    """Where figures of power come from, and what they mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Literal["auto", "rapl", "codecarbon", "model"] = Field(
        "auto", description="Who tells power; auto takes RAPL if readable, else model."
    )
    busy_watts: float = Field(
        0.0,
        ge=0,
        le=100_000,
        description="The machine's watts at full load, for the model; 0 estimates.",
    )
    grid_grams_per_kwh: float = Field(
        473.0, ge=0, le=5_000, description="CO2e of a kilowatt-hour of your grid."
    )
    alarm_watts: float = Field(
        100.0, gt=0, le=100_000, description="Mean power of Cortex that alerts."
    )
