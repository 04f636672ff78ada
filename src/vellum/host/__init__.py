"""Runs processes on this machine: their supervisor, ports, certificates, records and control socket."""
