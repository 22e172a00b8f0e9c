"""English transcripts made comparable: contractions, spellings and numbers written in one way.

After the appendix of Radford et al. 2022: `$20 million` and `twenty million dollars` are both
`$20000000`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from armature.inputs.text.compared import without_accents, without_brackets

_FILLERS = re.compile(r"\b(hmm|mm|mhm|mmm|uh|um)\b")
_WHOLE = {  # words → what stands for them
    "won't": "will not", "can't": "can not", "let's": "let us", "ain't": "aint",
    "y'all": "you all", "wanna": "want to", "gotta": "got to", "gonna": "going to",
    "i'ma": "i am going to", "imma": "i am going to", "woulda": "would have",
    "coulda": "could have", "shoulda": "should have", "ma'am": "madam",
    "mr": "mister ", "mrs": "missus ", "st": "saint ", "dr": "doctor ", "prof": "professor ",
    "capt": "captain ", "gov": "governor ", "ald": "alderman ", "gen": "general ",
    "sen": "senator ", "rep": "representative ", "pres": "president ", "rev": "reverend ",
    "hon": "honorable ", "asst": "assistant ", "assoc": "associate ", "lt": "lieutenant ",
    "col": "colonel ", "jr": "junior ", "sr": "senior ", "esq": "esquire ",
}  # fmt: skip
_ENDS = {  # ends of words → what stands for them
    "'d been": " had been", "'s been": " has been", "'d gone": " had gone", "'s gone": " has gone",
    "'d done": " had done", "'s got": " has got", "n't": " not", "'re": " are", "'s": " is",
    "'d": " would", "'ll": " will", "'t": " not", "'ve": " have", "'m": " am",
}  # fmt: skip
_RULES = [(re.compile(rf"\b{word}\b"), said) for word, said in _WHOLE.items()]
_RULES += [(re.compile(rf"{end}\b"), said) for end, said in _ENDS.items()]


def normalize(text: str, spellings: Mapping[str, str]) -> str:
    """Return an English text in one spelling.

    Args:
        text: The text.
        spellings: British words → American ones.
    """
    text = _FILLERS.sub("", without_brackets(text.lower()))
    text = re.sub(r"(?<!\s)\s+'", "'", text)
    for rule, said in _RULES:
        text = rule.sub(said, text)
    text = re.sub(r"(\d),(\d)", r"\1\2", text)
    text = re.sub(r"\.([^0-9]|$)", r" \1", text)
    text = with_numbers(without_accents(text, keep=".%$¢€£"))
    text = " ".join(spellings.get(word, word) for word in text.split())
    text = re.sub(r"[.$¢€£]([^0-9])", r" \1", text)
    text = re.sub(r"([^0-9])%", r"\1 ", text)
    return re.sub(r"\s+", " ", text)


# -------------------------------------------------------------------- numbers

_ZEROS = {"o", "oh", "zero"}
_ONE_TO_NINETEEN = """
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen
"""
_TWENTY_TO_NINETY = "twenty thirty forty fifty sixty seventy eighty ninety"
_THOUSAND_AND_MORE = """
    thousand million billion trillion quadrillion quintillion sextillion septillion octillion
    nonillion decillion
"""
_ONES = {name: value for value, name in enumerate(_ONE_TO_NINETEEN.split(), 1)}
_TENS = {name: 10 * tens for tens, name in enumerate(_TWENTY_TO_NINETY.split(), 2)}
_POWERS = {"hundred": 100}
_POWERS |= {name: 1000**power for power, name in enumerate(_THOUSAND_AND_MORE.split(), 1)}
_ORDINALS = {"zeroth": (0, "th"), "first": (1, "st"), "second": (2, "nd"), "third": (3, "rd")}
_ORDINALS |= {"fifth": (5, "th"), "twelfth": (12, "th")}
_SMALL = {name: (value, "") for name, value in _ONES.items()}
_SMALL |= {("sixes" if n == "six" else f"{n}s"): (value, "s") for n, value in _ONES.items()}
_SMALL |= _ORDINALS
_SMALL |= {
    name + ("h" if name.endswith("t") else "th"): (value, "th")
    for name, value in _ONES.items()
    if value > 3 and value not in (5, 12)
}
_ROUND = {name: (value, "") for name, value in _TENS.items()}
_ROUND |= {name.replace("y", "ies"): (value, "s") for name, value in _TENS.items()}
_ROUND |= {name.replace("y", "ieth"): (value, "th") for name, value in _TENS.items()}
_LARGE = {name: (value, "") for name, value in _POWERS.items()}
_LARGE |= {f"{name}s": (value, "s") for name, value in _POWERS.items()}
_LARGE |= {f"{name}th": (value, "th") for name, value in _POWERS.items()}
_SIGNS = {"minus": "-", "negative": "-", "plus": "+", "positive": "+"}
_UNITS = {"pound": "£", "pounds": "£", "euro": "€", "euros": "€", "dollar": "$", "dollars": "$"}
_UNITS |= {"cent": "¢", "cents": "¢"}
_SPECIAL = {"and", "double", "triple", "point"}
_WORDS = {*_ZEROS, *_SMALL, *_ROUND, *_LARGE, *_SIGNS, *_UNITS, "per", "percent", *_SPECIAL}
_DIGITS = re.compile(r"\d+(\.\d+)?")
_HALF = re.compile(r"\band\s+a\s+half\b")


def with_numbers(text: str) -> str:
    """Return a text whose numbers are written in digits."""
    text = _with_halves(text)
    text = re.sub(r"([a-z])([0-9])", r"\1 \2", text)
    text = re.sub(r"([0-9])([a-z])", r"\1 \2", text)
    text = re.sub(r"([0-9])\s+(st|nd|rd|th|s)\b", r"\1\2", text)
    text = " ".join(_Counting(text.split()).read())
    cents = r"([€£$])([0-9]+) (?:and )?¢([0-9]{1,2})\b"
    text = re.sub(cents, lambda m: f"{m[1]}{m[2]}.{int(m[3]):02d}", text)
    text = re.sub(r"[€£$]0.([0-9]{1,2})\b", lambda m: f"¢{int(m[1])}", text)
    return re.sub(r"\b1(s?)\b", r"one\1", text)


def _with_halves(text: str) -> str:
    """Write `two and a half` as `two point five`."""
    parts = _HALF.split(text)
    found = []
    for place, part in enumerate(parts):
        if not part.strip():
            continue
        found.append(part)
        if place < len(parts) - 1:
            counts = part.split()[-1] in {*_ZEROS, *_ONES, *_TENS, *_POWERS}
            found.append("point five" if counts else "and a half")
    return " ".join(found)


class _Counting:
    """Words one after another; what is counted so far waits for what follows."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.found: list[str] = []
        self.value: int | str | None = None
        """A number, or digits that stand for themselves."""
        self.sign = ""
        self.skip = False

    def read(self) -> list[str]:
        """Return the words, numbers in digits."""
        for place, word in enumerate(self.words):
            if self.skip:
                self.skip = False
                continue
            before = self.words[place - 1] if place else ""
            after = self.words[place + 1] if place + 1 < len(self.words) else ""
            self._take(word, before, after)
        self._end()
        return self.found

    def _put(self, text: int | str) -> None:
        self.found.append(f"{self.sign}{text}")
        self.value, self.sign = None, ""

    def _end(self) -> None:
        if self.value is not None:
            self._put(self.value)

    def _take(self, word: str, before: str, after: str) -> None:
        marked = word[0] in "-+£€$¢"
        if _DIGITS.fullmatch(word[1:] if marked else word):
            self._digits(word, marked=marked)
        elif word not in _WORDS:
            self._end()
            self._put(word)
        elif word in _ZEROS:
            self.value = f"{self.value or ''}0"
        elif word in _SMALL or word in _ROUND:
            number, suffix = _SMALL.get(word) or _ROUND[word]
            self.value = self._joined(number, before)
            if suffix:
                self._put(f"{self.value}{suffix}")
        elif word in _LARGE:
            self._power(*_LARGE[word])
        elif word in _SPECIAL:
            self._special(word, before, after)
        else:
            self._sign(word, after)

    def _digits(self, word: str, *, marked: bool) -> None:
        if isinstance(self.value, str) and self.value.endswith("."):
            self.value += word
            return
        self._end()
        self.sign = word[0] if marked else self.sign
        plain = word[1:] if marked else word
        number = Fraction(plain)
        self.value = number.numerator if number.denominator == 1 else plain

    def _joined(self, number: int, before: str) -> int | str:
        """Return what is counted with a number below a hundred behind it."""
        value = self.value
        if value is None:
            return number
        small = number < 20
        if isinstance(value, str) or (small and before in _ONES):
            if before in _TENS and number < 10:
                return f"{str(value)[:-1]}{number}"
            return f"{value}{number}"
        free = 10 if number < 10 else 100
        return value + number if value % free == 0 else f"{value}{number}"

    def _power(self, power: int, suffix: str) -> None:
        """Multiply what is counted, the part below a thousand."""
        value = self.value
        if value is None:
            self.value = power
        elif isinstance(value, str):
            product = _times(value, power)
            if product is None:
                self._put(value)
            self.value = power if product is None else product
        elif value == 0 and not suffix:
            self.value = 0
        else:
            self.value = value // 1000 * 1000 + value % 1000 * power
        if suffix:
            self._put(f"{self.value}{suffix}")

    def _sign(self, word: str, after: str) -> None:
        """Take a sign, a currency, or percent."""
        if word in _SIGNS:
            self._end()
            if after in _WORDS or _DIGITS.fullmatch(after):
                self.sign = _SIGNS[word]
            else:
                self._put(word)
        elif self.value is None:
            self._put(word)
        elif word in _UNITS:
            self.sign = _UNITS[word]
            self._end()
        elif word == "percent" or after == "cent":
            self._put(f"{self.value}%")
            self.skip = word == "per"
        else:
            self._end()
            self._put(word)

    def _special(self, word: str, before: str, after: str) -> None:
        counts = after in _WORDS or _DIGITS.fullmatch(after)
        if counts and word == "and" and before in _POWERS:
            return
        if counts and word in ("double", "triple") and (after in _ONES or after in _ZEROS):
            times = 2 if word == "double" else 3
            self.value = f"{self.value or ''}{str(_ONES.get(after, 0)) * times}"
            self.skip = True
        elif counts and word == "point":
            if after in {*_ONES, *_TENS, *_ZEROS} or _DIGITS.fullmatch(after):
                self.value = f"{self.value or ''}."
        else:
            self._end()
            self._put(word)


def _times(value: str, power: int) -> int | None:
    """Return a product that is whole, or None."""
    try:
        product = Fraction(value) * power
    except ValueError:
        return None
    return product.numerator if product.denominator == 1 else None
