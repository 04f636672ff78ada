"""The composition function: Crossplane calls over gRPC, compose answers. Its environment is separate (protobuf 7)."""
