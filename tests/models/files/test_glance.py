"""What is said of a file before it is loaded is what loading makes of it."""

from pathlib import Path

import pytest

from samkit.cli.models import list_models
from samkit.models.files.glance import glance
from tests.models.files.people_files import ROWS, Row, at_side, sam2

SEEN_LATER = ("a native side of 512 pixels", "2 files")
"""Words of what lies beside a file, which is told once it is loaded."""
ALONE = [row for row in ROWS if "#" not in row.what]


@pytest.mark.parametrize("row", ALONE, ids=lambda row: row.what)
def test_it_agrees_with_loading(row: Row, tmp_path):
    told = glance(Path(row.write(tmp_path).partition("#")[0]))
    assert told.loads == (row.family is not None) and all(told.told)
    if told.loads:
        assert told.family == row.family
        assert row.told in " ".join(told.told) or row.told in SEEN_LATER
    else:
        assert told.told and told.told[0].endswith(".")


def test_the_command_says_what_each_file_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", str(tmp_path))
    at_side(tmp_path, sam2(), 256)
    (tmp_path / "page.pt").write_text("<html>")
    list_models()
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index(f"{tmp_path / 'model.pt'}") + 1].strip().startswith("SAM 2, ")
    page = lines[lines.index(f"{tmp_path / 'page.pt'}") + 1]
    assert "can't be loaded" in page and "web page" in page
