"""What is read out sign by sign: web and e-mail addresses, file names, telephone numbers, codes."""

import re

from pipelines.spoken.numbers import digits

_DOMAINS = (
    "com|org|net|edu|gov|mil|int|info|biz|io|ai|co|dev|app|me|tv|ly|gg|sh|so|tech|xyz|cloud|eu|us|uk|ca|au|de|fr|es|it|nl"
    "|ch|at|be|se|no|dk|fi|pl|pt|ie|in|jp|cn|kr|br|mx|ru|za|nz"
)
_EMAIL = re.compile(r"(?:mailto:)?\b([\w.+-]+@[\w-]+(?:\.[\w-]+)+)")
_WEB = re.compile(
    rf"\b(?:(?:https?|wss?|ftp)://(?:www\.)?|www\.)([^\s<>\"]+)|(?<![\w@.])((?:[\w-]+\.)+(?:{_DOMAINS})(?:/[^\s<>\"]*|\b(?![.\w-])))"
)
_QUERY = re.compile(r"[?#].*")
_FILE = re.compile(r"(?<=[A-Za-z0-9_])\.(?=[a-z]{2,5}\d?\b)(?!m\.)|(?<![\w.])\.(?=[A-Za-z])")
_PATH = re.compile(r"(?<![\w/])[~.]{0,2}(?:/[\w.-]+){2,}/?|(?<![\w/])[\w.-]+(?:/[\w.-]*[a-z_][\w.-]*){2,}/?")
_SIGNS = {".": "dot", "/": "slash", "@": "at", "_": "underscore", "-": "dash", "+": "plus", ":": "colon", "~": "tilde"}
_SIGN = re.compile(r"[./@_+:~-]")

_PHONE = re.compile(
    r"(?<![\w.,$€£/-])(?:\+?1[-. ])?(?:\(\d{3}\)\s?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-]|[.,]\d)"
    r"|(?<![\w.,])\+\d{1,3}(?:[-. ]?\(?\d{2,5}\)?){2,5}(?![\w-]|[.,]\d)"
)
# Seven digits look like a range ("100-1250") unless the text speaks of telephones or they begin with 555.
_LOCAL_PHONE = re.compile(r"(?<![\w.,$€£/-])\d{3}-\d{4}(?![\w-]|[.,]\d|\s?%)")
_ABOUT_PHONES = re.compile(r"\b555-|\b(?:call|phone|number|dial|text|fax|tel|hotline|contact)\b", re.IGNORECASE)
_GROUPED = re.compile(r"(?<![\w.,-])(?:\d{3}-\d{2}-\d{4}|\d{4}(?:[ -]\d{4}){2,3})(?![\w-]|[.,]\d)")
_THREE_DIGITS = re.compile(r"\d{3}")
_CODE = re.compile(
    r"(?P<name>\b(?:zip(?: code)?|postal code|postcode|area code|pin(?: code)?|passcode|code|extension|ext\.?|flight"
    r"|(?:order|confirmation|account|reference|tracking|ticket|booking) (?:number|no\.|code|id)"
    r"|(?:call|dial|text)(?= (?:[2-9]11|988)\b))"
    r"(?: is| was)?:? #?(?:[A-Z]{1,3}(?= ?\d))? ?)(?P<code>\d{3,})\b(?![.,]\d)",
    re.IGNORECASE,
)


def say_addresses(text: str) -> str:
    """me@example.com, https://example.com/docs?q=1, main.py, /etc/hosts: scheme, "www" and query are left unsaid."""
    if "@" in text:
        text = _EMAIL.sub(lambda found: _signs(found[1]), text)
    if "." in text:
        text = _WEB.sub(_web, text)
    if "/" in text:
        text = _PATH.sub(lambda found: _signs(found[0]), text)
    return _FILE.sub(" dot ", text)


def say_phone_numbers(text: str) -> str:
    """555-123-4567, (555) 123-4567, +44 20 7946 0958, 555-0123 numbers named a code: digit by digit, in groups."""
    if not _THREE_DIGITS.search(text):
        return text
    text = _PHONE.sub(_groups, text)
    if "-" in text and _ABOUT_PHONES.search(text):
        text = _LOCAL_PHONE.sub(_groups, text)
    text = _GROUPED.sub(_groups, text)
    return _CODE.sub(lambda found: f"{found['name']}{' ' * found['name'][-1].isalpha()}{digits(found['code'])}", text)


def _signs(address: str) -> str:
    body = address.rstrip(".:-")
    spoken = _SIGN.sub(lambda found: f" {_SIGNS[found[0]]} ", body)
    return f"{spoken.strip()}{address[len(body) :]}"


def _web(found: re.Match[str]) -> str:
    written = found[1] or found[2]
    address = written.rstrip(".,;:!?)'*")
    return _signs(_QUERY.sub("", address).rstrip("/")) + written[len(address) :]


def _groups(found: re.Match[str]) -> str:
    plus = "plus " if found[0].startswith("+") else ""
    return plus + ", ".join(digits(group) for group in re.findall(r"\d+", found[0]))
