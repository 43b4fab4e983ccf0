"""Fakes that ship: a virtual clock, counted ids and small worlds to test plugins in."""
