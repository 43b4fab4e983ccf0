"""Settings of the models: worker processes, memory, and saving power."""

from pydantic import BaseModel, ConfigDict, Field


class InferenceSettings(BaseModel):
    """What models may take of the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workers: int = Field(
        0, ge=0, le=64, description="Processes that embed beside the server's threads."
    )
    memory_mb: int = Field(
        1024, ge=128, le=65_536, description="What all loaded models may take, MB."
    )
    power: str = Field(
        "normal",
        max_length=200,
        description="normal, low (saves CPU, finds a little less), or the local hours "
        "of low power: 22:00-06:00,12:00-13:00.",
    )
