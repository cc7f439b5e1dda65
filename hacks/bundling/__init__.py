"""Makes the self-contained trees that the bundle and the images are: Debian's Python, wheels, and our own packages.

A tree is assembled from packages and wheels without running them, so either architecture is made on the other one; the
builder's interpreter, from the same packages, only compiles.  The same packages make the same bytes.

    recipes     what each tree has, and why
    debian      packages, through apt and whatever mirror the machine knows
    wheels      wheels, through pip and whatever index the machine knows
    trees       a tree from both
    launchers   how its commands start
    compiling   byte code
    sealing     times, VERSION, MANIFEST
    sbom        what is in it, as SPDX
    making      all of it in its order
    roots       the root file system of an image

It needs Python's standard library, `apt-get`, `dpkg-deb` and pip.  Called by `hacks/build-bundle` and
`hacks/build-image-root`; the product imports nothing of it.
"""
