"""The Moses scripts' way with English text: normalise punctuation, split words, join them again.

Models were trained on text that these scripts had split, with the letters of the Unicode of their
time: Chinese letters, for instance, stand alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

# Letters and digits, as runs: how far behind the last run one begins, and how much longer than one
# letter it is; numbers of base 62.
_RUNS = """
    M.9 8.p 7.p M b 5 6.m 2.u 2.7n 5.b f.4 8 2 1p H.4 2.1 3.3 2 7 2.2 2 2.j 2.1k 2.2e 9.2F 2.B 3
    8.C F.d 2 2.1 2.1 2 9.q 6.2 u.a 6.T 2.g 5.1D 2.7 5.7 5.f 3 h.L e.1C f.G a.1 5 6.n 3.i k.o 1a.i
    O.5 7.1d 2.f 2.2 5.e 3.9 2.i 2.7 3.1 3.l 2.6 2 4.3 4.7 3.1 3.1 2 9 5.1 2.4 3.b g.2 2.5 5.1 3.l
    2.6 2.1 2.1 2.1 5.4 5.1 3.1 5 8.3 2 8.f c.2 2.8 2.2 2.l 2.6 2.1 2.4 4.8 2.2 2.1 4 g.3 3.9 i.2
    2.7 3.1 3.l 2.6 2.1 2.4 4.7 3.1 3.1 a.1 5.1 2.4 3.9 2 h.1 2.5 4.2 2.3 4.1 2 2.1 4.1 4.2 4.b
    5.4 4.2 2.2 4 7 f.9 h.3 2.7 2.2 2.m 2.f 4.7 2.2 2.2 9.1 2.1 7.3 3.9 i.2 2.7 2.2 2.m 2.9 2.4
    4.7 2.2 2.2 9.1 8 2.3 3.9 2.1 f.2 2.7 2.2 2.E 3.7 2.2 2.2 2 9 9.3 3.9 b.5 3.1 2.h 4.n 2.8 2
    3.6 9.5 2 2.7 7.9 3.1 e.V 6.6 7 3.9 E.1 2 3.1 2 3 7.3 2.6 2.2 2 2 3.1 2.c 2.2 3.4 2 7 3.9 3.3
    x w.9 n.7 2.z 5.g 7.f 2.z 16.S 2 3.e 7.i 3.3 6.o 8 2.9 3.1 3.B 2 6 3.G 2.5m 2.3 3.6 2 2.3 3.E
    2.3 3.w 2.3 3.6 2 2.3 3.e 2.U 2.3 3.14 5 x.f h.1m d.9Z 3.g 2.p 6.1c 4.a 8.c 2.5 d.j d.j d.c
    2.2 2.1 d.P 3.i f 5 4.9 D.9 7.1p 9.G 6.17 b.u 2.b 5.8 e.D 3.4 c.H 5.p 7.9 D.r 5.10 3.j c.9 7.9
    e 1r.P 2.e 2.6 5.9 D.F 3.V 2.a f.R b.9 4.M 1K.3 2.5 2.1 a.35 E.d c.4t 3.5 3.B 3.5 3.7 2 2 2
    2.u 3.Q 2.6 2 4.2 2.6 4.3 3.5 5.c 6.2 2.6 1T e h.c 1E 5 3.9 2 4.4 7 2 2 2.3 2.a 3.3 6.4 5 i.E
    d8.P 3F pC.K 2.K 2.28 7.3 4.1 d.B 2 6 3.T 8 h.m a.6 2.6 2.6 2.6 2.6 2.6 2.6 2.6 2.v M 7B H.4 7
    5.1n 7.2 2.1r 2.3 6.E 4.1v i.q S.f 7kd.iM 16.J 3.4k 4.r l.K 6.7 4.u 2.1i E.8 3.1E 3.3 2.t 3.1
    18.a 2.2 2.3 2.r p.P d.15 d.9 p 3.2 4 5.G 6.y e.s 4.O 2.b g.a 7.4 2.o 2.S a.d 3.9 7.m 4 4.12 2
    2 p.2 3.f 3.3 c.5 3.5 3.5 a.6 2.6 2.G 2.3 5.1 1t.G 6.9 2Uv.m 5.M 2kB.6 d.4 6.b 2.c 2.4 2 2.1
    2.1 2.1J y.5Q j.11 3.R F.b 1T.4 2.2a k.9 8.p 7.p c.1q 4.5 3.5 3.5 3.2
"""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

# Words whose full stop does not end a sentence, besides single capital letters; those of the
# second kind only before a number.
_SHORT = """
    Adj Adm Adv Asst Bart Bldg Brig Bros Capt Cmdr Col Comdr Con Corp Cpl DR Dr Drs Ens Gen Gov Hon
    Hr Hosp Insp Lt MM MR MRS MS Maj Messrs Mlle Mme Mr Mrs Ms Msgr Op Ord Pfc Ph Prof Pvt Rep Reps
    Res Rev Rt Sen Sens Sfc Sgt Sr St Supt Surg v vs i.e rev e.g Rs Nos Nr Jan Feb Mar Apr Jun Jul
    Aug Sep Oct Nov Dec
"""
_BEFORE_NUMBERS = {"No", "Art", "pp"}


def _number(text: str) -> int:
    value = 0
    for digit in text:
        value = 62 * value + _DIGITS.index(digit)
    return value


def _letters() -> Iterator[tuple[int, int]]:
    end = 0
    for run in _RUNS.split():
        gap, _, more = run.partition(".")
        start = end + _number(gap)
        end = start + _number(more)
        yield start, end


def _class(codes: Sequence[int]) -> str:
    """Return letters as the inside of a class of a regular expression."""
    parts: list[list[int]] = []
    for code in sorted(codes):
        if parts and parts[-1][1] + 1 == code:
            parts[-1][1] = code
        else:
            parts.append([code, code])
    return "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in parts)


# Signs of Indian scripts that join letters, which the scripts count as letters.
_JOINING = [
    0x93C,
    0x94D,
    0x9BC,
    0x9CD,
    0xA3C,
    0xA4D,
    0xABC,
    0xACD,
    0xAFD,
    0xAFE,
    0xAFF,
    0xB3C,
    0xB4D,
    0xBCD,
    0xC4D,
    0xCBC,
    0xCCD,
    0xD3B,
    0xD3C,
    0xD4D,
    0xDCA,
    0xEBA,
    0x1039,
    0x1714,
    0x1BAB,
    0x1C37,
    0xA8C4,
    0xA8F3,
    0xA8F4,
    0xA953,
    0xAAF6,
    0x10A3F,
    0x11046,
    0x110B9,
    0x110BA,
    0x11133,
    0x11173,
    0x111C0,
    0x111CA,
    0x11235,
    0x11236,
    0x112E9,
    0x112EA,
    0x1133C,
    0x1134D,
    0x11442,
    0x11446,
    0x114C2,
    0x114C3,
    0x115BF,
    0x115C0,
    0x1163F,
    0x116B6,
    0x116B7,
    0x11839,
    0x1183A,
    0x119E0,
    0x11A34,
    0x11C3F,
    0x11D42,
    0x11D45,
    0x11D97,
    0x1E94A,
]
_WRITTEN = {code for a, b in _letters() for code in range(a, b + 1)}
_ALNUM = _WRITTEN | set(_JOINING)
_IS_DIGIT = {code for code in _ALNUM if unicodedata.category(chr(code)) == "Nd"}
_ALPHA = _ALNUM - _IS_DIGIT
_LATER = {*range(0xD58, 0xD5F), *range(0xD76, 0xD79), *range(0x3000, 0x3040)}
_COUNTS = {c for c in range(0x3400) if unicodedata.category(chr(c)) in ("No", "Nl")}
_NUMBERS = _IS_DIGIT | (_COUNTS - _LATER) | {*range(0xA6E6, 0xA6F0), *range(0xA830, 0xA836)}

_FULL_WIDTH = str.maketrans(
    dict(
        zip(
            "，、”“∶：？《》）！（；」「０１２３４５６７８９～’━〈〉【】％",
            ',,""::?"")!(;""0123456789~\'-<>[]%',
            strict=True,
        )
    )
    | {"…": "..."}
)
_SPACE = "\u00a0"
_PUNCTUATION = [
    (re.compile(pattern), by)
    for pattern, by in (
        (r"\r", ""),
        (r"\(", " ("),
        (r"\)", ") "),
        (r" +", " "),
        (r"\) ([.!:?;,])", r")\1"),
        (r"\( ", "("),
        (r" \)", ")"),
        (r"(\d) %", r"\1%"),
        (r" ([:;])", r"\1"),
        (r"`", "'"),
        (r"''", ' " '),
        (r"[„“”]", '"'),
        (r"–", "-"),
        (r"—", " - "),
        (r" +", " "),
        (r"´", "'"),
        (r"[‘‚’]", "'"),
        (r"''", '"'),
        (r"…", "..."),
        (f"{_SPACE}«{_SPACE}|«{_SPACE}|«", '"'),
        (f"{_SPACE}»{_SPACE}|{_SPACE}»|»", '"'),
        (f"{_SPACE}%", "%"),
        (f"nº{_SPACE}", "nº "),
        (f"{_SPACE}:", ":"),
        (f"{_SPACE}(ºC|cm)", r" \1"),
        (f"{_SPACE}([?!;])", r"\1"),
        (f",{_SPACE}", ", "),
        (r" +", " "),
        (r'"([,.]+)', r'\1"'),
        (f"(\\d){_SPACE}(\\d)", r"\1.\2"),
    )
]


def normalize(text: str) -> str:
    """Write punctuation of full width, quotation marks and spaces in the one way of the scripts."""
    return normalize_marks(re.sub(r"[。．]\s*", ". ", text.translate(_FULL_WIDTH)))


def normalize_marks(text: str) -> str:
    """Write quotation marks and spaces in the one way of the scripts."""
    for pattern, by in _PUNCTUATION:
        text = pattern.sub(by, text)
    return text.strip()


def clean(text: str) -> str:
    """Remove letters that cannot be seen."""
    return "".join(letter for letter in text if unicodedata.category(letter)[0] != "C")


_IN_ALNUM, _IN_ALPHA, _IN_NUMBERS = _class([*_ALNUM]), _class([*_ALPHA]), _class([*_NUMBERS])
_MARKS = re.compile(rf"([^{_IN_ALNUM}\s.'`,\-])")
_DASHES = re.compile(rf"([{_IN_ALNUM}])-(?=[{_IN_ALNUM}])")
_DOTS = re.compile(r"\.{2,}")
_HIDDEN_DOTS = re.compile("(?:DOT)+MULTI")
_APART = [
    (re.compile(pattern), by)
    for pattern, by in (
        (rf"([^{_IN_NUMBERS}]),", r"\1 , "),
        (rf",([^{_IN_NUMBERS}])", r" , \1"),
        (rf"([{_IN_NUMBERS}]),$", r"\1 , "),
        (rf"([^{_IN_ALPHA}])'([^{_IN_ALPHA}])", r"\1 ' \2"),
        (rf"([^{_IN_ALPHA}{_IN_NUMBERS}])'([{_IN_ALPHA}])", r"\1 ' \2"),
        (rf"([{_IN_ALPHA}])'([^{_IN_ALPHA}])", r"\1 ' \2"),
        (rf"([{_IN_ALPHA}])'([{_IN_ALPHA}])", r"\1 '\2"),
        (rf"([{_IN_NUMBERS}])'(s)", r"\1 '\2"),
    )
]
_ESCAPES = {"&": "&amp;", "|": "&#124;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"}
_ESCAPES |= {"[": "&#91;", "]": "&#93;"}


def words(
    text: str,
    *,
    dashes: bool = False,
    escape: bool = False,
    whole: re.Pattern[str] | None = None,
) -> list[str]:
    """Return the words and punctuation marks of a text.

    Args:
        text: The text, normalised.
        dashes: Whether to split words at dashes (`well @-@ known`).
        escape: Whether to write `&apos;` and the like for what the scripts' own format needs.
        whole: What is never split.
    """
    text = re.sub(r"[\0-\37]", "", re.sub(r"\s+", " ", text))
    if whole:
        return _words_around(whole, text, dashes=dashes, escape=escape)
    text = text.strip()
    text = _MARKS.sub(r" \1 ", text)
    if dashes:
        text = _DASHES.sub(r"\1 @-@ ", text)
    end = len(text)
    text = _DOTS.sub(lambda run: _hidden(run, end), text)
    for pattern, by in _APART:
        text = pattern.sub(by, text)
    text = re.sub(r"\s+", " ", " ".join(_split_stops(text.split()))).strip()
    text = re.sub(r"\.' ?$", " . ' ", text)
    text = _HIDDEN_DOTS.sub(lambda run: "." * ((len(run[0]) - 5) // 3), text)
    return (text.translate(str.maketrans(_ESCAPES)) if escape else text).split()


def _words_around(whole: re.Pattern[str], text: str, *, dashes: bool, escape: bool) -> list[str]:
    """Write what is never split as a word with a number, and put it back into the words."""
    kept: list[str] = []
    sign = max([*re.findall("KEPTX*", text), "KEPT"], key=len) + "X"

    def hide(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"{sign}{len(kept) - 1:07d}"

    hidden = words(whole.sub(hide, text), dashes=dashes, escape=escape)
    shown = (re.sub(f"{sign}([0-9]{{7}})", lambda m: kept[int(m[1])], word) for word in hidden)
    return " ".join(shown).split()


def _hidden(run: re.Match[str], end: int) -> str:
    """Write several dots as letters, so that no rule for one dot sees them."""
    return f" {'DOT' * len(run[0])}MULTI" + (" " if run.end() < end else "")


def _split_stops(parts: list[str]) -> Iterator[str]:
    """Set full stops apart, but not those of abbreviations."""
    for part, after in zip(parts, [*parts[1:], ""], strict=False):
        short = part[:-1]
        if not short or part[-1] != ".":
            yield part
            continue
        known = short in _SHORT.split() or (len(short) == 1 and "A" <= short <= "Z")
        inner = "." in short and any(ord(letter) in _ALPHA for letter in short)
        number = short in _BEFORE_NUMBERS and "0" <= after[:1] <= "9"
        whole = inner or known or _is_lower(after[:1]) or number
        yield part if whole else f"{short} ."


# What Unicode has called lower case since then.
_LATER_LOWER = (
    *((0x560, 0x560), (0x588, 0x588), (0x10D0, 0x10FF), (0x2C5F, 0x2C5F), (0xA7AF, 0xA7AF)),
    *((0xA7B9, 0xA7F6), (0xAB66, 0xAB68), (0x10570, 0x105BC), (0x10780, 0x107BA)),
    *((0x16E60, 0x16E7F), (0x1DF00, 0x1DF2A), (0x1E030, 0x1E06D)),
)


def _is_lower(letter: str) -> bool:
    if not letter.islower():
        return letter == "\u25cc"
    return letter < "\u0560" or not any(a <= ord(letter) <= b for a, b in _LATER_LOWER)


_CJK = (
    *((0x1100, 0x11FF), (0x2E80, 0xA4CF), (0xA840, 0xA87F), (0xAC00, 0xD7AF), (0xF900, 0xFAFF)),
    *((0xFE30, 0xFE4F), (0xFF65, 0xFFDC), (0x17000, 0x18AFF), (0x1B000, 0x1B12F)),
    *((0x1B170, 0x1B2FF), (0x20000, 0x2FFFF)),
)
_MONEY = "$¢£¤¥֏؋৲৳৻૱௹฿៛" + "".join(map(chr, range(0x20A0, 0x20BE))) + "꠸﷼﹩＄￠￡￥￦"
_OPENS = re.compile(rf"^[{_MONEY}(\[{{¿¡]+$")
_CLOSES = re.compile(r"^[,.?!:;\\%}\])]+$")
_SHORTENED = re.compile(rf"^'[{_class([*(_WRITTEN - _IS_DIGIT)])}]")
_QUOTES = re.compile(r"^['\"„“`]+$")


def join(parts: Sequence[str]) -> str:
    """Return the text of words and punctuation marks."""
    text = f" {' '.join(parts)} ".replace(" @-@ ", "-")
    for sign, escaped in reversed(_ESCAPES.items()):
        text = text.replace(escaped, sign)
    found, space = "", " "
    seen: dict[str, int] = {}
    before = ""
    for word in text.split():
        gap, after = space, " "
        if _is_cjk(word[0]):
            gap = "" if before and _is_cjk(before[-1]) else space
        elif _OPENS.search(word):
            after = ""
        elif _CLOSES.search(word) or (before and _SHORTENED.search(word)):
            gap = ""
        elif _QUOTES.search(word):
            mark = '"' if set(word) <= set("„“”") else word
            opens = seen.get(mark, 0) % 2 == 0
            owns = opens and word == "'" and before.endswith("s")
            seen[mark] = seen.get(mark, 0) + (not owns)
            gap, after = (space, "") if opens and not owns else ("", " ")
        found, space, before = found + gap + word, after, word
    return re.sub(" {2,}", " ", found).strip()


def _is_cjk(letter: str) -> bool:
    return any(first <= ord(letter) <= last for first, last in _CJK)
