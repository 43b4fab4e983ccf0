"""How many tokens a text has for a given language model, offline."""
