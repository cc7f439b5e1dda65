"""The annotating webhook: a new pod gets a copy of its requests and limits where the node can read them.

CRI carries what the kubelet made of a pod's resources, not what the pod said: memory requests and extended resources
never reach a runtime.  Annotations do.  So the API server asks us about each new pod, and we answer with a patch that
adds `intel.com/resources`; `policies.declarations` reads it on the node.

`annotating` and `reviews` are pure: a pod to a patch, bytes to bytes.  `certificates`, `counting` and `serving` are
the server around them.  This is no part of the node daemon, knows no Kubernetes client and needs no rights: it answers
and never asks.  It must never keep a pod from being made, so whatever goes wrong, the answer is yes.
"""
