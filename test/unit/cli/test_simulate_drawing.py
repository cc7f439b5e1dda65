"""A person sees at a glance what the machine is and who sits where, in eighty columns."""

import io
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from cri_resmgr.cli.simulating import blocks, drawing, faces, occupying, seating
from cri_resmgr.cli.simulating.occupying import LETTERS, occupancy
from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.policies.contract import Pool
from cri_resmgr.values import cpusets
from cri_resmgr.values.decisions import Holding
from cri_resmgr.values.machines import MemoryKind
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container

N4C16 = grid(packages=2, nodes=2, cores=2, threads=2)


def idle(machine, **marked):
    """Dots, apart from the marks given as `A="4-5"`."""
    marks = dict.fromkeys(cpusets.ids(machine.online), "·")
    for mark, cpus in marked.items():
        marks |= dict.fromkeys(cpusets.ids(cpusets.parse(cpus)), mark)
    return marks


def picture(machine, users=None, **marked):
    return "\n".join(drawing.drawn(machine, idle(machine, **marked), users=users or {}))


def test_a_small_machine_shows_every_cpu_with_its_number_in_its_place():
    assert (
        picture(N4C16, r="0", A="4-5", B="12")
        == """\
┌ package 0 ──────────────────────┐ ┌ package 1 ──────────────────────┐
│ node 0 · 2Gi      node 1 · 2Gi  │ │ node 2 · 2Gi      node 3 · 2Gi  │
│  0  1    2  3      4  5    6  7 │ │  8  9   10 11     12 13   14 15 │
│  r  ·    ·  ·      A  A    ·  · │ │  ·  ·    ·  ·      B  ·    ·  · │
└─────────────────────────────────┘ └─────────────────────────────────┘"""
    )


def test_dies_have_their_own_line_when_there_are_several_in_a_package():
    assert (
        picture(grid(dies=2, nodes=1, cores=2), A="3")
        == """\
┌ package 0 ────────────────────┐
│ die 0            die 1        │
│ node 0 · 2Gi     node 1 · 2Gi │
│ 0   1            2   3        │
│ ·   ·            ·   A        │
└───────────────────────────────┘"""
    )


def test_memory_only_nodes_follow_with_their_kind_and_who_may_use_them():
    machine = grid(
        nodes=2, memory_nodes=[MemoryNode(4 << 30, MemoryKind.PMEM, 1, 17), MemoryNode(1 << 30, MemoryKind.DRAM, 0, 17)]
    )
    assert picture(machine, users={2: 1}).splitlines()[-2:] == [
        "  memory node 2 · pmem 4Gi, nearest to node 1; 1 container may use it",
        "  memory node 3 · 1Gi, nearest to node 0; 0 containers may use it",
    ]


def test_a_large_machine_has_a_line_for_each_node_and_folds_what_is_all_alike():
    assert (
        picture(grid(packages=2, nodes=2, cores=16, threads=2, numbering="linux"), A="0,64", B="1")
        == """\
┌ package 0 ───────────────────────────────────────────────────────────┐
│ node 0  0-15,64-79   AA B· ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· │
│ node 1  16-31,80-95  32 of ·                                         │
└──────────────────────────────────────────────────────────────────────┘
┌ package 1 ───────────────────────────────────────────────────────────┐
│ node 2  32-47,96-111   32 of ·                                       │
│ node 3  48-63,112-127  32 of ·                                       │
└──────────────────────────────────────────────────────────────────────┘"""
    )


def test_marks_stand_in_fours_where_cores_have_one_thread_and_long_lines_wrap():
    lines = picture(grid(dies=2, cores=64), A="0").splitlines()
    assert lines[1:4] == [
        "│ die 0                                                                       │",
        "│ node 0  0-63    A··· ···· ···· ···· ···· ···· ···· ···· ···· ···· ···· ···· │",
        "│                 ···· ···· ···· ····                                         │",
    ]
    assert lines[4].startswith("│ die 1 ")
    assert lines[5].startswith("│ node 1  64-127  64 of ·")


@given(
    packages=st.integers(1, 4),
    dies=st.integers(1, 3),
    nodes=st.integers(1, 4),
    cores=st.integers(1, 20),
    threads=st.integers(1, 4),
    numbering=st.sampled_from(["adjacent", "linux"]),
    offline=st.integers(0, 7),
)
@settings(deadline=None)
def test_every_online_cpu_of_any_machine_has_its_mark_within_eighty_columns(offline, **counts):
    cpus = counts["packages"] * counts["dies"] * counts["nodes"] * counts["cores"] * counts["threads"]
    machine = grid(**counts, offline=offline if cpus > 3 else 0)
    lines = drawing.drawn(machine, dict.fromkeys(cpusets.ids(machine.online), "X"), users={})
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    folded = sum(int(count) for count in re.findall(r"([0-9]+) of X", text))
    assert folded + len(re.findall(r"(?<!of )X", text)) == machine.online.bit_count()


def test_blocks_that_do_not_fit_beside_each_other_go_below():
    two, one = ["aa", "a"], ["b"]
    assert blocks.flowed([two, one, two], gap=1, columns=4) == ["aa b", "a", "aa", "a"]
    assert blocks.flowed([two, two], gap=1, columns=1) == ["aa", "a", "aa", "a"]
    assert blocks.flowed([], gap=1, columns=4) == []


# ---- who sits where


def sitting(cpus="", *, own="", isolated="", mems=None):
    holding = Holding("p", exclusive=own, isolated=isolated)
    given = Assignment(cpuset_cpus=cpus or None, cpuset_mems=mems)
    return Container("p", "c", 0, given=given, holding=holding, asked=Resources(cpu_shares=512))


def seats(alive, *, machine=N4C16, pools=(), before=None):
    found = occupancy(machine, seating.seats(alive, machine, known={}), pools, before=before or {})
    return "".join(found.marks[cpu] for cpu in cpusets.ids(machine.online)), found


def pool(reserved):
    return Pool("root", "", "0-15", "0-3", "", "", reserved, 0, 0)


def test_owners_have_letters_sharers_are_counted_and_nobody_is_a_dot():
    marks, found = seats({"a": sitting("4-5", own="4-5"), "b": sitting("6-9"), "c": sitting("6-7")})
    assert marks == "····AA2211······"
    assert (found.letters, found.own) == ({"a": "A"}, {"a": 0b110000})
    assert found.sharers == {0b1111000000: ("b",), 0b11000000: ("c",)}


def test_an_owner_of_cpus_may_share_others():
    marks, found = seats({"a": sitting("4-7", own="4-5")})
    assert marks == "····AA11········"
    assert found.sharers == {0b11000000: ("a",)}


def test_isolated_cpus_of_ones_own_are_own():
    machine = grid(packages=2, nodes=2, cores=2, threads=2, isolated=0b1100000000)
    marks, _ = seats({"a": sitting("8", isolated="8")}, machine=machine)
    assert marks == "········Ai······"


def test_reserved_cpus_are_shown_until_somebody_is_there():
    assert seats({}, pools=[pool("0-1")])[0] == "rr··············"
    assert seats({"a": sitting("1")}, pools=[pool("0-1")])[0] == "r1··············"


def test_a_container_without_a_set_may_be_everywhere_and_that_is_a_conflict_on_an_owned_cpu():
    assert seats({"a": sitting("4", own="4"), "b": sitting()})[0] == "1111!11111111111"


def test_ten_sharers_are_many():
    assert seats({str(n): sitting("0") for n in range(9)})[0][0] == "9"
    assert seats({str(n): sitting("0") for n in range(10)})[0][0] == "+"


def test_a_container_keeps_its_letter_and_a_free_one_is_given_again():
    _, found = seats({"b": sitting("1", own="1"), "c": sitting("2", own="2")}, before={"a": "A", "b": "B"})
    assert found.letters == {"b": "B", "c": "A"}


def test_owners_beyond_the_alphabet_get_a_letter_when_one_is_free():
    machine = grid(cores=64)
    alive = {str(n): sitting(str(n), own=str(n)) for n in range(len(LETTERS) + 1)}
    marks, found = seats(alive, machine=machine)
    assert marks[: len(LETTERS) + 2] == f"{LETTERS}#·"
    del alive["0"]
    assert seats(alive, machine=machine, before=found.letters)[1].letters[str(len(LETTERS))] == "A"


def test_the_letters_never_look_like_other_marks():
    others = {occupying.CONFLICT, occupying.MANY, occupying.NO_LETTER, occupying.RESERVED, occupying.ISOLATED}
    assert others.isdisjoint(LETTERS)
    assert len(set(LETTERS)) == len(LETTERS)


def test_what_a_container_may_use_is_its_own_set_then_what_was_asked_then_everything():
    assert seating.effective_cpus(sitting("3"), N4C16) == "3"
    assert seating.effective_mems(sitting(mems="1"), N4C16) == "1"
    asked = Container("p", "c", 0, asked=Resources(cpuset_cpus="5", cpuset_mems="2"))
    assert (seating.effective_cpus(asked, N4C16), seating.effective_mems(asked, N4C16)) == ("5", "2")
    plain = Container("p", "c", 0)
    assert (seating.effective_cpus(plain, N4C16), seating.effective_mems(plain, N4C16)) == ("0-15", "0-3")


def test_a_seat_is_read_again_only_when_its_container_has_changed():
    a, b = sitting("1"), sitting("2")
    first = seating.seats({"a": a, "b": b}, N4C16, known={})
    again = seating.seats({"a": a, "b": sitting("2", own="2")}, N4C16, known=first)
    assert again["a"] is first["a"]
    assert (first["b"].own, again["b"].own) == (0, 0b100)


# ---- what a terminal can show


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_colour_is_for_terminals_that_want_it():
    assert faces.of(Terminal(), {"TERM": "xterm"}).coloured
    assert not faces.of(Terminal(), {"NO_COLOR": "1"}).coloured
    assert not faces.of(Terminal(), {"TERM": "dumb"}).coloured
    assert not faces.of(io.StringIO(), {}).coloured


def test_an_output_that_has_no_utf_8_gets_ascii():
    class Old(io.StringIO):
        encoding = "latin-1"

    plain = faces.of(Old(), {})
    assert plain.finished("┌─┐│·└┘ 4 → 5") == "+-+|.++ 4 > 5"
    assert faces.of(Terminal(), {}).finished("┌·") == "┌·"


def test_marks_are_one_column_wide_until_the_line_is_finished():
    shown = faces.Faces(coloured=True, ascii=False)
    marks = {mark: shown.mark(mark) for mark in "A3·!"}
    assert {len(mark) for mark in marks.values()} == {1}
    line = shown.finished("x " + "".join(marks.values()))
    assert re.sub(r"\033\[[0-9;]*m", "", line) == "x A3·!"
    assert "\033[31m!\033[0m" in line
    assert "\033[1;36mA\033[0m" in line


def test_without_colour_nothing_is_added():
    shown = faces.Faces(coloured=False, ascii=False)
    assert [shown.bad("a"), shown.new("b"), shown.changed("c"), shown.strong("d"), shown.faint("e")] == list("abcde")
    assert shown.finished(shown.mark("A")) == "A"
