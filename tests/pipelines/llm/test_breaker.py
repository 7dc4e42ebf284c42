from pipelines.llm.breaker import BreakerSettings, BreakerState, CircuitBreaker


def breaker() -> CircuitBreaker:
    return CircuitBreaker(BreakerSettings(failures=3, window_s=10.0, cooldown_s=5.0))


def opened() -> CircuitBreaker:
    it = breaker()
    for at in (0.0, 1.0, 2.0):
        it.failed(at)
    return it


def test_failures_within_the_window_open_it() -> None:
    assert opened().state is BreakerState.OPEN


def test_failures_spread_over_more_than_the_window_do_not() -> None:
    it = breaker()
    for at in (0.0, 6.0, 12.0):
        it.failed(at)
    assert it.state is BreakerState.CLOSED


def test_a_success_forgets_the_failures_before_it() -> None:
    it = breaker()
    it.failed(0.0)
    it.failed(1.0)
    it.succeeded()
    it.failed(2.0)
    assert it.state is BreakerState.CLOSED


def test_a_hopeless_fault_opens_it_at_once() -> None:
    it = breaker()
    it.failed(0.0, hopeless=True)
    assert not it.admits(4.9)


def test_the_providers_own_wish_is_how_long_it_is_left_alone() -> None:
    it = breaker()
    it.failed(0.0, retry_after_s=30.0)
    assert not it.admits(29.9)
    assert it.admits(30.0)


def test_after_the_cooldown_one_probe_goes_through_and_goes_alone() -> None:
    it = opened()
    assert not it.admits(6.9)
    assert it.admits(7.0)
    assert it.probing
    assert not it.admits(7.1)


def test_an_answered_probe_closes_it() -> None:
    it = opened()
    it.admits(7.0)
    it.succeeded()
    assert it.admits(7.1)
    assert not it.probing


def test_a_failed_probe_opens_it_for_another_cooldown() -> None:
    it = opened()
    it.admits(7.0)
    it.failed(8.0)
    assert not it.admits(12.9)
    assert it.admits(13.0)


def test_a_probe_that_was_cancelled_is_still_owed() -> None:
    it = opened()
    it.admits(7.0)
    it.abandoned()
    assert it.admits(7.1)
    assert it.probing
