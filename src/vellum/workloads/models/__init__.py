"""Serve a model of scikit-learn that lies in the team's bucket: the runtime ``vellum-skops``."""
