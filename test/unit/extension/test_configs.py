"""Whose configuration text counts, and who is told what is wrong with it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.config import check, child
from cri_resmgr.errors import BadInput
from extension import configs
from extension.checking import SHORT_CHARS, Checker
from extension.clusters import Pool
from extension.configs import checked, merged
from extension.errors import BaseProblem, ConfigurationProblem, codes
from extension.installing import selection
from extension.provider_config import parse
from extension.rendering.inputs import Selection

GOOD, BAD = "policy:\n  Active: none\n", "policy:\n  Actve: none\n"
TEXTS = st.dictionaries(st.sampled_from(["default", "force", "node.a"]), st.sampled_from(["", " \n", "a", "b"]))


async def problems(base, own, *, of=ConfigurationProblem):
    """What is told, to whom it should be."""
    with pytest.raises(of) as caught:
        await checked(merged(base, own), Checker())
    return str(caught.value).splitlines()


@given(TEXTS, TEXTS)
def test_owner_overrides_type_by_type_and_an_empty_text_takes_away(base, own):
    expected = {kind: text for kind, text in {**base, **own}.items() if text.strip()}
    assert {kind: text.content for kind, text in merged(base, own).items()} == expected


async def test_what_is_right_is_what_the_shoot_gets():
    own = {"group.fast-1": GOOD, "node.ip-10-0-0-1.internal": GOOD}
    assert await checked(merged({"default": GOOD}, own), Checker()) == {"default": GOOD, **own}


@pytest.mark.parametrize("kind", ["", "Default", "node.", "node", "group.A_B", "node.a/b", "group.a.", "x" * 300])
async def test_type_that_can_be_no_config_map_is_refused(kind):
    (told,) = await problems({}, {kind: GOOD})
    assert told.startswith(f"providerConfig.configs.{kind}: is no type of configuration; ")


async def test_owners_mistake_is_the_owners_and_operators_mistake_is_not():
    assert await problems({}, {"default": BAD}) == [
        "providerConfig.configs.default: line 2: policy.Actve: unknown key; did you mean Active?"
    ]
    assert await problems({"default": BAD}, {}, of=BaseProblem) == [
        "ControllerDeployment: configs.default: line 2: policy.Actve: unknown key; did you mean Active?"
    ]


async def test_owner_who_overrides_a_broken_text_does_not_suffer_from_it():
    assert await checked(merged({"default": BAD}, {"default": GOOD}), Checker()) == {"default": GOOD}


def test_codes_are_for_owners_only():
    assert codes(ConfigurationProblem("x")) == ("ERR_CONFIGURATION_PROBLEM",)
    assert codes(BaseProblem("x")) == codes(BadInput("x")) == ()


async def test_owner_is_told_of_his_own_mistakes_first():
    (told,) = await problems({"force": BAD}, {"default": BAD})
    assert told.startswith("providerConfig")


async def test_all_texts_together_have_a_limit():
    text = GOOD + "#" * (configs.LIMIT_BYTES // 2)
    (told,) = await problems({}, {"default": text, "force": text})
    assert told == (
        f"providerConfig.configs: {2 * len(text)} bytes in all; a shoot holds {configs.LIMIT_BYTES}; make them smaller"
    )


async def test_text_that_was_right_is_not_read_again_and_one_that_was_wrong_is(monkeypatch):
    read = []
    monkeypatch.setattr(check, "settings", lambda text, _source: read.append(text))
    checker = Checker()
    for _ in range(3):
        await checker.check(GOOD, "x")
    assert read == [GOOD]

    def refuse(text, source):
        read.append(text)
        raise BadInput("no")

    monkeypatch.setattr(check, "settings", refuse)
    for _ in range(2):
        with pytest.raises(BadInput):
            await checker.check(BAD, "x")
    assert read == [GOOD, BAD, BAD]


async def test_long_text_is_read_by_another_process_and_told_by_its_name():
    long = "#\n" * SHORT_CHARS
    await Checker().check(long + GOOD, "x")
    with pytest.raises(BadInput, match=rf"^x: line {SHORT_CHARS + 2}: policy.Actve: unknown key"):
        await Checker().check(long + BAD, "x")


async def test_few_texts_are_read_at_once(monkeypatch):
    busy = most = 0
    two = asyncio.Event()

    async def slow(path):
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        if busy == 2:
            two.set()
        await two.wait()
        busy -= 1

    monkeypatch.setattr(child, "read", slow)
    checker = Checker()
    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(checker.check("#" * SHORT_CHARS + str(number), "x"))
    assert most == 2


POOLS = (Pool("a"), Pool("pinned", static="cpuManagerPolicy"))


def test_selection_is_what_the_owner_says():
    wanted = parse({"workerPools": ["a"], "nodeSelector": {"x": "y"}})
    assert selection(wanted, POOLS) == Selection(("a",), (), {"x": "y"})


def test_pools_that_are_not_known_cannot_be_missed():
    assert selection(parse({"workerPools": ["z"]}), None) == Selection(("z",), (), {})


def test_pool_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(ConfigurationProblem, match=r"no worker pool 'zzz'; there are a, pinned"):
        selection(parse({"workerPools": ["zzz"]}), POOLS)


def test_pool_with_a_static_kubelet_is_refused_unless_it_is_not_meant_or_left_out():
    with pytest.raises(ConfigurationProblem, match="kubelet of worker pool 'pinned' has a static cpuManagerPolicy"):
        selection(parse({}), POOLS)
    with pytest.raises(ConfigurationProblem, match="worker pool 'pinned'"):
        selection(parse({"workerPools": ["pinned"]}), POOLS)
    assert selection(parse({"workerPools": ["a"]}), POOLS).excluded_pools == ()
    assert selection(parse({"staticKubeletPools": "leaveOut"}), POOLS).excluded_pools == ("pinned",)
