"""No test reaches the network: where the real speech models are not here, those marked `slow` are skipped."""

import os

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from agent.models.fetch import default_set, fault

    if lacking := [name for name in default_set() if fault(name) is not None]:
        skip = pytest.mark.skip(reason=f"needs {', '.join(lacking)}: quickturn fetch")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)
