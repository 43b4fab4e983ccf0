"""The edges: requests in, one use case each, answers out; no rule of the domain."""
