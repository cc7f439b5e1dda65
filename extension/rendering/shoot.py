"""The templates of charts/internal/cri-resmgr-installation, filled in."""

from cri_resmgr.kube.resources import Object
from extension.rendering.inputs import Installation


def objects(installation: Installation) -> tuple[Object, ...]:
    """What the shoot gets, in the order of the templates.  Raises BadInput for a configuration that is none."""
    raise NotImplementedError
