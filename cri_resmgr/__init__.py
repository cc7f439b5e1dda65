"""The node daemon of the CRI resource manager, and its helpers.

`kubelet --CRI--> relay --CRI--> runtime`: the relay passes every byte that nobody has to change;
eight calls are handed to the manager, which asks a pure policy which CPUs and memory a container
gets.  The rooms, from the bottom up: `values` and `wire` know nothing of each other, `relay` and
`cri` stand on them, `policies` decide, `state` remembers, `config` reads what users write,
`observe` tells, `manager` ties these together, and `cli` starts it all.

Never imports `extension` or `installer`.
"""

__version__ = "0.1.0"
