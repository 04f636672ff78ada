"""Kubernetes as plain data: builders, names, patches, health. No client, no I/O."""
