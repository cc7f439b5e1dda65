"""What a dump's configuration costs in the daemon's loop, counted: rules are tried once a method, when it is called."""

from collections import Counter

import pytest

from cri_resmgr.config import dumprules
from cri_resmgr.config.settings import DumpSettings
from cri_resmgr.cri import methods
from cri_resmgr.errors import BadInput
from cri_resmgr.observe.dump import Dumper

STATUS = methods.RUNTIME + "Status"
MANY = DumpSettings(rules=",".join(["z."] * (dumprules.LIMIT_CHARS // 3)))


@pytest.fixture(name="counted")
def _counted(monkeypatch):
    counts = Counter()

    def count(name: str) -> None:
        was = getattr(dumprules, name)

        def counting(*arguments):
            counts[name] += 1
            return was(*arguments)

        monkeypatch.setattr(dumprules, name, counting)

    count("parse")
    count("level_of")
    return counts


def test_many_rules_are_tried_for_nobody_until_somebody_calls_and_then_once(counted):
    dumper = Dumper(None)
    dumper.configure(MANY)
    assert counted == {"parse": 1}
    for _ in range(1000):
        assert dumper.tap_for(STATUS) is None
    assert counted == {"parse": 1, "level_of": 1}


def test_a_configuration_about_something_else_reads_no_rule(counted):
    dumper = Dumper(None)
    dumper.configure(MANY)
    dumper.tap_for(STATUS)
    for _ in range(1000):
        dumper.configure(MANY)
        dumper.tap_for(STATUS)
    assert counted == {"parse": 1, "level_of": 1}
    dumper.close()


def test_names_that_a_client_makes_up_are_not_remembered():
    dumper = Dumper(None)
    dumper.configure(MANY)
    for number in range(1000):
        dumper.tap_for(f"/made.up/Method{number}")
    assert dumper._levels == {}


def test_more_rules_than_fit_are_refused_before_any_is_read():
    with pytest.raises(BadInput, match="too many"):
        Dumper(None).configure(DumpSettings(rules="z.," * 50_000))
