import pytest

from equipment import worker


@pytest.mark.parametrize("prefix", ["", "-", "@", "+!"])
def test_the_program_of_a_unit_is_found_behind_its_prefixes(prefix):
    unit = (
        f"[Service]\nExecStartPre=/bin/true\nExecStart={prefix}/opt/x/bin/cri-resmgr --flag\nExecStartPost=/bin/false\n"
    )
    assert worker._program(unit) == "/opt/x/bin/cri-resmgr"


def test_a_unit_that_starts_nothing_is_refused():
    with pytest.raises(ValueError, match="no ExecStart="):
        worker._program("[Service]\nExecStop=/bin/true\n")
