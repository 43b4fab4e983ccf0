"""Models: text to vectors, text to token counts."""
