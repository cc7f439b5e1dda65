"""What `cri-resmgr doctor` finds out: harmless questions to relay and runtime, and a look around on the node.

    findings      one sentence about one thing, with a grade and a remedy
    questions     what is asked, and why it changes nothing
    comparing     the same question to both: do they end alike?
    serving       the daemon's own word
    kubelets      the kubelet that runs here, and what it is set to
    neighbours    who else sets CPUs and memory; control groups
    examining     all of it
    probing       the short form, for probes
    telling       as text, and as JSON

It changes nothing and needs no daemon.  Called by `cli.verbs.doctor` alone.
"""
