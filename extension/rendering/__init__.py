"""What a shoot gets, as objects: an `Installation` in, Kubernetes objects out, the same for the same.

    inputs      all that the objects depend on, and nothing else
    shoot       the templates of charts/internal/cri-resmgr-installation, filled in
    monitoring  what operators get beside it in the seed: scrape configuration, alerts, dashboard
    managed     those objects as the Secret and the ManagedResource that carry them
    templates   how values get into YAML: as JSON, so that none can become structure

It is pure: no API server, no clock, nothing random, files of its own only.  It does not say what an installation should
be (that is the reconciler's), and it does not apply anything.  Called by the extension's controller.
"""

from extension.rendering.inputs import Installation
from extension.rendering.managed import managed_resource
from extension.rendering.shoot import objects

__all__ = ["Installation", "managed_resource", "objects"]
