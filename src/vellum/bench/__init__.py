"""The bench: the real Crossplane on a real API server, as plain processes of this machine."""
