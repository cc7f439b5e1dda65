"""Frozen values that every room may pass around: resources, identities, decisions.

Not the place for I/O, clocks or protobuf.  Anybody may import it; it imports nothing of ours.
"""
