"""The page on which people look at a node: where its CPUs are, whose they are, and why.

`looking` turns what the daemon knows into plain values, `serving` gives them and `page.html` to browsers.  Nothing is
computed while nobody looks, nothing can be changed from here, and neither environment nor annotations are shown.
"""
