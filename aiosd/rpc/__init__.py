"""The network door: the only place that knows protobuf and gRPC. Servicers convert, call, convert."""
