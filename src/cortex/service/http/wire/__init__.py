"""What crosses the wire: pydantic models that become domain values at once."""
