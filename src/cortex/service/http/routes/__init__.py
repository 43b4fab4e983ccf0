"""One module a noun: parse, one use case, shape the answer."""
