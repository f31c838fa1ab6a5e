"""Files beside a temporary database go with it."""

from __future__ import annotations

from runner.staging.rows import Staging


def test_a_folder_beside_the_database_is_this_accounts_and_goes_with_it():
    with Staging() as staging:
        folder = staging.make_folder("files")
        (folder / "rows").mkdir()
        (folder / "rows" / "a.csv").write_text("key\n", encoding="utf-8")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.parent == staging.path.parent
    assert not folder.parent.exists()
