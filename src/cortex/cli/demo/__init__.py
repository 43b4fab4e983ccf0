"""``cortex demo``: the main job on a real conversation, from start to forgetting."""
