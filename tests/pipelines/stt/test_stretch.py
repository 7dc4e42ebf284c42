from pipelines.stt.stretch import Stretch


def test_a_removed_range_shortens_what_is_heard_and_shifts_what_follows() -> None:
    stretch = Stretch(1_000).without(3_000, 8_000)
    assert stretch.ranges(10_000) == [(1_000, 3_000), (8_000, 10_000)]
    assert stretch.length(10_000) == 4_000
    assert [stretch.media(p) for p in (0, 2_000, 2_001, 3_999)] == [1_000, 3_000, 8_001, 9_999]


def test_removing_nothing_changes_nothing() -> None:
    stretch = Stretch(1_000)
    assert stretch.without(3_000, 3_000) is stretch
    assert stretch.without(3_000, 2_000) is stretch


def test_both_sides_of_a_split_hold_together_what_the_whole_held() -> None:
    stretch = Stretch(0).without(100, 200).without(500, 900)
    for at in (50, 150, 300, 700, 950):
        before, after = stretch.split(at)
        assert before.length(at) + after.length(1_000) == stretch.length(1_000)
