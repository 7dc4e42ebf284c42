"""What people ask a voice agent in the demo's domain, and answers that fit: a table of patterns, first match wins.

Plain data with named groups for what the answer repeats; the choice among them is `pipelines.pacer.answers`'s. Answers
are in spoken style: one to four sentences, the first of 6 to 20 words. Where a fact is asked for that only a tool could
know and none is offered, the answer says so; errands are acknowledged as a model would, though nothing is done.
"""

import re
from dataclasses import dataclass

from pipelines.pacer.spoken_numbers import NUMBER

CITY = r"(?P<city>(?-i:[A-Z][a-z]+(?: [A-Z][a-z]+)?))"
"""A capitalised name, as the transcripts write places."""

TIME = (
    rf"(?P<time>(?:(?:half|quarter|ten|five|twenty) (?:past|to) )?{NUMBER}(?: ?(?:o'clock|[ap]\.?m\b\.?))?"
    r"|noon|midnight)"
)
DAY = r"(?P<day>today|tomorrow|tonight|(?:next )?(?:mon|tues|wednes|thurs|fri|satur|sun)day|this weekend|next week)"


@dataclass(frozen=True, slots=True)
class Intent:
    """`pattern` is searched in the user's words, which also choose among `answers`; `more` answers a follow-up."""

    name: str
    pattern: re.Pattern[str]
    answers: tuple[str, ...]
    more: str = (
        "There is more to say, but the short answer is the one that helps most. Is there a part you want to hear again?"
    )


def _intent(name: str, pattern: str, *answers: str, more: str | None = None) -> Intent:
    compiled = re.compile(pattern, re.IGNORECASE)
    return Intent(name, compiled, answers) if more is None else Intent(name, compiled, answers, more)


_SMALL_TALK = (
    _intent(
        "correction",
        r"\b(?:i meant|i said|make it|make that|change (?:it|that) to) (?P<what>[\w ',]+)",
        "Thanks for telling me, I have changed it to {what}. Is everything else still right?",
        "All right, I will take that as {what} from here on. Shall I go ahead?",
    ),
    _intent(
        "stop",
        r"^(?:okay |no |please )*(?:stop|wait|hold on|one moment|pause|quiet|enough|quit|exit|cancel|mute|shut up)"
        r"(?:\W+(?:it|that|talking|please|a|minute|moment|second|now|there|wait|stop))*\W*$",
        "Okay, I will stop right there for now. Just speak when you want to go on.",
        "Sure, I am quiet now and listening to you. What would you like instead?",
    ),
    _intent(
        "not_meant",
        r"not what i (?:meant|asked)|^that is wrong",
        "I am sorry that I got you wrong there. Please say it once more in other words.",
    ),
    _intent(
        "thanks",
        r"\b(?:thanks|thank you|that is all)\b",
        "You are very welcome, it was nice talking with you. I am here if anything else comes up.",
        "My pleasure, I am glad that I could help. Have a good day.",
    ),
    _intent(
        "volume",
        r"\bvolume\b|\bturn (?:up|down)\b",
        "Okay, I have changed the volume for you just now. Tell me if it should be a little more.",
    ),
    _intent(
        "translate",
        r"\b(?:translate|how do you say) (?P<phrase>[\w ]+?) (?:to|into|in) (?P<lang>[A-Z]\w+)"
        r"|\bspeak (?P<lang2>[A-Z]\w+)",
        "I know how to say that in {lang}, but this voice only speaks English well. "
        "I can spell it out for you instead.",
    ),
    _intent(
        "goodbye",
        r"^(?:good ?bye|bye|see you|good night|nothing else)\b",
        "Goodbye for now, and thank you for the conversation. Have a wonderful day.",
    ),
    _intent(
        "how_are_you",
        r"\bhow are you\b|\bhow is it going\b",
        "I am doing very well today, thank you for asking. How about you?",
    ),
    _intent(
        "who_are_you",
        r"\bwho are you\b|\byour name\b|\bwhere are you from\b",
        "I am Quickturn, a voice agent that times every step of its own answers. "
        "Behind me speaks a simulated language model.",
    ),
    _intent(
        "introduction",
        r"\bmy name is (?P<name>\w+)|\bthis is (?P<name2>[A-Z]\w+)",
        "It is nice to meet you, {name}, and welcome to the demo. What can I do for you?",
    ),
    _intent(
        "abilities",
        r"\bwhat can you do\b|^help(?: me)?\b(?! with| me)",
        "I can talk about fast language models, set timers, plan a dinner or tell you a story. "
        "Ask me something, and watch where the milliseconds go.",
    ),
    _intent(
        "hearing",
        r"\bhear me\b|\bare you there\b|^testing\b",
        "Yes, I can hear you loud and clear. Go ahead with your question.",
    ),
    _intent(
        "louder",
        r"\b(?:louder|more slowly|slower|speak up)\b",
        "Of course, I will say it a little more clearly. Which part should I start with?",
    ),
    _intent(
        "person",
        r"\btalk to a (?:person|human)\b|\bhuman agent\b",
        "I understand, and I will ask a person to take over. Please stay on the line for a moment.",
    ),
    _intent(
        "greeting",
        r"^(?:hi|hello|hey|good (?:morning|afternoon|evening)|nice to meet you)\b(?:\W+(?:there|quickturn|again))*\W*$",
        "Hello there, it is good to hear your voice. What can I do for you today?",
    ),
    _intent(
        "yes",
        r"^(?:yes|yeah|yep|sure|okay|ok|right|correct|of course|go ahead|please do|sounds good|perfect"
        r"|great)\b(?:\W+\w+){0,3}\W*$",
        "Great, then I will go ahead with that for you. Tell me if you want to change anything.",
    ),
    _intent(
        "no",
        r"^(?:no|nope|not really|never mind|no thanks)\b(?:\W+\w+){0,3}\W*$",
        "No problem at all, I will leave it as it is. What would you like to do instead?",
    ),
)

_TECHNOLOGY = (
    _intent(
        "why_fast",
        r"\bwhy\b.*\b(?:fast|quick)|\bhow do(?:es)? .*\b(?:faster|so fast)\b|\bmakes? .*\b(?:faster"
        r"|respond so quickly)\b",
        "Language models are fast when their weights sit right beside the cores that use them. "
        "A wafer scale chip holds a whole model in its own memory, so no time goes into fetching weights for "
        "every token. "
        "That is why the first sentence is ready so early.",
        more="A GPU reads the weights from memory chips outside the processor for each token. "
        "A wafer has thousands of times that bandwidth on the chip itself, and bandwidth is what limits a "
        "single conversation.",
    ),
    _intent(
        "why_slow",
        r"\bwhy\b.*\bslow\b",
        "It is most likely waiting for memory, because each token needs all the weights of the model. "
        "A smaller model, fewer bits per weight or a chip with more bandwidth would help.",
    ),
    _intent(
        "tokens_per_second",
        r"\btokens? (?:per|a) second\b|\bhow fast\b.*\b(?:model|chip|wafer|gpu)",
        "On a wafer scale chip, an eight billion model was announced at eighteen hundred tokens per second. "
        "Seventy billion parameters ran at four hundred and fifty, and a GPU cloud at about one twentieth of that.",
        more="Those figures are from August of 2024, and the models of today run differently. "
        "People listen at about four tokens per second, so what you notice is the first sentence.",
    ),
    _intent(
        "ttft",
        r"\btime to (?:the )?first (?:token|word)\b|\bt ?t ?f ?t\b",
        "The time to first token is how long you wait until the model begins to write. "
        "What you hear begins later, because a whole first sentence has to be ready before it can be spoken.",
        more="In this demo you can set it as you like and watch what it does to a turn. "
        "It often matters less than the time for the first sentence.",
    ),
    _intent(
        "price",
        r"\bprice\b|\bper million\b|\bhow much (?:does|do) .*\b(?:model|token)",
        "At its launch in 2024 the small model cost ten cents per million tokens. "
        "The large one cost sixty cents, and a spoken answer needs fewer than a hundred tokens.",
    ),
    _intent(
        "model_size",
        r"\bhow many parameters\b|\bhow much memory\b|\bcontext window\b|\bcan (?:the|a) .*model run on\b",
        "That depends on the model, and most of all on how many parameters it has. "
        "Count two bytes for each of them at sixteen bits, so eight billion parameters take sixteen gigabytes.",
    ),
    _intent(
        "compare",
        r"\b(?:compare|which model|difference between|better than)\b",
        "The smaller one answers sooner, and the larger one is better with hard questions. "
        "For a spoken conversation I would start with the small one and measure where it fails.",
    ),
)

_ERRANDS = (
    _intent(
        "weather",
        rf"\b(?:weather|forecast|umbrella|temperature|rains?|snow|sunny|windy|cloudy|cold|warm|hot|freeze|foggy|storm|humid|"
        rf"dry|degrees)\b(?:.*\bin {CITY})?",
        "I cannot see a live forecast in this simulation, so please pack an umbrella for {city}. "
        "With a weather tool I would read it out to you.",
        more="A real agent would ask a weather service now and read you the next few hours. "
        "The pipeline has a tool for that.",
    ),
    _intent(
        "timer",
        rf"\btimer\b(?:.*?(?P<count>{NUMBER}|a few) (?P<unit>seconds?|minutes?|hours?))?",
        "Okay, your timer for {count} {unit} is running from now on. I will let you know when it is done.",
    ),
    _intent(
        "alarm",
        rf"\b(?:alarm|wake me up)\b(?:.*?\b(?:for|at) {TIME})?",
        "Your alarm is set for {time}, and I hope you sleep well until then.",
    ),
    _intent(
        "reminder",
        r"\b(?:remind me to|do not let me forget to|i forgot to|i need to|i have to) (?P<what>[\w ']+)",
        "I will remind you to {what}. Until then you can forget about it.",
    ),
    _intent(
        "list",
        r"\badd (?P<what>[\w ']+?) to my (?P<where>list|cart|calendar)",
        "I have added {what} to your {where}, and everything else stays as it was.",
    ),
    _intent(
        "calendar",
        r"\b(?:calendar|meetings?|appointment|schedule)\b",
        "I have put that together with the rest of your calendar, and the afternoon is still free. "
        "Shall I tell the others about it?",
    ),
    _intent(
        "table",
        rf"\b(?:table|reservation|reserve)\b"
        rf"(?:.*?(?:for|table of) (?P<people>{NUMBER})(?: people)?\b)?(?:.*?\bat {TIME})?(?:.*?\b(?:on )?{DAY})?",
        "I can ask for a table for {people} at {time}, is that right? "
        "Once you say yes, I will call the restaurant for you.",
    ),
    _intent(
        "room",
        r"\b(?:room|hotel)\b.*\b(?:night|nights|book|need)\b|\bbook .*\b(?:room|hotel)\b",
        "I found a quiet double room that would fit your dates quite well. Do you want me to hold it until tomorrow?",
    ),
    _intent(
        "flight",
        rf"\b(?:flight|fly|ticket|check me in"
        rf"|train(?! station))\b(?:.*?\bfrom {CITY})?(?:.*?\bto (?P<to>(?-i:[A-Z][a-z]+(?: [A-Z][a-z]+)?)))?",
        "There is a direct connection to {to} in the morning and another one late in the evening. "
        "The morning one is usually cheaper, shall I look at its seats?",
    ),
    _intent(
        "distance",
        r"\bhow (?:far|long does it take)\b.*\bto (?:the )?(?P<to>[\w ]+)",
        "The way to {to} takes a little while, depending on the traffic at this hour. "
        "I would plan some extra time and leave early.",
    ),
    _intent(
        "directions",
        r"\b(?:directions|where is|how do i get|nearest)\b.*?\b(?:the |to "
        r"|nearest )+(?P<place>[\w ]+?)(?: from here)?\W*$",
        "To reach the {place}, go straight ahead for two blocks and then turn left. "
        "You will see it on the right side, just after the park.",
    ),
    _intent(
        "hours",
        r"\bwhat time does the (?P<place>[\w ]+?) (?:open|close)|\bis the (?P<place2>[\w ]+?) open\b",
        "The {place} usually opens at nine in the morning and closes at six. On Sundays I would call before you go.",
    ),
    _intent(
        "restaurant",
        rf"\b(?:find|good|restaurant)\b.*?\b(?P<cuisine>\w+) (?:restaurant|place)(?:.*\bin {CITY})?",
        "There is a small {cuisine} restaurant nearby that people like for its fresh food. "
        "It has free tables this evening, should I book one?",
    ),
    _intent(
        "order_food",
        rf"\b(?:order|can i (?:get|have))\b.*?\b(?:an?|the|some|{NUMBER}) (?P<what>[\w ]+?)"
        r"(?: for \w+| to go|,? please)?\W*$",
        "Your {what} will be ready in about ten minutes. Would you like something to drink with it?",
    ),
    _intent(
        "shopping",
        r"\b(?:where is my order|i bought|return|looking for|in stock|still available|do you have this|how much is"
        r"|when will my)\b",
        "Let me look that up for you, it should only take a moment. Do you have the order number at hand?",
    ),
    _intent(
        "number",
        r"\b(?:confirmation|phone|order|code) (?:number )?is\b",
        "Thank you, I have noted that number and read it back to myself. Is there anything else about it?",
    ),
)

_HOME_AND_MEDIA = (
    _intent(
        "switch",
        r"\bturn (?P<state>on|off) (?:the )?(?P<device>[\w ]+?)(?: (?:in|and|,).*)?\W*$"
        r"|\bturn (?:the )?(?P<device2>[\w ]+?) (?P<state2>on|off)\b",
        "Done, the {device} should now be {state} as you asked. Say the word if you want it back.",
    ),
    _intent(
        "lights",
        r"\blights\b",
        "All right, I have changed the lights the way you wanted. Is it bright enough for you now?",
    ),
    _intent(
        "door",
        r"\b(?:lock|unlock|open|close) (?:the )?(?P<door>[\w ]+)|\bis the (?P<door2>[\w ]+?) locked\b",
        "I have checked the {door} for you, and it is just as you want it.",
    ),
    _intent(
        "skip",
        r"\b(?:skip|next song|what song is this)\b",
        "Here comes the next one on your list, and I think that you will like it.",
    ),
    _intent(
        "music",
        r"\bplay (?P<song>[\w ]+)",
        "Now playing {song} for you, lean back and enjoy it for a while.",
    ),
    _intent(
        "call",
        r"\bcall (?P<name>[A-Z]\w+)|\b(?:text|message|email|tell) (?:to )?(?P<name2>(?!me\b)[A-Z]\w+)|\bmessages?\b",
        "I will take care of that message right away and tell you when it is answered.",
    ),
)

_KNOWLEDGE = (
    _intent(
        "time",
        rf"\bwhat time is it\b(?:.*\bin {CITY})?|\bthe time in {CITY.replace('city', 'city2')}",
        "I cannot see a clock in this simulation, so please look at your watch for the time in {city}. "
        "With a clock tool I would tell you to the minute.",
    ),
    _intent(
        "date",
        r"\bwhat (?:day|date)\b|\bthe date\b",
        "I have no calendar in this simulation, so I would have to guess the date. Your phone knows it for certain.",
    ),
    _intent(
        "population",
        r"\bhow many (?:people|\w+ species)\b",
        "That number changes from year to year, and a recent source would know it best. "
        "A real model would give you an estimate here.",
    ),
    _intent(
        "joke",
        r"\bjoke\b|\bmake me laugh\b|\bfunny\b",
        "Why did the voice agent bring a ladder to the meeting? It wanted to raise its voice without getting louder.",
        "A token walks into a bar, and the barman says that he will serve it in a few milliseconds. "
        "The token says that it would rather stream.",
        more="Here is another one for you, and it is a short one. "
        "What do you call a slow language model? A long pause.",
    ),
    _intent(
        "poem",
        r"\bpoem\b|\bpoetry\b|\brhyme\b",
        "Here is a short poem that I have made up for you. "
        "The night is still, the stars are bright. A quick reply comes out of sight. It hardly waits, it "
        "speaks, good night.",
    ),
    _intent(
        "animal",
        r"\b(?:dog|cat|horse|bird|rabbit|elephant|lion|tiger|bear|whale|penguin|wolf|fox|owl|eagle|dolphin|turtle)s?\b",
        "Animals are wonderful company, and each of them has a surprise for those who look closely. Which one "
        "do you like best?",
    ),
    _intent(
        "cook",
        r"\b(?:cook|recipe|breakfast|lunch|dinner|supper|hungry)\b",
        "How about pasta with tomatoes, garlic and fresh basil for today? It takes about twenty minutes, and "
        "most kitchens have it.",
    ),
    _intent(
        "wear",
        r"\bwear\b",
        "I would take a light jacket, since it may get cooler in the evening. Comfortable shoes are never wrong.",
    ),
    _intent(
        "learn",
        r"\b(?:best way to learn|learn (?:about )?)(?P<what>[\w ]+)?",
        "The best way is a little practice every day, rather than a lot on one day. "
        "Start with something that you enjoy, and build on that.",
    ),
    _intent(
        "opinion",
        r"\b(?:what do you think|do you like|do you think|which \w+ should i)\b",
        "That is a good question, and I can see good reasons on both sides. I would try the simpler one first.",
    ),
    _intent(
        "summary",
        r"\bsummarize\b",
        "In short, it says that small delays add up and that the first sentence matters most. The rest is detail.",
    ),
    _intent(
        "about",
        r"\b(?:tell me (?:something )?about|what do you know about|help me with|do not understand) "
        r"(?P<what>(?:\w+ ?){1,4})",
        "There is a lot to say about {what}, so let me begin with the most important part. "
        "People have thought about it for a very long time, and new things are still found every year.",
        more="Another thing about it is how much it depends on small details. "
        "Ask me about one of them, and I will go deeper.",
    ),
    _intent(
        "feedback",
        r"\b(?:that (?:is|was|sounds)|i think it is)\b",
        "I am glad that you told me so, it helps me to get better. What should we look at next?",
    ),
    _intent(
        "who_or_how_old",
        r"\b(?:who invented|how old is|how many)\b",
        "I would rather look that up than guess, because my memory is only simulated. Is there something else?",
    ),
    _intent(
        "statement",
        r"^(?:i|it|my|we|the|that|after|if|before|[A-Z]\w+ (?:and|is|asked|wants?))\b[^?]*$",
        "Thank you for telling me, I will keep that in mind. What would you like to do with it?",
        "Good to know, and I have made a note of it. Is there anything that I should do about it?",
    ),
)

INTENTS: tuple[Intent, ...] = (*_SMALL_TALK, *_TECHNOLOGY, *_ERRANDS, *_HOME_AND_MEDIA, *_KNOWLEDGE)
