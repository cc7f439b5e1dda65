"""What `explain` and `status` know: they read the daemon's store, while it writes, and change nothing.

`stored` reads, `finding` finds a container by what people call it; `explaining` and `summing` make plain values of
what there is to say, which are the JSON answer and what `showing` makes text of.
"""
