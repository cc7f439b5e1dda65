"""A value stays the value that it is, whatever text it has."""

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from extension.rendering import templates

texts = st.text(st.characters(exclude_categories=("Cs",)))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts.filter(lambda key: len(key) < 100), inner, max_size=4)
    ),
    max_leaves=8,
)
LOADERS = [yaml.SafeLoader, templates._LOADER]


@pytest.mark.parametrize("loader", LOADERS)
@given(value=values)
def test_yaml_reads_what_was_put_in(loader, value):
    assert yaml.load(f"at: {templates.as_json(value)}", loader) == {"at": value}  # noqa: S506 - a safe loader


@pytest.mark.parametrize(
    "text",
    [
        "{{ 1 }}",
        "{% raw %}",
        '"\nkind: Secret\nx: "',
        "a: b",
        "---",
        "...",
        "# no",
        "\u2028\x85\x7f\ufeff",
        "😀",
        "\t\r\n",
    ],
)
def test_what_looks_like_structure_is_text(text):
    assert yaml.safe_load(f"at: {templates.as_json(text)}") == {"at": text}


def test_what_is_not_defined_is_an_error_and_named(tmp_path, monkeypatch):
    (tmp_path / "10-x.yaml").write_text("a: {{ missing }}")
    monkeypatch.setattr(templates, "CHARTS", tmp_path.parent)
    with pytest.raises(jinja2.UndefinedError, match="'missing' is undefined"):
        list(templates.rendered(tmp_path.name, {}))
