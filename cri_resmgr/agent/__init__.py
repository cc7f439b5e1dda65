"""The node agent: what the API server says about this node goes to the daemon, and the daemon's verdict goes back.

It watches its own Node, the ConfigMaps that may configure it and the Adjustments; it reads and validates their text
with the models of `config`, so that the daemon gets plain values only.

It decides nothing about containers and writes nothing on the node.  Only `cli` may call it.
"""
