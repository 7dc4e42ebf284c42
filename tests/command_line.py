"""The command line, called in this process; what it prints is captured by whatever captures the test."""

import sys

import pytest

from agent.cli import main


def quickturn(*arguments: object) -> int:
    """The exit code of `quickturn ARGUMENTS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["quickturn", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)
