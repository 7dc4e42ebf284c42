"""No test reaches the network: where the real speech models are not here, those marked `slow` are skipped."""

import os

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process for each core, but one for what is timed, or listened to, or prints: it must run alone."""
    wanted = config.getoption("markexpr")
    alone = any(mark in wanted and f"not {mark}" not in wanted for mark in ("live", "bench", "long"))
    if alone or config.getoption("capture") == "no":
        return 0
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from agent.models.fetch import default_set, fault

    if lacking := [name for name in default_set() if fault(name) is not None]:
        skip = pytest.mark.skip(reason=f"needs {', '.join(lacking)}: quickturn fetch")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)
