"""The allowance of a slow machine: nothing on a machine like the reference, never more than its slowness explains."""

import pytest

from tests.live import machine_speed


@pytest.mark.parametrize(
    ("slowdown", "engines_ms", "allowed_ms"),
    [(1.0, 150, 0), (1.0, 900, 0), (2.0, 150, 0), (2.0, 300, 112), (2.0, 900, 188), (4.8, 614, 426)],
)
def test_what_engines_take_more_is_allowed_as_far_as_the_machine_explains_it(
    monkeypatch: pytest.MonkeyPatch, slowdown: float, engines_ms: float, allowed_ms: float
) -> None:
    monkeypatch.setattr(machine_speed, "slowdown", lambda: slowdown)
    assert machine_speed.allowance_ms(engines_ms) == pytest.approx(allowed_ms)
