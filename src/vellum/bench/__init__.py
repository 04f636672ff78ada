"""The bench: the real Crossplane on a real API server, as plain processes on this machine."""
