"""What a user configures arrives at the node as he wrote it, or meaning the same."""

from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from cri_resmgr.config import check
from cri_resmgr.config.problems import Invalid
from cri_resmgr.errors import BadInput
from extension.rendering import configs
from unit.extension.rendering.installations import made

SAMPLES = sorted(Path("examples").glob("*.cfg"))
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
scalars = st.booleans() | st.integers(-(10**9), 10**9) | texts
trees = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
    ),
    min_size=1,
    max_size=4,
)


def data(**said: str) -> dict[str, dict[str, str]]:
    """Data of the ConfigMaps by type."""
    policy = said.pop("on_policy_error", "")
    return dict(configs.config_maps(said, policy))


@given(text=texts)
def test_the_text_of_a_file_survives_to_the_byte(text):
    assert data(force=text, fallback=text) == {"fallback": {"fallback.cfg": text}, "force": {"force.cfg": text}}
    objects = made(configs={"force": text})
    assert objects["ConfigMap", "cri-resmgr-config.force"]["data"] == {"force.cfg": text}


@given(tree=trees)
def test_what_a_text_for_the_agent_says_survives(tree):
    text = yaml.safe_dump(tree, allow_unicode=True)
    expected = check.tree(text)
    assume(not expected.problems)  # what the daemon's own reader does not take is refused, see below
    sections = data(default=text)["default"]
    assert {key: yaml.safe_load(section) for key, section in sections.items()} == expected.values
    assert made(configs={"default": text})["ConfigMap", "cri-resmgr-config.default"]["data"] == sections


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_means_on_the_node_what_it_means_as_a_file(path):
    text = path.read_text()
    of_file, of_sections = check.settings(text, "x"), check.settings_of_sections(data(default=text)["default"], "x")
    assert without_digest(of_sections) == without_digest(of_file)


def without_digest(settings: object) -> dict[str, object]:
    return {key: value for key in settings.__slots__ if key != "digest" for value in [getattr(settings, key)]}


def test_each_type_becomes_the_config_map_of_its_name():
    said = {"default": "policy: {}", "node.n-1": "policy: {}", "group.g": "policy: {}", "force": "a", "fallback": "b"}
    names = {name for kind, name in made(configs=said) if kind == "ConfigMap"}
    assert names == {f"cri-resmgr-config.{kind}" for kind in said}


def test_nothing_configured_means_policy_none():
    assert check.settings(data()["fallback"]["fallback.cfg"], "x").policy.active == "none"
    assert list(data()) == ["fallback"]


def test_config_maps_say_that_changes_by_hand_are_taken_back():
    for (kind, name), thing in made(configs={"default": "policy: {}"}).items():
        if kind == "ConfigMap":
            note = thing["metadata"]["annotations"]["cri-resource-manager.intel.com/note"]
            assert "A change by hand is taken back" in note, name
            assert "cri-resmgr-config.node.NAME" in note


@pytest.mark.parametrize("kind", ["default", "force", "fallback"])
def test_what_becomes_of_calls_when_the_policy_fails_is_added_where_the_text_does_not_say(kind):
    maps = data(**{kind: "logger: {Debug: policy}", "on_policy_error": "reject"})
    if kind == "default":
        settings = check.settings_of_sections(maps[kind], "x")
    else:
        settings = check.settings(maps[kind][f"{kind}.cfg"], "x")
    assert settings.on_policy_error == "reject"
    assert "policy" in settings.logger.debug


@pytest.mark.parametrize("text", ["resource-manager: {onPolicyError: pass}", "resource-manager.onPolicyError: pass"])
def test_what_the_text_says_itself_about_failing_policies_stays(text):
    maps = data(default=text, force=text, on_policy_error="reject")
    assert check.settings_of_sections(maps["default"], "x").on_policy_error == "pass"
    assert maps["force"] == {"force.cfg": text}


def test_new_bytes_for_files_make_new_pods_and_others_do_not():
    def checksum(**said: str) -> str:
        return configs.checksum(data(**said))

    assert checksum(force="a") != checksum(force="b")
    assert checksum(fallback="a") != checksum()
    assert checksum(default="policy: {}") == checksum()


@pytest.mark.parametrize("text", ["[", "a: b: c", "- list", "a: 1\na: 2", "x y: 1", "\x00"])
def test_a_text_for_the_agent_that_is_no_configuration_is_refused_with_its_type(text):
    with pytest.raises(BadInput, match=r"configs\.default: "):
        data(default=text)


def test_a_problem_has_its_line():
    with pytest.raises(Invalid, match=r"configs\.node\.n: line 2: "):
        dict(configs.config_maps({"node.n": "policy: {}\npolicy: {}"}, ""))
