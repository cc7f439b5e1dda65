"""Images are chosen and overwritten by the rules of Gardener's image vector."""

from pathlib import Path

import pytest

from cri_resmgr.errors import BadInput
from extension import image_vectors, images
from extension.images import AGENT, INSTALLATION, WEBHOOK, Source, Wanted, find, image_sets
from extension.rendering.inputs import ImageSet

SHIPPED = image_vectors.load(Path("charts/images.yaml"))
SEED_OVERWRITE = """\
images:
- name: gardener-extension-cri-resmgr-installation
  tag: mybranch
  repository: v2.isvimgreg.com/gardener-extension-cri-resmgr-installation
- name: gardener-extension-cri-resmgr-agent
  tag: mybranch
  repository: v2.isvimgreg.com/gardener-extension-cri-resmgr-agent
"""


def vector(text: str) -> tuple[Source, ...]:
    """Entries for one image `i`, a line each: what is beside its name, and its tag, which tells them apart."""
    lines = [f"- {{name: i, repository: r, {line}}}" for line in text.strip().splitlines()]
    return image_vectors.parse("images:\n" + "\n".join(lines), "test")


def chosen(entries: str, **wanted: object) -> str:
    return find(vector(entries), "i", Wanted(**wanted))  # type: ignore[arg-type]


def parsed(text: str) -> tuple[Source, ...]:
    return image_vectors.parse(text, "test")


# -- references


@pytest.mark.parametrize(
    ("said", "reference"),
    [
        ("repository: r.io/a, tag: v1", "r.io/a:v1"),
        ("repository: r.io/a, tag: 'sha256:abc'", "r.io/a@sha256:abc"),
        ("repository: r.io/a, tag: 'v1@sha256:abc'", "r.io/a:v1@sha256:abc"),
        ("ref: 'r.io/a@sha256:abc'", "r.io/a@sha256:abc"),
        ("repository: r.io/a", "r.io/a"),
    ],
)
def test_an_image_is_named_by_tag_or_by_digest(said, reference):
    assert find(parsed(f"images: [{{name: i, {said}}}]"), "i", Wanted()) == reference


def test_an_entry_without_tag_follows_the_version_of_its_target():
    assert chosen("version: x", target=(1, 34, 1)) == "r:v1.34.1"


# -- choice


def test_of_equal_entries_the_first_is_taken():
    assert chosen("tag: a\ntag: b") == "r:a"


def test_an_entry_for_the_version_beats_one_for_any_and_an_exact_one_beats_a_range():
    entries = 'tag: any\ntag: range, runtimeVersion: ">= 1.30"\ntag: exact, runtimeVersion: 1.34.1'
    assert chosen(entries, runtime=(1, 29, 0)) == "r:any"
    assert chosen(entries, runtime=(1, 33, 0)) == "r:range"
    assert chosen(entries, runtime=(1, 34, 1)) == "r:exact"


def test_an_entry_for_one_architecture_beats_one_for_several():
    entries = "tag: several\ntag: arm, architectures: [arm64]"
    assert chosen(entries, architecture="arm64") == "r:arm"
    assert chosen(entries, architecture="amd64") == "r:several"


def test_a_constraint_counts_nothing_where_no_version_is_asked_for():
    assert chosen('tag: range, targetVersion: ">= 99"\ntag: any') == "r:range"


def test_what_fits_nothing_is_an_error_that_names_what_was_wanted():
    with pytest.raises(BadInput, match=r"'i' for architecture s390x, runtime version 1\.34\.1; add an entry"):
        chosen("tag: a", architecture="s390x", runtime=(1, 34, 1))


# -- overwrite


def test_the_overwrite_of_the_readme_moves_both_images_and_leaves_the_third():
    moved = image_vectors.overwritten(SHIPPED, parsed(SEED_OVERWRITE))
    (images,) = image_sets(moved, kubernetes_version="1.34.1", architectures=["amd64", "arm64"])
    assert images.installation == "v2.isvimgreg.com/gardener-extension-cri-resmgr-installation:mybranch"
    assert images.agent == "v2.isvimgreg.com/gardener-extension-cri-resmgr-agent:mybranch"
    assert images.webhook == find(SHIPPED, WEBHOOK, Wanted())


def test_an_overwrite_without_tag_keeps_the_tag():
    moved = image_vectors.overwritten(vector("tag: a"), parsed("images: [{name: i, repository: mirror}]"))
    assert find(moved, "i", Wanted()) == "mirror:a"


def test_an_overwrite_by_ref_drops_repository_and_tag():
    moved = image_vectors.overwritten(vector("tag: a"), parsed("images: [{name: i, ref: 'm@sha256:1'}]"))
    assert find(moved, "i", Wanted()) == "m@sha256:1"


def test_an_overwrite_for_other_versions_stands_beside_the_entry():
    over = parsed('images: [{name: i, repository: new, tag: b, runtimeVersion: ">= 1.33"}]')
    moved = image_vectors.overwritten(vector("tag: a"), over)
    assert find(moved, "i", Wanted(runtime=(1, 32, 0))) == "r:a"
    assert find(moved, "i", Wanted(runtime=(1, 33, 0))) == "new:b"


# -- what a shoot gets


def test_the_shipped_vector_has_every_image_that_a_shoot_needs():
    (found,) = image_sets(SHIPPED, kubernetes_version="", architectures=[])
    for name, reference in ((INSTALLATION, found.installation), (AGENT, found.agent), (WEBHOOK, found.webhook)):
        assert f"/{name}:" in reference
    assert found.architectures == ()


def test_architectures_with_their_own_images_are_told_apart_and_others_are_not():
    over = parsed(f"images: [{{name: {AGENT}, repository: arm, tag: a, architectures: [arm64]}}]")
    moved = image_vectors.overwritten(SHIPPED, over)
    both = image_sets(moved, kubernetes_version="1.34.1", architectures=["arm64", "amd64"])
    assert [each.architectures for each in both] == [("amd64",), ("arm64",)]
    assert [each.agent.startswith("arm") for each in both] == [False, True]
    (one,) = image_sets(moved, kubernetes_version="1.34.1", architectures=["amd64"])
    assert isinstance(one, ImageSet)
    assert one.architectures == ()


def test_a_shoot_whose_version_is_none_is_refused():
    with pytest.raises(BadInput, match="Kubernetes version of the shoot: 'latest' is no version"):
        image_sets(SHIPPED, kubernetes_version="latest", architectures=["amd64"])


# -- bad files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images: [{repository: r}]", r"images\[0\]: has no name"),
        ("images: [{name: i}]", r"images\[0\] \(i\): give either ref, or repository and tag"),
        ("images: [{name: i, tag: t}]", "give either ref, or repository and tag"),
        ("images: [{name: i, repository: r, ref: x}]", "give either ref, or repository and tag"),
        ("images: [{name: i, tag: t, ref: x}]", "leave out tag"),
        ("images: [{name: i, repository: r, tag: 1.30}]", r"tag: 1\.3 is no text; put it into quotation marks"),
        ("images: [{name: i, repository: r, runtimeVersion: new}]", r"images\[0\].runtimeVersion: 'new' is no constr"),
        ("images: [{name: i, repository: r, architectures: amd64}]", "architectures: 'amd64' is no list"),
        ("images: [one]", r"images\[0\]: is no mapping"),
        ("images: {}", "has no list 'images'"),
        ("[]", "has no list 'images'"),
        ("", "has no list 'images'"),
        ("images: [", "is no YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_place(text, message):
    with pytest.raises(BadInput, match=f"image vector test: .*{message}|image vector test: {message}"):
        parsed(text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"absent\.yaml: cannot be read"):
        image_vectors.load(tmp_path / "absent.yaml")


def test_what_component_descriptors_add_to_entries_is_passed_over():
    text = "images: [{name: i, repository: r, tag: t, sourceRepository: x, labels: [], resourceId: {}, version: v1}]"
    assert images.find(parsed(text), "i", Wanted()) == "r:t"
