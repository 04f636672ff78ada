"""The composition function: Crossplane asks over gRPC, compose answers. Its own environment (protobuf 7)."""
