import pytest

from cri_resmgr.config import sourcemap
from cri_resmgr.errors import BadInput


def enabled(text, *sources, **more):
    parsed = sourcemap.parse(text, **more)
    return [source for source in sources if parsed.enabled(source)]


def test_names_are_switched_on_and_others_are_not():
    assert enabled("relay,policy", "relay", "policy", "state") == ["relay", "policy"]


def test_a_state_holds_for_the_names_after_it():
    assert enabled("off:state,on:policy,rdt", "state", "policy", "rdt") == ["policy", "rdt"]
    assert enabled("*,off:state,wire", "state", "wire", "relay") == ["relay"]


@pytest.mark.parametrize("word", ["*", "all", "on:*", "enabled:all", "off:*,on:*"])
def test_a_star_is_everybody(word):
    assert enabled(word, "anything") == ["anything"]


def test_a_name_of_its_own_beats_the_star_wherever_it_stands():
    assert enabled("off:relay,on:*", "relay", "wire") == ["wire"]


@pytest.mark.parametrize("state", ["on", "true", "enable", "enabled", "1", "ON"])
def test_states_that_switch_on(state):
    assert enabled(f"{state}:relay", "relay") == ["relay"]


@pytest.mark.parametrize("state", ["off", "false", "disable", "disabled", "0", "Off"])
def test_states_that_switch_off(state):
    assert enabled(f"*,{state}:relay", "relay", "wire") == ["wire"]


def test_an_empty_map_leaves_the_default():
    assert enabled("", "relay") == []
    assert enabled(" , ", "relay", others=True) == ["relay"]


def test_the_predecessors_names_mean_our_parts():
    assert enabled("resource-manager,cache,policy,resource-control", "manager", "state", "policy", "control") == [
        "manager",
        "state",
        "policy",
        "control",
    ]
    assert enabled("manager", "resource-manager", "cri_resmgr.manager.calls") == [
        "resource-manager",
        "cri_resmgr.manager.calls",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("maybe:relay", "'maybe' is no state; write on:relay or off:relay"),
        ("on:off:relay", "'on:off' is no state"),
        ("on:", "names no source"),
        (":relay", "'' is no state"),
        ("relay," * 700, "4200 characters are too many, at most 4096; name fewer sources"),
    ],
)
def test_a_wrong_entry_is_refused(text, message):
    with pytest.raises(BadInput, match=message):
        sourcemap.parse(text)


def test_a_mapping_is_written_as_the_text_that_means_it():
    states = {"*": False, "policy": True, "relay": True}
    assert enabled(sourcemap.written(states), "policy", "relay", "wire", others=True) == ["policy", "relay"]
