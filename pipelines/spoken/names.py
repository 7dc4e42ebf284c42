"""Abbreviations, initials and acronyms as a synthesizer must see them to say them right.

What espeak-ng already spells (LLM, GPU, API, TTFT) or says (NASA, RAM) stays as it is; what it would say as a word
(FAQ, AWS) is spelt with dots between the letters, because it reads a lone "A" as the article.
"""

import re

_TITLES = {
    **{"Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "Rev": "Reverend", "Gov": "Governor"},
    **{"Sen": "Senator", "Rep": "Representative", "Gen": "General", "Col": "Colonel", "Sgt": "Sergeant"},
    **{"Capt": "Captain", "Lt": "Lieutenant", "Mt": "Mount", "Ft": "Fort", "Hon": "Honorable"},
}
_WORDS = {
    **{"e.g": "for example", "i.e": "that is", "vs": "versus", "etc": "et cetera", "approx": "approximately"},
    **{"Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Corp": "Corporation", "Ltd": "Limited", "Co": "Company"},
    **{
        "Ave": "Avenue",
        "Blvd": "Boulevard",
        "Rd": "Road",
        "dept": "department",
        "Dept": "Department",
        "est": "established",
    },
    **{
        "Mon": "Monday",
        "Tue": "Tuesday",
        "Tues": "Tuesday",
        "Wed": "Wednesday",
        "Thu": "Thursday",
        "Thurs": "Thursday",
    },
    **{
        "Jan": "January",
        "Feb": "February",
        "Mar": "March",
        "Apr": "April",
        "Jun": "June",
        "Jul": "July",
        "Aug": "August",
    },
    **{"Sep": "September", "Sept": "September", "Oct": "October", "Nov": "November", "Dec": "December"},
    **{"Fri": "Friday", "cf": "compare", "al": "al", "avg": "average", "Ph.D": "PhD"},
}
_NUMBERED = {
    "No": "number",
    "no": "number",
    "Nos": "numbers",
    "Fig": "figure",
    "Vol": "volume",
    "p": "page",
    "pp": "pages",
}


def _one_of(names: dict[str, str]) -> str:
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


_TITLE = re.compile(rf"\b({_one_of(_TITLES)})\.(?=\s)|\b(Mr|Mrs|Ms)(?=\s[A-Z])")
_WORD = re.compile(rf"(?<![\w.])({_one_of(_WORDS)})\.(?!\w)|\b(vs)\b")
_NUMBER_OF = re.compile(rf"\b({_one_of(_NUMBERED)})\. ?(?=\d)")
_SAINT_OR_STREET = re.compile(r"\b(?P<name>St|Dr)\.(?P<capital>(?= [A-Z\"']))?")
_INITIALS = re.compile(r"(?<![\w.])(?:[A-Z]\.\s?){1,4}(?=[A-Z](?:\w|['’]\w\w))")
_DOTTED = re.compile(r"(?<![\w.])((?:[A-Za-z]\.){2,})(?!\w)")
_READ_AS_WORDS = re.compile(
    r"(?<![\w.-])(AGI|AKA|APR|ASR|AWS|CI|CLI|COO|DOB|DOA|EKG|EOD|EOT|EPA|ER|ETA|ETF|EUR|FAQ|HOA|ICU|IDE|IoT|IPO|LAX|LED|NIH"
    r"|NYC|NYU|OKR|OTP|QA|ROI|SaaS|TSA|UAE|UPS|USC|USPS|UX|VIP|WER)(s)?(?!\w|\.\w)"
)


def say_abbreviations(text: str) -> str:
    """Dr. Chen, Rodeo Dr., St. Mary, Main St., No. 5, e.g., U.S.; the last keeps the full stop that ends a text."""
    if "." in text:
        text = _NUMBER_OF.sub(lambda found: f"{_NUMBERED[found[1]]} ", text)
        if "St." in text or "Dr." in text:
            text = _SAINT_OR_STREET.sub(_saint_or_street, text)
        text = _DOTTED.sub(_without_dots, text)
        text = _INITIALS.sub(_initials, text)
    text = _TITLE.sub(lambda found: _TITLES[found[1] or found[2]], text)
    return _WORD.sub(_word, text)


def say_acronyms(text: str) -> str:
    """FAQ -> F.A.Q, FAQs -> F.A.Q's, where espeak-ng would say a word; in shouted text everything is a word."""
    if text.isupper() and " " in text:
        return text
    return _READ_AS_WORDS.sub(lambda found: ".".join(found[1].upper()) + ("'s" if found[2] else ""), text)


def _ends_text(found: re.Match[str]) -> bool:
    return found.string[found.end() :].strip("\"'”’)*_ ") == ""


def _word(found: re.Match[str]) -> str:
    word = _WORDS[found[1] or found[2]]
    return f"{word}." if found[1] and _ends_text(found) else word


def _without_dots(found: re.Match[str]) -> str:
    letters = found[1].replace(".", "")
    if letters.lower() in ("eg", "ie", "am", "pm"):
        return found[0]
    return f"{letters}." if _ends_text(found) else letters


def _initials(found: re.Match[str]) -> str:
    """J. R. R. -> J R R; a lone A would be an article, so initials that hold one keep dots."""
    letters = re.findall(r"[A-Z]", found[0])
    if letters == ["A"]:
        return found[0]
    if len(letters) > 1 and "A" in letters:
        return f"{'.'.join(letters)} "
    return f"{' '.join(letters)} "


def _saint_or_street(found: re.Match[str]) -> str:
    """Before a name it is a title, after a name a street; between two the first word of a text is no street's name."""
    words_before = found.string[: found.start()].split()
    follows_name = bool(words_before) and (words_before[-1][0].isupper() or words_before[-1][0].isdigit())
    if len(words_before) == 1 and words_before[0][0].isalpha():
        follows_name = False
    title, street = {"St": ("Saint", "Street"), "Dr": ("Doctor", "Drive")}[found["name"]]
    if found["capital"] is not None and not (follows_name and found["name"] == "St"):
        return title
    return f"{street}{'.' if _ends_text(found) else ''}"
