"""The node's side of an installation: puts the bundle on a host, points the kubelet at it, and undoes all of it.

It runs in a container against the host's root, or on the host itself, with the standard library alone: it must work
where nothing of ours is installed yet, and where what is installed is broken.  Each change is in the journal before it
is made, with what was there before.

It imports nothing of ours, and nobody imports it.
"""
