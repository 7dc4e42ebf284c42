"""What the tests of fetch share."""

from pathlib import Path


def here(tmp_path: Path) -> list[str]:
    """What lies in the store but locks."""
    return sorted(path.name for path in (tmp_path / "store").glob("*") if not path.name.endswith(".lock"))
