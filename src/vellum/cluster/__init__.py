"""A real Kubernetes API: plain objects in and out, and the small Store that controllers work on."""
