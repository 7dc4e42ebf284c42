"""What is shipped: every recording of this folder by name, kind, voice and text. Independent of how it is made.

`TUNED` are the voices that thresholds and waits may be chosen on. `HELD_OUT` are those on which nothing is ever chosen,
only judged. They were divided once, by accent and sex, without listening.
"""

from collections.abc import Sequence
from dataclasses import dataclass

TUNED = (
    *("af_alloy", "am_echo", "bf_alice", "am_fenrir", "af_aoede", "bm_fable", "af_heart"),
    *("am_michael", "bf_isabella", "am_puck", "af_kore", "bm_george", "af_river", "am_santa"),
)
HELD_OUT = (
    *("af_bella", "am_adam", "bf_emma", "am_eric", "af_jessica", "bm_daniel", "af_nova"),
    *("am_liam", "bf_lily", "am_onyx", "af_sarah", "bm_lewis", "af_sky"),
)
"""Kokoro's 28 English voices without af_nicole, who whispers: American (a) and British (b), female (f) and male (m)."""


@dataclass(frozen=True, slots=True)
class Fixture:
    """One recording. `turns` are marked texts for `utterance.utter`; `[coughs]` is a sound of that name and no text.

    `barge_in_ms`: each turn from the second on begins that long after the first audible sample of the answer to the
    first. `condition` is one of `conditions.heard`. Without turns nobody speaks, and the kind or name says what sounds.
    """

    name: str
    kind: str
    voice: str
    turns: Sequence[str]
    condition: str | None = None
    rate: float = 1.0
    gain_db: float = 0.0
    barge_in_ms: Sequence[int] = ()


STORY = "Tell me a story about a lion and a monkey."
BACKCHANNELS = ["Uh-huh.", "Yeah.", "Okay.", "Right.", "I see.", "Oh, great."]
SOUNDS = ["[coughs]", "[clicks]", "[knocks]", "[music]", "[noise]", "[typing]"]
EVERY_4_S = [2_000, 6_000, 10_000, 14_000, 18_000, 22_000]

FIXTURES = [
    Fixture("time_in_tokyo", "question_short", "af_heart", ["What time is it in Tokyo?"]),
    Fixture("why_so_fast", "question_short", "am_michael", ["Why is the small model so fast?"]),
    Fixture("umbrella", "question_short", "bf_isabella", ["Do I need an umbrella tomorrow?"]),
    Fixture("fast_on_a_wafer", "question_short", "am_fenrir", ["How fast is the large model on a wafer?"]),
    Fixture("a_joke", "question_short", "am_puck", ["Can you tell me a joke?"]),
    Fixture("coffee_shop", "question_short", "af_kore", ["Where is the nearest coffee shop?"]),
    Fixture("who_are_you", "question_short", "bm_george", ["Who are you?"]),
    Fixture("capital_of_norway", "question_short", "bf_emma", ["What is the capital of Norway?"]),
    Fixture("hear_me", "question_short", "am_liam", ["Hello, can you hear me?"]),
    Fixture("what_to_cook", "question_short", "af_bella", ["What should I cook for dinner?"]),
    Fixture("museum_hours", "question_short", "am_eric", ["What time does the museum open today?"]),
    Fixture("learn_spanish", "question_short", "af_nova", ["What is the best way to learn Spanish?"]),
    Fixture("far_to_vienna", "question_short", "bm_daniel", ["How far is it from Rome to Vienna?"]),
    Fixture("what_is_a_token", "question_short", "af_jessica", ["What is a token?"]),
    Fixture(
        "tokens_per_second",
        "question_long",
        "am_echo",
        ["How many tokens per second can the small model generate on a single card?"],
    ),
    Fixture(
        "first_token",
        "question_long",
        "bm_fable",
        ["What is the time to first token for the language model on a laptop?"],
    ),
    Fixture("wafer_scale", "question_long", "af_aoede", ["How do wafer scale chips make language models faster?"]),
    Fixture(
        "boston_to_new_york", "question_long", "af_alloy", ["How long does it take to drive from Boston to New York?"]
    ),
    Fixture("train_station", "question_long", "bf_alice", ["How do I get to the train station from here?"]),
    Fixture(
        "train_to_leeds",
        "question_long",
        "am_santa",
        ["Which train do I have to take to be in Leeds before nine in the morning?"],
    ),
    Fixture(
        "which_is_faster", "question_long", "af_sarah", ["Which model is faster, the small model or the large model?"]
    ),
    Fixture(
        "speculative_decoding",
        "question_long",
        "bm_lewis",
        ["Can you explain to me how speculative decoding makes a large model faster?"],
    ),
    Fixture(
        "turn_detection",
        "question_long",
        "am_adam",
        ["How does a voice agent decide that I have finished speaking and want an answer?"],
    ),
    Fixture(
        "quiet_hotel",
        "question_long",
        "bf_lily",
        ["I need a quiet hotel room in the centre of Madrid for three nights, can you find one?"],
    ),
    Fixture(
        "wear_tonight",
        "question_long",
        "am_onyx",
        ["What should I wear tonight if I am going to walk along the river after dinner?"],
    ),
    Fixture(
        "find_japanese",
        "question_long",
        "af_sky",
        ["Could you find me a good Japanese restaurant in Chicago for tomorrow evening?"],
    ),
    Fixture("yes", "one_word", "am_michael", ["Yes."]),
    Fixture("continue", "one_word", "af_bella", ["Continue."]),
    Fixture("maybe", "one_word", "bm_george", ["Maybe."]),
    Fixture("thanks", "one_word", "am_eric", ["Thanks."]),
    Fixture("phone_number", "numbers", "am_liam", ["My phone number is five five five zero one four two."]),
    Fixture("percent", "numbers", "af_alloy", ["What is fifteen percent of two hundred and forty?"]),
    Fixture("flight_gate", "numbers", "bm_daniel", ["My flight leaves at quarter past nine from gate fourteen."]),
    Fixture("weather_in_berlin", "tool", "am_fenrir", ["What is the weather like in Berlin tomorrow?"]),
    Fixture("timer", "tool", "bf_alice", ["Set a timer for ten minutes."]),
    Fixture("rain_in_london", "tool", "bf_emma", ["Will it rain in London this weekend?"]),
    Fixture(
        "dialogue",
        "dialogue",
        "am_puck",
        [
            "Hello, can you hear me?",
            "What is the weather like in Lisbon today?",
            "Do I need an umbrella tonight?",
            "Find a good vegetarian restaurant near me.",
            "How long does it take to walk to the restaurant?",
            "Thank you, that is all I needed.",
        ],
    ),
    Fixture(
        "dialogue_table",
        "dialogue",
        "bf_lily",
        [
            "Good evening.",
            "I would like to book a table for four people at eight.",
            "No, make it seven o'clock, please.",
            "And how do I get to the theatre from there?",
            "Lovely, thank you. Goodbye.",
        ],
    ),
    Fixture("filler_weather", "filler", "af_river", ["Um, what is the weather like in Lisbon, uh, today?"]),
    Fixture("filler_alarm", "filler", "am_onyx", ["Uh, could you wake me up at, um, half past six?"]),
    Fixture("filler_joke", "filler", "bm_lewis", ["Well, I was wondering, uh, do you know a joke?"]),
    Fixture("restart_joke", "restart", "af_kore", ["Can you, can you tell me a joke about dogs?"]),
    Fixture("restart_museum", "restart", "am_adam", ["What time, I mean, when does the museum open?"]),
    Fixture("restart_table", "restart", "bf_alice", ["I need a table for two, sorry, for three people at eight."]),
    Fixture(
        "two_weather_coat", "two_questions", "am_michael", ["What is the weather like in Oslo, and do I need a coat?"]
    ),
    Fixture("two_library", "two_questions", "af_jessica", ["When does the library close, and where is it?"]),
    Fixture(
        "two_models", "two_questions", "bm_daniel", ["How fast is the small model? And how fast is the large one?"]
    ),
    Fixture(
        "long_birthday",
        "long",
        "bf_isabella",
        [
            "My mother turns sixty next month, and I would like to take her to a place by the sea where it is warm, "
            "where we can walk a lot, and where the food is good, so what do you recommend?"
        ],
    ),
    Fixture(
        "long_internet",
        "long",
        "am_liam",
        [
            "I am calling because my internet connection has been very slow since the weekend, although I have "
            "restarted the router twice and tried another cable, and I do not know what else to do."
        ],
    ),
    Fixture("comma_rain", "comma", "am_echo", ["If it rains tomorrow, {0 comma} should I take the train?"]),
    Fixture("comma_meeting", "comma", "af_aoede", ["After the meeting, {300 comma} remind me to call my mother."]),
    Fixture("comma_eight", "comma", "bf_emma", ["If I leave now, {0 comma} how long does it take to the airport?"]),
    Fixture("comma_water", "comma", "af_sky", ["Once the water boils, {300 comma} how long do I cook the pasta?"]),
    Fixture("comma_friday", "comma", "am_eric", ["On Monday, {300 comma} after lunch, {0 comma} do I have a meeting?"]),
    Fixture("digits_one_by_one", "list", "af_heart", ["Four, {600 list} eight, {500 list} two, {800 list} one."]),
    Fixture("digits_phone", "list", "am_adam", ["My phone number is five five five, {500 list} zero one four two."]),
    Fixture(
        "digits_code", "list", "bm_fable", ["The code is seven, {400 list} seven, {700 list} three, {500 list} nine."]
    ),
    Fixture("spelled_kay", "list", "am_michael", ["My name is K, {500 list} A, {800 list} Y."]),
    Fixture(
        "spelled_clark", "list", "am_eric", ["It is spelled C, {400 list} L, {500 list} A, {600 list} R, {400 list} K."]
    ),
    Fixture(
        "pause_dangling_800",
        "pause",
        "am_santa",
        ["Turn off the lights and the {800 dangling ~} heater in the kitchen."],
    ),
    Fixture(
        "pause_dangling_500",
        "pause",
        "af_alloy",
        ["Can you compare the small model with the {500 dangling} large model?"],
    ),
    Fixture(
        "pause_dangling_1200",
        "pause",
        "bm_george",
        ["Find me a flight from Boston to… {1200 dangling} Seattle on Friday."],
    ),
    Fixture("pause_dangling_um", "pause", "am_puck", ["Um, {800 dangling ~} do I need an umbrella tomorrow?"]),
    Fixture(
        "pause_dangling_500_held_out", "pause", "bf_emma", ["I would like to… {500 dangling} book a table for two."]
    ),
    Fixture(
        "pause_dangling_800_held_out", "pause", "am_eric", ["Remind me to call my, {800 dangling ~} mother at six."]
    ),
    Fixture(
        "pause_dangling_1200_held_out",
        "pause",
        "af_nova",
        ["I cannot come because {1200 dangling ~} my car broke down."],
    ),
    Fixture("pause_dangling_jazz_held_out", "pause", "am_onyx", ["Play some jazz in the {800 dangling} living room."]),
    Fixture("pause_open_500", "pause_open", "af_river", ["What is the weather like {500 open} in Paris?"]),
    Fixture("pause_open_800", "pause_open", "am_fenrir", ["Can you play some music… {800 open} from the nineties?"]),
    Fixture("pause_open_1200", "pause_open", "bf_alice", ["Tell me a joke {1200 open ~} about an elephant."]),
    Fixture("pause_open_ticket", "pause_open", "bm_fable", ["How much is a ticket, {800 open} to San Francisco?"]),
    Fixture("pause_open_500_held_out", "pause_open", "am_liam", ["Is there a train, {500 open} on Sunday morning?"]),
    Fixture(
        "pause_open_800_held_out",
        "pause_open",
        "af_bella",
        ["Explain neural networks {800 open ~} to a five year old."],
    ),
    Fixture("pause_open_1200_held_out", "pause_open", "bm_lewis", ["Do I have any meetings… {1200 open} on Friday?"]),
    Fixture(
        "pause_open_restaurant_held_out",
        "pause_open",
        "af_jessica",
        ["Find a good restaurant, {800 open} near the train station."],
    ),
    # A finished sentence, melody and all, that then goes on: nobody can know, so these are a kind of their own.
    Fixture(
        "pause_finished_500",
        "pause_finished",
        "af_aoede",
        ["Book me a room at the Grand Hotel. {500 finished} For five nights, please."],
    ),
    Fixture(
        "pause_finished_800",
        "pause_finished",
        "am_adam",
        ["What is the weather like in Rome? {800 finished} And in Naples?"],
    ),
    Fixture(
        "pause_finished_1200",
        "pause_finished",
        "bm_daniel",
        ["Set an alarm for six. {1200 finished} No, make it seven."],
    ),
    Fixture("telephone_library", "telephone", "am_michael", ["Give me directions to the library."], "telephone"),
    Fixture("telephone_order", "telephone", "bf_emma", ["My order number is seven four one nine."], "telephone"),
    Fixture(
        "telephone_flight", "telephone", "am_onyx", ["Is there a flight from Denver to Boston tonight?"], "telephone"
    ),
    Fixture("room_lights", "room", "af_heart", ["Turn on the lights in the living room."], "room_0.3"),
    Fixture("room_speech", "room", "bm_lewis", ["How does speech recognition work?"], "room_0.5"),
    Fixture("room_recipe", "room", "af_sky", ["Do you know a recipe with potatoes and cheese?"], "room_0.4"),
    Fixture(
        "babble_20db_batching",
        "babble_20db",
        "af_kore",
        ["How does batching make language models faster?"],
        "babble_20",
    ),
    Fixture(
        "babble_20db_menu",
        "babble_20db",
        "am_liam",
        ["I would like a coffee and a cheese sandwich, please."],
        "babble_20",
    ),
    Fixture("babble_10db_taxi", "babble_10db", "bf_isabella", ["How do I get to the airport from here?"], "babble_10"),
    Fixture("babble_10db_time", "babble_10db", "am_eric", ["What time is it in New York?"], "babble_10"),
    Fixture(
        "noise_20db_pink", "noise_20db", "af_bella", ["What is the difference between a cat and a dog?"], "pink_20"
    ),
    Fixture("noise_10db_pink", "noise_10db", "am_puck", ["Can you help me with my homework?"], "pink_10"),
    Fixture("breath_story", "breath", "bm_george", ["Do you know a poem about the sea?"], "breath"),
    Fixture("breath_street", "breath", "af_sarah", ["Is the supermarket open on Sundays?"], "breath"),
    Fixture("fast_memory", "fast", "am_echo", ["How much memory does the large model need?"], rate=1.3),
    Fixture("fast_lunch", "fast", "af_nova", ["Find a Japanese restaurant in Chicago for lunch."], rate=1.3),
    Fixture("quiet", "quiet", "af_alloy", ["What is the price per million tokens?"], gain_db=-30.0),
    Fixture("barge_in_stop", "barge_in", "af_heart", [STORY, "Stop, that is not what I meant."], barge_in_ms=[1_500]),
    Fixture(
        "barge_in_wait",
        "barge_in",
        "am_michael",
        ["Tell me about black holes.", "Wait, I meant volcanoes."],
        barge_in_ms=[800],
    ),
    Fixture("barge_in_question", "barge_in", "af_kore", [STORY, "What time is it in Tokyo?"], barge_in_ms=[2_300]),
    Fixture("barge_in_no", "barge_in", "bf_lily", [STORY, "No, tell me a joke instead."], barge_in_ms=[3_100]),
    Fixture("barge_in_word", "barge_in", "am_onyx", [STORY, "Stop."], barge_in_ms=[1_900]),
    Fixture(
        "barge_in_hold_on", "barge_in", "af_nova", [STORY, "Hold on, how fast is the small model?"], barge_in_ms=[2_700]
    ),
    Fixture("barge_in_gb", "barge_in", "bm_daniel", [STORY, "Wait a moment, please."], barge_in_ms=[4_200]),
    Fixture("backchannels_aoede", "backchannel", "af_aoede", [STORY, *BACKCHANNELS], barge_in_ms=EVERY_4_S),
    Fixture("backchannels_fenrir", "backchannel", "am_fenrir", [STORY, *BACKCHANNELS], barge_in_ms=EVERY_4_S),
    Fixture("backchannels_liam", "backchannel", "am_liam", [STORY, *BACKCHANNELS], barge_in_ms=EVERY_4_S),
    Fixture("sounds", "sounds", "af_river", [STORY, *SOUNDS], barge_in_ms=EVERY_4_S),
    Fixture("silence", "silence", "none", []),
    Fixture("noise", "noise_only", "none", []),
    Fixture("tones", "tones", "none", []),
    Fixture("typing", "no_speech", "none", []),
    Fixture("coughs", "no_speech", "none", []),
    Fixture("laughter", "no_speech", "none", []),
    Fixture("breathing", "no_speech", "none", []),
    Fixture("babble", "no_speech", "none", []),
]
