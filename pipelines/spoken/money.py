"""Money as words. It knows signs and the larger scales, not currency codes or exchange rates."""

import re

from pipelines.spoken.numbers import NUMBER, cardinal, number

_NAMES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
_SCALES = {"k": "thousand", "K": "thousand", "M": "million", "bn": "billion", "B": "billion", "T": "trillion"}

# "a $20 bill" is a twenty dollar bill: in front of these the unit stays singular.
_THINGS = r"(?P<thing>[ -](?:bill|note|gift|coin|voucher|discount|fee|deal|coupon|credit|a)\b)?"
_SIGN_FIRST = re.compile(
    rf"(?=[-−UCA$€£¥₹])(?P<minus>(?<![\w)])[-−]\s?)?(?:(?<!\w)(?:US|CA|AU))?(?P<sign>[$€£¥₹])\s?(?P<low>{NUMBER})"
    rf"(?:(?P<to>\s?[-–—]\s?|\sto\s)(?P=sign)?(?P<high>{NUMBER}))?"
    rf"(?:\s?(?P<scale>thousand|million|billion|trillion|(?<=\d)(?:[kKMBT]|bn))\b)?{_THINGS}(?P<per>/(?=\d))?"
)
_SIGN_LAST = re.compile(rf"(?<![\w.])(?P<low>{NUMBER})\s?(?P<sign>[€£¥₹])")
_CENTS = re.compile(rf"(?P<low>{NUMBER})\s?¢")


def say_money(text: str) -> str:
    """$42.50, €5, $3.5 million, $10-12, -$5, a $20 bill, $2/1M, 5 €, 50¢."""
    if any(sign in text for sign in _NAMES):
        text = _SIGN_FIRST.sub(_amount, text)
        text = _SIGN_LAST.sub(lambda found: _units_and_cents(found["low"], found["sign"], False), text)
    return (
        text
        if "¢" not in text
        else _CENTS.sub(lambda found: f"{number(found['low'])} cent{'' if found['low'] == '1' else 's'}", text)
    )


def _amount(found: re.Match[str]) -> str:
    low, high, sign, scale, thing = found.group("low", "high", "sign", "scale", "thing")
    per = " per " if found["per"] else ""
    minus = "minus " if found["minus"] else ""
    one, many, _, _ = _NAMES[sign]
    if high or scale:
        words = (
            number(low) + (f" to {number(high)}" if high else "") + (f" {_SCALES.get(scale, scale)}" if scale else "")
        )
        return f"{minus}{words} {one if thing else many}{thing or ''}{per}"
    return f"{minus}{_units_and_cents(low, sign, bool(thing))}{thing or ''}{per}"


def _units_and_cents(amount: str, sign: str, before_thing: bool) -> str:
    """Two decimals are cents; any other number of them is read out, so "$0.0005" keeps its meaning."""
    one, many, cent, cents = _NAMES[sign]
    whole, _, fraction = amount.replace(",", "").partition(".")
    if len(fraction) != 2:
        return f"{number(amount)} {one if amount == '1' or before_thing else many}"
    units = f"{number(whole)} {one if whole == '1' or before_thing else many}" if whole.strip("0") else ""
    small = f"{cardinal(int(fraction))} {cent if fraction == '01' else cents}" if int(fraction) else ""
    return " and ".join(part for part in (units, small) if part) or f"zero {many}"
