"""The whole chain on one machine, as `make demo` tells of it and `test/e2e` tries it.

    with started(Landscape()) as chain:             # about a minute when everything is built
        chain.garden.kubectl("apply", "-f", …)      # the real gardener-apiserver, as people use it
        chain.cluster.kubectl("get", "pods", "-A")  # seed and shoot in one cluster, as self-hosted shoots have it
        chain.node.inside("systemctl", "status")    # its one node: a systemd machine with containerd and a kubelet

Real: gardener-apiserver with all its admission plugins, the cluster's etcd, API server, controller manager and
scheduler, two gardener-resource-managers (seed and shoot), gardenlet's chart renderer, the node's systemd, containerd
and kubelet, a registry, our four images as the Dockerfile makes them, the extension's Deployment from its chart.

Mimicked, each in a module that says what: gardenlet and gardener-controller-manager (`standin`, `installations`,
`shoots`), a process of its own; the worker's machine (`equipment.sandbox`).

Nothing here knows of pytest.  All that it writes is below one directory of the cache; a second one cannot run beside
it, and a run that was killed is ended by the next.
"""
