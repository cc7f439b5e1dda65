"""The bypass: bytes between kubelet and runtime, as they are, on the path of a daemon that does not stay up.

It is on its own: the installer puts these files on the node, and the bundle's interpreter runs them with the standard
library, whatever else of the bundle is gone.  It tries the daemon again after a pause that doubles.  A daemon that
starts says so by a HUP: then the path is put aside, while calls on open connections go on.  Once the daemon has been up
for a while and answers, clients are told to go there (HTTP/2 GOAWAY), and the bypass ends; else the path is put back.

`python3 -m bypass` on a node; it imports nothing, not even from the installer, and only tests import it.
"""
