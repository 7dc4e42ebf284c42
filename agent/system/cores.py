"""How many CPU cores this process may use: what lanes, threads and a worker's capacity go by. It measures no load."""

from pathlib import Path

import psutil  # type: ignore[import-untyped, unused-ignore]  # it publishes no types

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def cores(cpu_max: Path = _CPU_MAX) -> float:
    """How many this process may use: those that it is bound to, or less by the quota of its cgroup (v2)."""
    process = psutil.Process()
    # macOS cannot bind a process.
    bound = len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else psutil.cpu_count() or 1
    try:
        quota, period = map(int, cpu_max.read_text("utf-8").split())
    except (OSError, ValueError):  # no such cgroup, or its quota is "max"
        return float(bound)
    return min(float(bound), quota / period)
