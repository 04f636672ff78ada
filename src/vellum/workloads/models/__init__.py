"""Serve a model of scikit-learn that is in the team's bucket: the runtime ``vellum-skops``."""
