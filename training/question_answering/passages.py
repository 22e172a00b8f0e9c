"""Small invented passages with a question each, put together from the facts of a text file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from training.grammar import Choice, Grammar, parse, references, tidy
from training.question_answering.inventions import Chinese, English, inventors

HERE = Path(__file__).parent
OPEN, CLOSE = "\ue000", "\ue001"  # private characters: OPEN key value CLOSE mark a slot in a text
MARKED = re.compile(f"{OPEN}(.)([^{OPEN}{CLOSE}]*){CLOSE}")
NAMED = {"person", "place", "org", "name"}
DESCRIBED = {"thing", "anynoun", "building", "animal", "machine", "tool"}
KEPT = {"I", "I'm", "Hello,", "Hi!"}  # first words that keep their capital


@dataclass(frozen=True)
class Example:
    """A question, its passage, and where the answer stands in it (characters, end exclusive)."""

    question: str
    context: str
    start: int
    end: int
    language: str

    @property
    def answer(self) -> str:
        """The answer's text."""
        return self.context[self.start : self.end]


@dataclass
class Fact:
    """A kind of fact: its slots, the ways of stating it, and the questions for each slot."""

    slots: dict[str, str]
    statements: list[Choice] = field(default_factory=list)
    questions: dict[str, list[Choice]] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The symbol of the first slot, about which a passage can say several things."""
        return next(iter(self.slots.values()))


@dataclass(frozen=True)
class Statement:
    """A fact as it is said in one passage: a text with marked slots."""

    fact: Fact
    values: dict[str, str]
    text: str


def read_facts(path: Path) -> list[Fact]:
    """Read a text file of facts; its form is described at the top of facts.en.txt."""
    facts: list[Fact] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "==":
            facts.append(Fact(dict(slot.split("=") for slot in rest.split())))
        elif mark == "+":
            facts[-1].statements.append(parse(rest))
        elif mark == "?":
            slot, _, questions = rest.partition(": ")
            facts[-1].questions.setdefault(slot, []).append(parse(questions))
    return facts


def mark(slot: str, value: str) -> str:
    """Wrap every field of a value, so that a text tells where the slot stands."""
    return "/".join(f"{OPEN}{slot}{part}{CLOSE}" for part in value.split("/"))


def plain(text: str) -> str:
    """Remove the marks."""
    return MARKED.sub(r"\2", text)


def slots_in(text: str) -> set[str]:
    """Return the slots that a marked text mentions."""
    return {match[1] for match in MARKED.finditer(text)}


def lower_first(text: str) -> str:
    """Begin in lower case, where the first word is no name."""
    return text if text[0] == OPEN or text.split()[0] in KEPT else text[0].lower() + text[1:]


class Passages:
    """Makes examples in one language."""

    def __init__(self, language: str) -> None:
        maker = English() if language == "en" else Chinese()
        self.ornament = 1.0  # how often sentences are made longer or joined: 0 never, 1 as usual
        self.language, self.space = language, " " if language == "en" else ""
        self.grammar = Grammar(inventors(maker)).read(HERE / f"words.{language}.txt")
        maker.words = self.grammar
        self.adjectives = {option[0] for option in self.grammar.rules["adjective"].options}
        self.facts = read_facts(HERE / f"facts.{language}.txt")
        self._check()

    def _check(self) -> None:
        known = self.grammar.rules.keys() | self.grammar.inventors.keys()
        for fact in self.facts:
            texts = [*fact.statements, *(q for group in fact.questions.values() for q in group)]
            used = {ref.symbol for text in texts for ref in references(text)}
            if used - fact.slots.keys() or set(fact.slots.values()) - known:
                raise ValueError(f"{fact.slots}: unknown {used - fact.slots.keys()}")

    def example(self, random: Random, size: int) -> Example:
        """Return a passage of about `size` facts and a question about one of them."""
        while True:
            statements = self._statements(random, random.randint(max(1, size // 2), size))
            chosen = random.randrange(len(statements))
            asked = self._ask(random, statements, chosen)
            if asked is not None:
                return self._write(random, statements, chosen, *asked)

    def _statements(self, random: Random, count: int) -> list[Statement]:
        """State facts: of one kind, about one subject, or any."""
        taken: set[str] = set()
        style, first = random.random(), random.choice(self.facts)
        subject = ""
        if style < 0.35 and first.subject in NAMED:
            subject = self._fresh(random, first.subject, taken)
        statements: list[Statement] = []
        for index in range(count):
            fact = first if index == 0 or 0.35 <= style < 0.65 else random.choice(self.facts)
            if subject and random.random() < 0.8:
                fact = random.choice([f for f in self.facts if f.subject == first.subject])
            values = {
                slot: self._fresh(random, symbol, taken) for slot, symbol in fact.slots.items()
            }
            if subject and fact.subject == first.subject:
                values[next(iter(fact.slots))] = subject
            statements.append(Statement(fact, values, self._state(random, fact, values)))
        return statements

    def _fresh(self, random: Random, symbol: str, taken: set[str]) -> str:
        """Return a value that the passage does not hold yet, so that questions have one answer."""
        for _ in range(50):
            value = self.grammar.value(symbol, random, {})
            if symbol in DESCRIBED and random.random() < 0.2 * self.ornament:
                value = self.grammar.expand("adjective", random) + self.space + value
            if value.split("/")[0] not in taken:
                break
        taken.add(value.split("/")[0])
        return value

    def _state(self, random: Random, fact: Fact, values: dict[str, str]) -> str:
        bound = {slot: mark(slot, value) for slot, value in values.items()}
        return self.grammar.fill(random.choice(fact.statements), random, bound)

    def _ask(
        self, random: Random, statements: list[Statement], chosen: int
    ) -> tuple[str, str] | None:
        """Return a slot and a question for it that the chosen statement answers, or None."""
        statement = statements[chosen]
        present = slots_in(statement.text)
        slots = [slot for slot in statement.fact.questions if slot in present]
        if not slots:
            return None
        slot = random.choice(slots)
        slots_of = statement.fact.slots
        bound = {
            key: mark(key, self._shorter(random, value, slots_of[key]))
            for key, value in statement.values.items()
        }
        question = self.grammar.fill(random.choice(statement.fact.questions[slot]), random, bound)
        mentioned = slots_in(question)
        alike = sum(other.fact is statement.fact for other in statements)
        if mentioned - present or slot in mentioned or (not mentioned and alike > 1):
            return None
        return slot, plain(question)

    def _shorter(self, random: Random, value: str, symbol: str) -> str:
        """A question may call a person by one part of the name, and a thing without adjective."""
        name, *rest = value.split("/")
        adjective, _, noun = name.partition(" ")
        if symbol in DESCRIBED and adjective in self.adjectives and random.random() < 0.6:
            return noun
        parts = re.split("[ ·]", name)
        if rest and len(parts) == 2 and random.random() < 0.3:
            name = parts[1] if "." in name or random.random() < 0.6 else parts[0]
        return "/".join([name, *rest])

    def _write(
        self, random: Random, statements: list[Statement], chosen: int, slot: str, question: str
    ) -> Example:
        """Join statements and fillers to a passage, and find the answer in it."""
        context, start, end, said = "", -1, -1, set()
        for index, statement in enumerate(statements):
            text = statement.text
            subject = next(iter(statement.fact.slots))
            if index != chosen or slot != subject:
                text = self._pronoun(random, text, subject, statement.values[subject], said)
            said = {statement.values[subject]}
            if random.random() < 0.25:
                context += self._gap(context) + self.grammar.expand("filler", random)
                said = set()
            text = self._polish(random, text)
            context, text = self._join(random, context, text)
            if index == chosen:
                start = end = len(context)
                for match in MARKED.finditer(text):
                    if match[1] == slot:
                        start += len(plain(text[: match.start()]))
                        end = start + len(match[2])
                        break
            context += plain(text)
        return Example(self._manner(random, question), context, start, end, self.language)

    def _gap(self, context: str) -> str:
        return self.space if context else ""

    def _pronoun(self, random: Random, text: str, slot: str, value: str, said: set[str]) -> str:
        """Where the sentence before had the same subject, name it by a pronoun, mostly."""
        name, *forms = value.split("/")
        if value not in said or random.random() < 0.3 or text.count(OPEN + slot) != 1:
            return text
        he, _, his = forms or (
            ["it", "it", "its"] if self.language == "en" else ["它", "它", "它的"]
        )
        whole = re.escape(f"{OPEN}{slot}{name}{CLOSE}")
        if self.language == "zh":
            dropped = "" if random.random() < 0.3 and text.startswith(OPEN + slot) else he
            return re.sub(whole, dropped, text)
        text = re.sub(whole + "'s", his, text)
        return re.sub(f"(^|, ){whole}(?= [a-z])", lambda match: match[1] + he, text)

    def _polish(self, random: Random, text: str) -> str:
        """Add words before and after that change nothing; begin with a capital."""
        if random.random() < 0.1 * self.ornament and text.endswith((".", "。")):
            text = self.grammar.expand("before", random) + self.space + lower_first(text)
        if self.language == "zh":
            adverb = self.grammar.expand("adverb", random) + "，"
            return adverb + text if random.random() < 0.08 else text
        if random.random() < 0.08 * self.ornament and text.endswith("."):
            text = f"{text[:-1]} {self.grammar.expand('after', random)}."
        text = re.sub(rf"\b([Aa]) (?={OPEN}\w[aeiou])", r"\1n ", text)
        return re.sub(rf"^({OPEN}\w)?([a-z])", lambda m: (m[1] or "") + m[2].upper(), text)

    def _join(self, random: Random, context: str, text: str) -> tuple[str, str]:
        """Put a sentence after the passage, now and then as a part of its last sentence."""
        if random.random() > 0.15 * self.ornament or not context.endswith((".", "。")):
            return context + self._gap(context), text
        if self.language == "zh":
            return context[:-1] + "，", text
        return context[:-1] + self.grammar.expand("joint", random) + " ", lower_first(text)

    def _manner(self, random: Random, question: str) -> str:
        """People do not always write questions neatly."""
        pick = random.random()
        if self.language == "en":
            question = tidy(question)
            if pick < 0.05:
                return question.rstrip("?")
            return question.lower() if pick < 0.1 else question
        if pick < 0.08:
            return question.rstrip("？")
        return question.replace("？", "?") if pick < 0.15 else ("请问" * (pick < 0.18)) + question
