"""What the tests run against, and what no Python or Debian package has: real runtimes, a real cluster, critest.

It is imported as `equipment` (the folder `test` is on the path, not a package: the standard library has a `test` of
its own).  Nothing in here is imported by the product.  Where to find what:

    cache, progress    things that take minutes are made once for each machine, and say how long they take
    tools, machine     Go programs built from `test/tools`; Debian packages
    images, registry   tiny container images made here, as an archive and served like a registry does
    built_images       the product's own images, built by its Makefile and served by Debian's registry
    stand_ins          the images that critest asks for
    runtimes           containerd 1.6, containerd 2.x and CRI-O, each with a directory of its own
    relay              the daemon under test as a process
    critest            the CRI conformance suite, and the comparison of two of its runs
    guest              a machine with several packages and NUMA nodes, under an emulator
    processes, mounts, cgroups, control_plane, …    the cluster
"""


class Unavailable(Exception):  # noqa: N818 - said of the equipment
    """Equipment cannot be had on this machine; the message says what to install or to change."""
