"""Access to a real Kubernetes API: plain objects in and out, and a small Store for controllers."""
