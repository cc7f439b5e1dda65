"""CRI v1 as we need it: the schema, what we touch of it, bytes to values and back, our own calls to the runtime.

Not a general CRI library: messages that nobody looks into are never decoded.  Called by `state`,
`observe` and `manager`.
"""
