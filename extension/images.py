"""Which image runs where: a choice from an image vector by Gardener's rules (`pkg/utils/imagevector`).

An operator's file means here what it means for every other extension.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cri_resmgr.errors import BadInput
from extension import constraints
from extension.constraints import Constraint, Version
from extension.rendering.inputs import ImageSet

INSTALLATION = "gardener-extension-cri-resmgr-installation"
AGENT = "gardener-extension-cri-resmgr-agent"
WEBHOOK = "gardener-extension-cri-resmgr-webhook"
ARCHITECTURES = ("amd64", "arm64")
"""What an entry is for that does not say."""


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of an image vector: where an image is, and for which versions and architectures."""

    name: str
    ref: str = ""
    repository: str = ""
    tag: str = ""
    runtime_version: Constraint | None = None
    target_version: Constraint | None = None
    architectures: tuple[str, ...] = ()

    def reference(self, target: Version | None) -> str:
        """What a pod names; the target's version stands for a missing tag."""
        if self.ref:
            return self.ref
        tag = self.tag or (f"v{'.'.join(map(str, target))}" if target else "")
        delimiter = "@" if tag.startswith("sha256:") else ":"
        return f"{self.repository}{delimiter}{tag}" if tag else self.repository


@dataclass(frozen=True, slots=True)
class Wanted:
    """The clusters that an image runs on and acts on, and the architecture of the node."""

    runtime: Version | None = None
    target: Version | None = None
    architecture: str = ARCHITECTURES[0]

    def __str__(self) -> str:
        versions = (("runtime", self.runtime), ("target", self.target))
        said = [f"{name} version {'.'.join(map(str, each))}" for name, each in versions if each]
        return ", ".join([f"architecture {self.architecture}", *said])


def find(vector: Iterable[Source], name: str, wanted: Wanted) -> str:
    """The reference of the image that fits best, of equal ones the first. Raises BadInput if there is none."""
    scored = [(score, source) for source in vector if source.name == name and (score := _score(source, wanted))]
    if not scored:
        raise BadInput(f"image vector: could not find image {name!r} for {wanted}; add an entry for it")
    return max(scored, key=lambda pair: pair[0])[1].reference(wanted.target)


def image_sets(
    vector: Sequence[Source], *, kubernetes_version: str, architectures: Iterable[str]
) -> tuple[ImageSet, ...]:
    """The images of one shoot: one set if its architectures share their images, else one for each that does not.

    Raises BadInput where there is no image, or no version.
    """
    try:
        version = constraints.version(kubernetes_version) if kubernetes_version else None
    except ValueError as error:
        raise BadInput(f"Kubernetes version of the shoot: {error}") from error
    found: dict[tuple[str, str, str], list[str]] = {}
    for architecture in sorted(set(architectures)) or ARCHITECTURES[:1]:
        wanted = Wanted(version, version, architecture)
        references = (
            find(vector, INSTALLATION, wanted),
            find(vector, AGENT, wanted),
            find(vector, WEBHOOK, wanted),
        )
        found.setdefault(references, []).append(architecture)
    if len(found) == 1:
        return (ImageSet(*next(iter(found))),)
    return tuple(ImageSet(*references, tuple(on)) for references, on in found.items())


def _score(source: Source, wanted: Wanted) -> int:
    """How well an entry fits, more for what it says more closely; 0 if it does not fit."""
    architectures = source.architectures or ARCHITECTURES
    if wanted.architecture not in architectures:
        return 0
    parts = [1 + (len(architectures) == 1)]
    for constraint, version in ((source.runtime_version, wanted.runtime), (source.target_version, wanted.target)):
        if constraint is None or version is None:
            continue
        if not constraint.holds(version):
            return 0
        parts.append(1 + constraint.exact)
    return sum(parts)
