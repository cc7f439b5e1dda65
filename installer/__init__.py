"""The node's side of an installation: puts the bundle on a host, points the kubelet at it, and undoes all of it.

It runs in a container against the host's root, or on the host itself, with the standard library alone: it must work
where nothing of ours is installed yet, and where what is installed is broken.  Each change is in the journal before it
is made, with what was there before.

`cli` is the command line; `docs/install.md` says what a pod that runs it needs.  `bypass` is no part of it: a program
for the node that stands in for a daemon that does not start.

It imports nothing of ours, and nobody imports it.
"""
