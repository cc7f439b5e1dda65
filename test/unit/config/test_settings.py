import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.config import dumprules, settings
from cri_resmgr.config.settings import CpuConstraint, LoggerSettings, PolicySettings, Settings

constraints = st.none() | st.one_of(
    st.builds(CpuConstraint, cpuset=st.text()),
    st.builds(CpuConstraint, cgroup=st.text()),
    st.builds(CpuConstraint, millicpu=st.integers(0, 10**9)),
)
logger_settings = st.builds(
    LoggerSettings,
    backend=st.none() | st.sampled_from(["fmt", "json"]),
    debug=st.none() | st.text(),
    log_source=st.none() | st.booleans(),
    verbosity=st.none() | st.integers(),
    file=st.none() | st.text(),
)
all_settings = st.builds(
    Settings,
    policy=st.builds(
        PolicySettings,
        active=st.text(),
        available=constraints,
        reserved=constraints,
        pinnable_handlers=st.lists(st.text()).map(tuple),
        options=st.dictionaries(st.text(), st.booleans() | st.lists(st.text())),
    ),
    logger=logger_settings,
    dump=st.builds(settings.DumpSettings, rules=st.text(), debug=st.booleans(), disabled=st.booleans(), file=st.text()),
    instrumentation=st.builds(
        settings.InstrumentationSettings, http_endpoint=st.text(), prometheus_export=st.booleans()
    ),
    on_policy_error=st.sampled_from(["", "pass", "reject"]),
    drift_interval_s=st.floats(0, 10**6),
    notes=st.lists(st.text()).map(tuple),
    digest=st.text(),
    source=st.text(),
)


@given(all_settings)
def test_settings_cross_a_process_border_unchanged(given_settings):
    text = given_settings.to_json()
    assert "\n" not in text
    assert settings.from_json(text) == given_settings
    assert settings.from_json(text.encode()) == given_settings


@pytest.mark.parametrize("damage", ["", "[]", "{}", "null", '{"policy": {}}'])
def test_anything_else_is_refused(damage):
    with pytest.raises((KeyError, TypeError, ValueError)):
        settings.from_json(damage)


def test_a_key_that_we_do_not_know_is_refused():
    raw = json.loads(Settings().to_json())
    raw["dump"]["new"] = 1
    with pytest.raises(TypeError, match="new"):
        settings.from_json(json.dumps(raw))


@given(logger_settings, logger_settings)
def test_what_is_said_wins_and_what_is_not_said_stays(said, base):
    merged = said.over(base)
    for name in ("backend", "debug", "log_source", "verbosity", "file"):
        wish = getattr(said, name)
        assert getattr(merged, name) == (getattr(base, name) if wish is None else wish)


def test_false_and_nothing_are_not_the_same():
    assert LoggerSettings(log_source=False, debug="").over(
        LoggerSettings(log_source=True, debug="*")
    ) == LoggerSettings(log_source=False, debug="")


def test_the_built_in_dump_rules_are_rules():
    assert dumprules.parse(Settings().dump.rules)
