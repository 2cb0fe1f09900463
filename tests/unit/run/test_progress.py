"""Progress goes to standard error, as plain lines where that is no terminal, and never to standard output."""

from weft.run.progress import Steps


def test_plain_lines_without_a_terminal(capsys):
    with Steps().stage("building", total=3) as advance:
        advance()
        advance(2)
    captured = capsys.readouterr()
    assert captured.err == "weft: building ...\n"
    assert captured.out == ""


def test_a_long_stage_says_how_long(capsys, monkeypatch):
    monkeypatch.setattr("weft.run.progress.QUIET_SECONDS", -1.0)
    with Steps().stage("building"):
        pass
    assert capsys.readouterr().err == "weft: building ...\nweft: building: 0 s\n"


def test_quiet_is_silent(capsys):
    with Steps(quiet=True).stage("building", total=3) as advance:
        advance()
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""
