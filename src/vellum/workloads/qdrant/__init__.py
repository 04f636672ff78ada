"""A stand-in for the Qdrant server on Qdrant's own core, qdrant-edge: REST for one team, on loopback.

Qdrant's server binary is in no registry; its core is. ``translate`` modules (``filters``, ``queries``, ``points``)
turn REST JSON into qdrant-edge values, ``collections`` keeps them on disk, ``routes`` and ``server`` speak HTTP.
A request for anything that is not served is refused by name: a wrong answer would be worse than none.
"""
