import numpy as np
import pytest

from pipelines.stt.guards import Guards, loops


def test_silence_and_faint_hum_are_silent_and_a_quiet_voice_is_not() -> None:
    hum = np.sin(np.arange(16_000) * 0.1)
    assert Guards().is_silent(np.zeros(16_000, np.int16))
    assert Guards().is_silent((hum * 20).astype(np.int16))
    assert not Guards().is_silent((hum * 300).astype(np.int16))


def test_a_short_sound_in_long_silence_is_not_silent() -> None:
    pcm = np.zeros(160_000, np.int16)
    pcm[80_000:80_640] = 3000
    assert not Guards().is_silent(pcm)


def test_less_than_20_ms_is_silent() -> None:
    assert Guards().is_silent(np.full(319, 9000, np.int16))


# What tiny.en says of sounds and of words of one syllable: no-speech probability, mean log probability.
LAUGHTER = [(0.70, -1.95), (0.81, -0.88), (0.84, -0.95), (0.69, -1.52), (0.77, -1.10)]
SHORT_WORDS = [(0.67, -0.89), (0.52, -1.14), (0.42, -0.75), (0.21, -0.23), (0.05, -1.31)]


def test_no_speech_needs_its_probability_and_improbable_words() -> None:
    guards = Guards()
    assert all(guards.is_no_speech(*said, []) for said in LAUGHTER)
    assert not any(guards.is_no_speech(*said, []) for said in SHORT_WORDS)
    assert not guards.is_no_speech(0.85, -0.2, [])
    assert not guards.is_no_speech(0.1, -2.5, [])


@pytest.mark.parametrize(
    "text",
    [
        "and then and then and then we went",
        "no no no no no no",
        "what is the what is the what is the",
        "how far is watficicicicic",
        "P-p-p-p-p-p-p-p-p-p",
        "T-T-T-T-T-T",
    ],
)
def test_loops_are_found(text: str) -> None:
    assert loops(text.split())


@pytest.mark.parametrize(
    "text",
    [
        "my number is five five five zero one four two",
        "no no no please stop",
        "bye bye bye",
        "call 5-5-5-0-1-4-2",
        "a state-of-the-art, step-by-step guide",
        "what is the weather and what is the time",
        "Mississippi banana",
    ],
)
def test_what_people_say_is_no_loop(text: str) -> None:
    assert not loops(text.split())


def test_more_words_than_a_mouth_says_run_away() -> None:
    said = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen".split()
    assert Guards().runs_away(said, seconds=1.0)
    assert not Guards().runs_away(said, seconds=3.0)


def test_text_that_compresses_too_well_runs_away() -> None:
    said = [f"sand{i % 4}" for i in range(120)]
    assert Guards().runs_away(said, seconds=60.0)


@pytest.mark.parametrize(
    ("text", "no_speech", "is_believed"),
    [
        ("Turn on the light.", 0.69, True),
        ("Turn on the light.", 0.71, False),
        ("Thank you.", 0.38, True),
        ("Thank you.", 0.6, False),
        ("Bye.", 0.6, False),
        ("Thank you for watching my dog.", 0.6, True),
        ("Thank you for watching.", 0.0, False),
        ("Thanks for watching!", 0.0, False),
        ("Please subscribe.", 0.0, False),
    ],
)
def test_courtesies_need_more_of_a_voice_and_lines_of_subtitles_are_never_said(
    text: str, no_speech: float, is_believed: bool
) -> None:
    assert Guards().is_no_speech(no_speech, -1.0, text.split()) is not is_believed
