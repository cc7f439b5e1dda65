"""The templates of charts/internal/cri-resmgr-installation, filled in with one installation."""

from collections.abc import Iterator
from typing import Any

from cri_resmgr.config import adjustment_schema
from cri_resmgr.kube.resources import Object
from extension.rendering import configs, nodes, templates
from extension.rendering.inputs import ImageSet, Installation

FOLDER = "internal/cri-resmgr-installation/templates"
ORIGIN = "cri-resmgr-extension"
_TOLERATE_ALL = [{"effect": effect, "operator": "Exists"} for effect in ("NoSchedule", "NoExecute")]
_CRITICAL = {"node.gardener.cloud/critical-component": "true"}
"""A new node takes no other pods before those with this label are ready."""
UNINSTALLING = {"cri-resmgr-extension.gardener.cloud/form": "uninstall"}
"""A pod with this label is ready when its node is clean."""


def objects(installation: Installation) -> tuple[Object, ...]:
    """What the shoot gets, in the order of the templates.  Raises BadInput for a configuration that is none."""
    return tuple(templates.rendered(FOLDER, _context(installation)))


def _context(installation: Installation) -> dict[str, Any]:
    """What the templates know."""
    installing = installation.form == "install"
    maps = dict(configs.config_maps(installation.configs, installation.on_policy_error)) if installing else {}
    secrets = sorted(installation.pull_secrets, key=lambda secret: secret.name)
    return {
        "installing": installing,
        "adjustment_definition": adjustment_schema.definition(),
        "labels": labels,
        "config_maps": list(maps.items()),
        "files_checksum": configs.checksum(maps),
        "image_sets": list(_image_sets(installation)),
        "max_unavailable": installation.max_unavailable if installing else "100%",
        "pull_secrets": secrets,
        "image_pull_secrets": [{"name": secret.name} for secret in secrets],
        "tolerations": _TOLERATE_ALL,
        "webhook": installation.webhook,
    }


def labels(name: str, *, critical: bool = False, uninstalling: bool = False) -> dict[str, str]:
    """Those of an object of ours in a shoot."""
    common = {"app.kubernetes.io/name": name, "gardener.cloud/role": "system-component", "origin": ORIGIN}
    return {**common, **(_CRITICAL if critical else {}), **(UNINSTALLING if uninstalling else {})}


def _image_sets(installation: Installation) -> Iterator[dict[str, Any]]:
    """Each set of images with the nodes that it is for; the first has the plain names."""
    for at, images in enumerate(installation.images):
        yield {
            "suffix": f"-{images.architectures[0]}" if at else "",
            "architectures": images.architectures,
            "installation": images.installation,
            "agent": images.agent,
            "webhook": images.webhook,
            **_affinities(installation, images),
        }


def _affinities(installation: Installation, images: ImageSet) -> dict[str, Any]:
    selection, architectures = installation.selection, images.architectures
    return {
        "selected": nodes.selected(selection, architectures),
        "unselected": nodes.unselected(selection, architectures),
        "everywhere": nodes.everywhere(architectures),
    }
