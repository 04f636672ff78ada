"""The front of the object store: S3's keys in S3's order, before a store that makes paths of keys."""
