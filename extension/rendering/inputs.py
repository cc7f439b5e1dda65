"""All that the shoot's objects depend on.  The same values make the same bytes: nothing here is random or a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Form = Literal["install", "uninstall"]
DISABLED_LABEL = "cri-resource-manager.intel.com/disabled"
"""Label that switches a single node off: with the value "true" it gets the uninstall form, whatever its pool."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which nodes get an installation; all that is said must hold.  Every other node gets the uninstall form."""

    pools: tuple[str, ...] = ()
    """Names of worker pools; empty for all."""
    excluded_pools: tuple[str, ...] = ()
    """Names of worker pools that are left out even if named above."""
    node_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that a node must have, with their values."""


@dataclass(frozen=True, slots=True)
class ImageSet:
    """References of images: one set for all nodes, or one for each architecture that the image vector tells apart."""

    installation: str
    agent: str
    webhook: str
    architectures: tuple[str, ...] = ()
    """Values of `kubernetes.io/arch`; empty for whatever a node has."""


@dataclass(frozen=True, slots=True)
class PullSecret:
    """Credentials for a registry, made in the shoot's kube-system under this name."""

    name: str
    docker_config_json: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the webhook serves with, as PEM; `extension.rendering.certificates` makes and renews it."""

    certificate: str
    key: str = field(repr=False)
    authority: str


@dataclass(frozen=True, slots=True)
class Installation:
    """One shoot's installation."""

    images: tuple[ImageSet, ...]
    """At least one; where there are several, each has architectures and no two share one."""
    form: Form = "install"
    """`uninstall` takes everything off every node, wherever it is installed, whatever the rest says."""
    configs: Mapping[str, str] = field(default_factory=dict)
    """Configuration texts by type: fallback, default, node.NAME, group.NAME, force; validated by whoever gives them."""
    on_policy_error: str = ""
    """What becomes of a call when the policy fails, for texts that do not say: pass, reject, or empty for neither."""
    selection: Selection = Selection()
    max_unavailable: int | str = 1
    """How many nodes may be without a ready installation while a new one is rolled out; a count or a percentage."""
    webhook: Certificate | None = None
    """The annotating webhook is deployed if there is a certificate for it."""
    pull_secrets: tuple[PullSecret, ...] = ()
