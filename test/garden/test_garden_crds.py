"""What we carry of Gardener is what its module has."""

import pytest

from equipment import gardener

pytestmark = pytest.mark.needs_go


@pytest.mark.parametrize("path", sorted(gardener.COPIES.glob("*.yaml")), ids=lambda path: path.name)
def test_a_definition_is_that_of_the_module(path) -> None:
    assert path.read_bytes() == gardener.original(path.name).read_bytes(), "copy it anew: see configs/crds/README.md"
