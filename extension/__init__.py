"""The seed's side: Gardener makes an `Extension` of our type, we make what the shoot needs, and take it away again.

It talks to the seed's API server and to nothing else: what runs in the shoot goes there as a ManagedResource, what the
nodes do comes back as its conditions.  It knows configuration only through the node's own models
(`cri_resmgr.config`), so what it accepts is what the nodes accept.

It is no webhook, never waits for nodes while it reconciles, and is imported by nobody.
"""
