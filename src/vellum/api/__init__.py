"""The two kinds that people write: typed models and a strict loader, which turns bytes into frozen values."""
