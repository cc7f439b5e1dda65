"""HTTP/2 pieces: frames, header tables, flow control, and a small unary gRPC client on them.

No policy about I/O beyond that client, nothing of CRI, nothing of protobuf.  The relay and our own calls to
the runtime are built from it; it imports nothing of ours.
"""
