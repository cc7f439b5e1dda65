"""What happens to the eight intercepted calls: budget, fail policy, policy, forward; and reconciling with the runtime.

Knows nothing of frames and sockets: it is called through hooks, and calls the runtime through `cri.runtime`.
"""
