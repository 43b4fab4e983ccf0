"""Ground floor: time, ids, errors, limits and the small mechanisms all rooms share."""
