"""A place that cannot be written is refused before the work, and what can is made ready."""

import pytest

from hw.npu.errors import WeftError
from weft.run.outputs import check_folder, check_writable


def test_missing_folders_are_made_but_no_file(tmp_path):
    check_writable(tmp_path / "a" / "b" / "out.json", "the report")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_no_file_is_well():
    check_writable(None, "the report")


def test_what_cannot_be_written_is_named(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for path, words in (
        (tmp_path, "is a folder; the report is written to a file"),
        (file / "out.json", "a file stands where a folder must be"),
        (file / "deep" / "out.json", "a file stands where a folder must be"),
    ):
        with pytest.raises(WeftError, match=words):
            check_writable(path, "the report")
    with pytest.raises(WeftError, match="the image cannot be written here"):
        check_folder(file, "the image")


def test_a_place_without_permission_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(WeftError, match="no permission"):
        check_writable(tmp_path / "out.json", "the report")
