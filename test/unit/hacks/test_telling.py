"""How the demo talks."""

import telling


def test_progress_of_a_process_in_the_background_is_shown_as_it_comes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(telling, "LOOK_S", 0)
    log = tmp_path / "log"
    log.write_text("building kubernetes (about 8 min) … 0:00\n/a/path/that/nobody/needs\n")
    looks = []

    def goes_on():
        looks.append(capsys.readouterr().out)
        with log.open("a") as out:
            out.write(f"building kubernetes (about 8 min) … {len(looks)}:00\n")
        return len(looks) < 3

    telling.follow(log, goes_on)
    said = "".join(looks) + capsys.readouterr().out
    assert [line.rpartition(" ")[2] for line in said.splitlines()] == ["0:00", "1:00", "2:00", "3:00"]
    assert looks[1], "the first lines were shown before the process went on"


def test_a_line_that_is_too_long_is_cut(capsys):
    telling.show("x" * 1000)
    assert len(capsys.readouterr().out.rstrip()) <= telling.WIDTH + 4
