"""One module per command; each has one attribute ``command``."""
