"""The front of the object store: it serves S3's keys in S3's order; the store behind it makes paths of keys."""
