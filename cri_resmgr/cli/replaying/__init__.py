"""`cri-resmgr replay`: what a recording says has happened, and what would have happened with another configuration.

`reading` makes events of a file's lines, `happening` follows what the daemon decided, `running` lets a policy decide
about the same events on a stage, `comparing` puts the two side by side, `telling` shows it to people.  The policy is
the daemon's own; nothing outside is touched.
"""
