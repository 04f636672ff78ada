"""One Helm release: observe it, compare it, let the guard decide, and compose the Release that follows. Pure."""
