"""What planning and reflection without a model are worth, and how fast they are."""
