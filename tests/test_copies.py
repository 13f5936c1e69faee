"""A run reads the copy of the data that its block made on the node, however it names them."""

from pathlib import Path

import pytest

from hed.data import copies


@pytest.mark.parametrize("written", ["data", "data/", "./data", "other/../data", "link"])
def test_the_copy_is_found_however_the_data_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    for name in ("data", "data2", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("data")
    monkeypatch.chdir(tmp_path)
    staged = {"HED_DATA": str(tmp_path / "data"), "HED_STAGED": "/tmp/copy"}
    assert copies.nearest(Path(written), staged) == Path("/tmp/copy")
    assert copies.nearest(tmp_path / written, staged) == Path("/tmp/copy")
    assert copies.nearest(Path("data2"), staged) == tmp_path / "data2"
    assert copies.nearest(Path(written), {}) == tmp_path / "data"
