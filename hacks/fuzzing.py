"""Runs the property tests of `wire` and `relay` again and again, each time with new examples.

Prints how many there were and which lines of both packages no example has reached.  Exits with 1 at the first
failure, which hypothesis has made small by then and printed.
"""

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import wraps
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import coverage
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

PROPERTIES = Path(__file__).parent.parent / "test" / "property"
FILES = ("test_fuzz_link", "test_link", "test_hpack")
WITH_SOCKETS = [f"*/{name}.py" for name in ("server", "listener", "client", "connection", "sockets")]
PACKAGES = ["cri_resmgr.relay", "cri_resmgr.wire"]


def loaded(name: str) -> ModuleType:
    """The test module of this name."""
    spec = spec_from_file_location(name, PROPERTIES / f"{name}.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(name)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def counted(function: Callable[..., Any], count: Callable[[], None]) -> Callable[..., Any]:
    """The same, counted."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        count()
        return function(*args, **kwargs)

    return wrapper


def targets(executions: Counter[str]) -> dict[str, Callable[[], None]]:
    """What to run, by name; each run adds to `executions`."""
    found: dict[str, Callable[[], None]] = {}
    for module in map(loaded, FILES):
        for name, value in vars(module).items():
            if (
                isinstance(value, type)
                and issubclass(value, RuleBasedStateMachine)
                and value.__module__ == module.__name__
            ):
                found[name] = _machine(value, executions)
            elif hasattr(value, "hypothesis"):
                found[name] = _property(name, value, executions)
    return found


def _machine(machine: Any, executions: Counter[str]) -> Callable[[], None]:
    machine.__init__ = counted(machine.__init__, lambda: executions.update([machine.__name__]))
    return lambda: run_state_machine_as_test(machine, settings=machine.TestCase.settings)


def _property(name: str, test: Any, executions: Counter[str]) -> Callable[[], None]:
    test.hypothesis.inner_test = counted(test.hypothesis.inner_test, lambda: executions.update([name]))
    run: Callable[[], None] = test
    return run


def report(executions: Counter[str], seconds: float, measured: coverage.Coverage) -> None:
    """What was done, and what was never reached."""
    for name, count in executions.most_common():
        print(f"{count:9} {name}")
    total = executions.total()
    print(f"{total:9} executions in {seconds:.0f} s, {total / seconds:.0f}/s")
    covered = measured.report(show_missing=True, skip_covered=True, file=sys.stdout)
    print(f"lines reached: {covered:.1f} %")


def main() -> int:
    """Until the time is over or something fails."""
    parser = argparse.ArgumentParser(description="fuzz the relay")
    parser.add_argument("--minutes", type=float, default=10.0)
    minutes = parser.parse_args().minutes
    measured = coverage.Coverage(source_pkgs=PACKAGES, omit=WITH_SOCKETS, data_file=None)
    measured.start()
    executions: Counter[str] = Counter()
    begun_s = time.monotonic()
    failed = False
    todo = targets(executions)
    while time.monotonic() < begun_s + 60 * minutes and not failed:
        for name, run in todo.items():
            try:
                run()
            except Exception:  # noqa: BLE001 - whatever it is, it is what we are here for
                print(f"{name} FAILED")
                traceback.print_exc()
                failed = True
    measured.stop()
    report(executions, time.monotonic() - begun_s, measured)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
