"""Pictures, recordings and films: what they are, and what a model makes of them."""
