from equipment.critest import Outcome, compare, parse, passed

REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="6" errors="1" failures="1"><testsuite name="CRI validation">
  <testcase name="[BeforeSuite]" classname="CRI" status="passed" time="0.1"></testcase>
  <testcase name="[It] [k8s.io] Runtime info returns info" classname="CRI" status="passed" time="0.5"></testcase>
  <testcase name="[It] [k8s.io] Container exits" classname="CRI" status="failed" time="61.5">
    <failure message="timed out after 60 s" type="failed">stack</failure>
  </testcase>
  <testcase name="[It] [k8s.io] Streaming" classname="CRI" status="panicked" time="1">
    <error message="" type="panicked">runtime error: nil map</error>
  </testcase>
  <testcase name="[It] [k8s.io] User namespaces" classname="CRI" status="skipped" time="0">
    <skipped message="skipped - not supported"></skipped>
  </testcase>
  <testcase name="[AfterSuite]" classname="CRI" status="failed" time="0"><failure message="no socket"/></testcase>
</testsuite></testsuites>
"""


def outcome(verdict, message=""):
    return Outcome(verdict, message, 1.0)


def test_a_report_tells_how_each_spec_ended_and_why():
    assert parse(REPORT) == {
        "[k8s.io] Runtime info returns info": Outcome("passed", "", 0.5),
        "[k8s.io] Container exits": Outcome("failed", "timed out after 60 s", 61.5),
        "[k8s.io] Streaming": Outcome("failed", "runtime error: nil map", 1.0),
        "[k8s.io] User namespaces": Outcome("skipped", "", 0.0),
        "[AfterSuite]": Outcome("failed", "no socket", 0.0),
    }


def test_only_specs_pass_not_what_is_done_around_them():
    assert passed(parse(REPORT)) == {"[k8s.io] Runtime info returns info"}


def test_a_spec_that_passes_directly_must_pass_through_the_relay():
    direct = {"a": outcome("passed"), "b": outcome("passed"), "c": outcome("passed"), "d": outcome("passed")}
    relayed = {"a": outcome("passed"), "b": outcome("failed", "EOF"), "c": outcome("skipped")}
    assert compare(direct, relayed) == ["b: failed: EOF", "c: skipped: ", "d: did not run"]


def test_a_spec_that_does_not_pass_directly_says_nothing_about_the_relay():
    direct = {"a": outcome("failed", "no such image"), "b": outcome("skipped")}
    relayed = {"a": outcome("failed", "no such image"), "b": outcome("passed"), "[BeforeSuite]": outcome("failed")}
    assert compare(direct, relayed) == []
