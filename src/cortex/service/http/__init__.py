"""The HTTP edge on port 4949."""
