"""The embedded control plane: a durable store, level-triggered reconciling, garbage collection, conditions, events."""
