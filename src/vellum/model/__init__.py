"""The vocabulary of Vellum: team, keys, observed, desired, ready, process, component. Values only."""
