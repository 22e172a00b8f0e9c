"""The ids of every kind of tokenizer beside the reference library's, on 100,000 lines of real text.

    python -m bench.tokenizers_parity [CLASS …] [--vocabularies FOLDER] [--reference PYTHON] [-v]

Lines: the translations that the machine's programs carry (150 languages), code, documentation,
licences, emoji, and some thousand mixtures of letters from everywhere. All lines are compared by
their ids; every twentieth also by offsets, masks, types and decoded text. Each library works in a
process of its own; a slow one stops after `--seconds`, and the lines it got to are what counts.

Vocabularies are looked for in `--vocabularies` (`NAME` or `tok_NAME`), then among the tests'.
Some references need packages of their own: sentencepiece, sacremoses, rjieba, fugashi…
"""

from __future__ import annotations

import argparse
import gettext
import json
import lzma
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import unicodedata
from collections import Counter
from pathlib import Path

GOLDEN = Path(__file__).parent.parent / "tests" / "golden" / "tokenizers"

# Class → the name of its vocabulary. What has only another name elsewhere is shown under both.
CLASSES = {
    "BertTokenizer": "bert_real30522 bert",
    "DistilBertTokenizer": "bert_own_cased bert",
    "ElectraTokenizer": "bert_own_uncased bert",
    "ConvBertTokenizer": "bert_own_nocjk bert",
    "MobileBertTokenizer": "bert_own_keepaccents bert",
    "SqueezeBertTokenizer": "bert",
    "LayoutLMTokenizer": "bert",
    "LxmertTokenizer": "bert",
    "FunnelTokenizer": "funnel bert",
    "MPNetTokenizer": "mpnet",
    "RoFormerTokenizer": "roformer",
    "RoFormerTokenizer/vocab.txt": "roformer_txt",
    "BertJapaneseTokenizer": "bert_japanese_basic bert_japanese",
    "BertJapaneseTokenizer/lower": "bert_japanese_basic_lower",
    "BertJapaneseTokenizer/mecab": "bert_japanese_mecab",
    "BertJapaneseTokenizer/unidic": "bert_japanese_mecab_lite",
    "BertJapaneseTokenizer/letters": "bert_japanese_char",
    "BertJapaneseTokenizer/sudachi": "bert_japanese_sudachi",
    "BertJapaneseTokenizer/words": "bert_japanese_nosub",
    "BertJapaneseTokenizer/texts": "bert_japanese_noword",
    "BertJapaneseTokenizer/spiece": "bert_japanese_spm",
    "ProphetNetTokenizer": "prophetnet",
    "RobertaTokenizer": "roberta",
    "BartTokenizer": "roberta",
    "LongformerTokenizer": "roberta",
    "LEDTokenizer": "roberta",
    "MvpTokenizer": "roberta",
    "DebertaTokenizer": "deberta roberta",
    "BlenderbotTokenizer": "blenderbot roberta",
    "GPT2Tokenizer": "gpt2",
    "CodeGenTokenizer": "gpt2",
    "GPTNeoXTokenizer": "gpt_neox",
    "Qwen2Tokenizer": "qwen2",
    "CLIPTokenizer": "clip",
    "OpenAIGPTTokenizer": "openai_gpt",
    "LlamaTokenizer": "llama",
    "CodeLlamaTokenizer": "llama",
    "GemmaTokenizer": "gemma",
    "T5Tokenizer": "t5",
    "AlbertTokenizer": "albert",
    "XLMRobertaTokenizer": "xlm_roberta",
    "CamembertTokenizer": "hf_camembert_test_sentencepiece_bpe camembert xlm_roberta",
    "DebertaV2Tokenizer": "deberta_v2",
    "XLNetTokenizer": "xlnet",
    "PegasusTokenizer": "pegasus",
    "MBartTokenizer": "mbart",
    "MBart50Tokenizer": "mbart50",
    "NllbTokenizer": "nllb",
    "M2M100Tokenizer": "m2m_100",
    "MarianTokenizer": "marian",
    "Speech2TextTokenizer": "speech_to_text",
    "SpeechT5Tokenizer": "hf_speecht5_test_sentencepiece_bpe_char speecht5",
    "BertGenerationTokenizer": "bert_generation",
    "XLMTokenizer": "xlm",
    "BioGptTokenizer": "biogpt",
    "CTRLTokenizer": "ctrl",
    "BlenderbotSmallTokenizer": "blenderbot_small",
    "TransfoXLTokenizer": "transfo_xl",
    "TransfoXLTokenizer/pickled": "transfo_xl_pkl",
    # Whatever class their configs name, a tokenizer.json or a list of bytes says it all.
    "PreTrainedTokenizerFast": "bloom",
    "PreTrainedTokenizerFast/falcon": "falcon",
    "PreTrainedTokenizerFast/llama3": "llama3",
    "PreTrainedTokenizerFast/ranks": "tik",
    "CohereTokenizer": "cohere",
}
EACH = 20  # every so many lines, everything is compared
SPECIAL = "<s> </s> <unk> <mask> <pad> <eos> <EOS> [MASK] [CLS] [SEP] [UNK] <|endoftext|> <mask_2>"
SIZE = 300  # letters of a line


def main():
    """Compare the classes that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.tokenizers_parity")
    parser.add_argument("classes", nargs="*", metavar="CLASS", default=list(CLASSES))
    parser.add_argument("--vocabularies", type=Path, help="where larger vocabularies are")
    parser.add_argument("--options", type=json.loads, default={}, help="for from_pretrained, JSON")
    parser.add_argument("--lines", type=int, default=104_000)
    parser.add_argument("--seconds", type=int, default=360, help="of each library and class")
    parser.add_argument("--reference", default=sys.executable, help="the other library's Python")
    parser.add_argument("-v", "--verbose", action="store_true", help="show some differences")
    parser.add_argument("--side", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        run(*arguments.side, options=arguments.options, seconds=arguments.seconds)
        return
    with tempfile.TemporaryDirectory() as place:
        lines = Path(place) / "lines.json"
        lines.write_text(json.dumps(collect(arguments.lines)))
        wrong = [name for name in arguments.classes if not compare(name, arguments, Path(place))]
    sys.exit(f"different: {', '.join(wrong)}" if wrong else 0)


def compare(name, arguments, place):
    """Let both libraries work on one class, print one line; return whether they agree."""
    folder = vocabulary(name, arguments.vocabularies, place)
    if folder is None:
        print(f"{name:32s} no vocabulary", flush=True)
        return True
    sides = {"armature": sys.executable, "transformers": arguments.reference}
    # The other library's Python may be an older one, which cannot import this package.
    script = str(Path(__file__).resolve())
    said = [f"--options={json.dumps(arguments.options)}", f"--seconds={arguments.seconds}"]
    running = {
        side: subprocess.Popen(
            [python, "-W", "ignore", script, *said, "--side", side, name, str(folder)],
            cwd=place,
            env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for side, python in sides.items()
    }
    for side, process in running.items():
        _, errors = process.communicate()
        if process.returncode:
            print(f"{name:32s} {side}: {errors.strip().splitlines()[-1][:200]}", flush=True)
    if any(process.returncode for process in running.values()):
        return False
    (ours, fast), (theirs, slow) = (read(place / f"{side}.jsonl") for side in sides)
    lines = json.loads((place / "lines.json").read_text())
    reached = min(len(ours), len(theirs))
    different: Counter[str] = Counter()
    shown = []
    for text, mine, other in zip(lines, ours, theirs, strict=False):
        keys = [key for key in mine if key in other and mine[key] != other[key]]
        different.update(keys)
        shown += [(key, text, mine[key], other[key]) for key in keys if different[key] < 4]
    more = {key: count for key, count in different.items() if key != "ids"}
    print(
        f"{name:32s} {folder.name:24s} {reached:7d} lines {different['ids']:6d} differing "
        f"{fast:6.1f} s {slow:6.1f} s {more or ''}",
        flush=True,
    )
    for key, *row in shown if arguments.verbose else ():
        print(f"    {key}", *(f"      {value!r:.300}" for value in row), sep="\n")
    return not different


def read(path):
    """Return the rows that a side wrote, and the seconds it took."""
    *rows, last = path.read_text().splitlines()
    return [json.loads(row) for row in rows], json.loads(last)["seconds"]


def vocabulary(name, larger, place):
    """Return the folder of a class's vocabulary; None if there is none."""
    wanted = CLASSES.get(name, name).split()
    for option in wanted if larger else ():
        for folder in (larger / option, larger / f"tok_{option}"):
            if folder.is_dir():
                return folder
    for option in wanted:
        if (GOLDEN / option).is_dir():
            return whole(GOLDEN / option, place / "vocabularies" / option)
    return None


def whole(stored, folder):
    """Put the character rules back into the SentencePiece models of the tests."""
    shutil.copytree(stored, folder, dirs_exist_ok=True)
    rules = lzma.decompress((GOLDEN / "charsmap.xz").read_bytes())
    field = b"\x12" + number(len(rules)) + rules
    for stripped in folder.glob("*.stripped"):
        content = stripped.read_bytes() + b"\x1a" + number(len(field)) + field
        stripped.with_suffix("").write_bytes(content)
    return folder


def number(value):
    """Return a number as protocol buffers write it."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)


def run(side, name, folder, *, options, seconds):
    """Be one side: write what the lines become."""
    lines = json.loads(Path("lines.json").read_text())
    tokenizer = opened(side, name.partition("/")[0], folder, options)
    begin = time.process_time()
    with Path(f"{side}.jsonl").open("w", encoding="utf-8") as out:
        for start in range(0, len(lines), 500):
            if time.process_time() - begin > seconds:
                break
            texts = lines[start : start + 500]
            rows = [{"ids": ids} for ids in tokenizer(texts)["input_ids"]]
            for place in range(0, len(texts), EACH):
                rows[place] |= details(tokenizer, texts[place], rows[place]["ids"])
            out.writelines(json.dumps(row) + "\n" for row in rows)
        out.write(json.dumps({"seconds": time.process_time() - begin}) + "\n")


def opened(side, name, folder, options):
    """Return a library's tokenizer."""
    if side == "transformers":
        import transformers

        transformers.logging.set_verbosity_error()
        made = getattr(transformers, name, None) or transformers.AutoTokenizer
        return made.from_pretrained(folder, **options)
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from armature.inputs.text.families import tokenizer_class

    return tokenizer_class(name).from_pretrained(folder, **options)


def details(tokenizer, text, ids):
    """Return what else can be said of one line."""
    found = {
        "decoded": tokenizer.decode(ids),
        "skipped": tokenizer.decode(ids, skip_special_tokens=True),
    }
    asked = {"return_special_tokens_mask": True, "return_token_type_ids": True}
    batch = tokenizer(text, **asked)
    found |= {"mask": batch["special_tokens_mask"], "types": batch["token_type_ids"]}
    found["pair"] = tokenizer(text[:60], text[60:] or "b")["input_ids"]
    try:
        offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        found["offsets"] = [list(pair) for pair in offsets]
    except (NotImplementedError, ValueError, KeyError):  # some have none
        return found
    return found


def collect(wanted):
    """Return distinct lines: half of them translations, half code and prose, some thousand odd."""
    rng = random.Random(3)
    odd = [*emoji(), *mixtures(rng, 4000)]
    by_language = translations()
    for texts in by_language.values():
        rng.shuffle(texts)
    turns = max(map(len, by_language.values()), default=0)
    foreign = [texts[n] for n in range(turns) for texts in by_language.values() if n < len(texts)]
    prose = documents(wanted)
    rng.shuffle(prose)
    joined = ["\n".join(prose[place : place + 3]) for place in range(0, len(prose), 60)]
    half = wanted // 2
    lines = list(dict.fromkeys([*odd, *foreign[:half], *joined, *prose]))[:wanted]
    rng.shuffle(lines)
    print(f"{len(lines)} lines, {sum(not line.isascii() for line in lines)} of them beyond ASCII")
    return lines


def translations():
    """Return language → what the machine's programs say in it."""
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for path in sorted(Path("/usr/share/locale").glob("*/LC_MESSAGES/*.mo")):
        try:
            with path.open("rb") as file:
                catalogue = gettext.GNUTranslations(file)._catalog
        except Exception:  # some catalogues are damaged in ways of their own
            continue
        texts = {text[:SIZE] for text in catalogue.values() if isinstance(text, str)}
        new = sorted(text for text in texts - seen if not text.isascii())
        seen |= texts
        found.setdefault(path.parts[4], []).extend(new)
    return found


def documents(wanted):
    """Return lines of code and documentation that lie on the machine."""
    paths = sysconfig.get_paths()
    found: set[str] = set()
    roots = [Path(paths["stdlib"]), Path(paths["purelib"]), Path("/usr/share")]
    for share, root in enumerate(roots, 1):
        for path in sorted(root.rglob("*")):
            if len(found) > wanted * share // len(roots):
                break
            kinds = (".py", ".md", ".txt", ".rst", ".html", ".json", ".xml", ".js", ".c", ".h", "")
            if path.suffix not in kinds or not path.is_file() or path.stat().st_size > 400_000:
                continue
            try:
                lines = path.read_text(encoding="utf-8").split("\n")
            except (OSError, UnicodeDecodeError):
                continue
            found |= {line[:SIZE] for line in lines[:1000] if line.strip() and "\0" not in line}
    return sorted(found)


def emoji():
    """Return the name of every pictograph beside it, some with skin colours and joiners."""
    for code in (*range(0x2600, 0x27C0), *range(0x1F300, 0x1FB00)):
        name = unicodedata.name(chr(code), "").lower()
        if name:
            yield f"{chr(code)} {name}{chr(code)}\U0001f3fd\u200d{chr(code)}\ufe0f"


def mixtures(rng, count):
    """Return letters, spaces and special tokens in no order."""
    letters = [chr(code) for code in (*range(32, 0x3100), *range(0x4E00, 0x4F00))]
    letters += [*"\t\n\r \U0001f642\U0001f44d\U0001f3fdé"]
    letters += [".", ",", "'", " ", "the", "-", "1", *SPECIAL.split()] * 100
    for _ in range(count):
        yield "".join(rng.choices(letters, k=rng.randint(1, 40)))


if __name__ == "__main__":
    main()
