"""A small Kubernetes client for controllers: requests, list-watch, work queue, lease.  Dicts in, dicts out.

The transport and the credentials are those of `kubernetes.aio`; its models, informer and leader election are not used:
they cost memory, fail on custom resources and let two lead at once.  This is no general client: it knows no kinds.

Called by `agent`, `webhook` and the extension, never by the daemon: importing it costs 35 MiB.
"""
