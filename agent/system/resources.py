"""Where the shipped data files lie: in an installed wheel inside the package, in a checkout at its top.

It reads none of them.
"""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def shipped(name: str) -> Path:
    """The folder `configs` or `recordings`."""
    installed = _PACKAGE / "share" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
