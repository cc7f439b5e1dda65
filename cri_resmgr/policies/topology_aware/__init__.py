"""Policy `topology-aware`: containers get CPUs and memory nodes that are close to each other.

The machine is a tree of pools, from NUMA nodes up to the whole.  Every container goes to one pool, the smallest that
suits it best.  There it has CPUs of its own, or shares with all the others that are in that pool or around it, or both.

    limits, growing, tree           the machine: which CPUs may be used, and the pools that they make
    settings, options               the configuration
    asking, requests                the container: what it wants, by its spec, its annotations, the configuration
    state, capacity, tiers          what is given to whom, and what each pool could still give
    hinting, attracting, scoring    how well each pool suits a request
    ordering, choosing              which of them is the best, and by which rule
    placing, slicing, lifting       giving what is wanted there, and others making room for it
    resizing, rebalancing           changing what is given
    restoring, remembering          a restart
    repinning, explaining, viewing  telling the rest of the program: assignments, neighbours, reasons, pools
    policy                          the contract's events, in terms of all these

Read `state` for what always holds, `ordering` for the rules, and `policy` to see how a decision is made of parts.

It gives the placements of the predecessor's policy of that name (as its end-to-end tests have them), where that does
what its users mean; `docs/differences.md` lists where it does not.
"""
