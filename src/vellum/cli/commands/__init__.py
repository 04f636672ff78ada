"""One module a command; each has one attribute ``command``."""
