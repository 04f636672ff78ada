"""OCI images: write archives, keep a layout on disk, and speak to a registry."""
