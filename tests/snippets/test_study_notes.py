"""Snippets of study notes: pipelines, Chinese texts, tokenizers, four tasks done by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from stand_ins import PACKAGE

import armature

CONTEXT = (
    "普希金从那里学习人民的语言，吸取了许多有益的养料，这一切对普希金后来的创作产生了很大的影响。"
    "这两年里，普希金创作了不少优秀的作品，如《囚徒》、《致大海》、《致凯恩》和《假如生活欺骗了你》等"
    "几十首抒情诗，叙事诗《努林伯爵》，历史剧《鲍里斯·戈都诺夫》，以及《叶甫盖尼·奥涅金》前六章。"
)


def check_answer(found, context):
    assert list(found) == ["score", "start", "end", "answer"]
    assert 0 <= found["score"] <= 1
    assert isinstance(found["start"], int)
    assert isinstance(found["end"], int)
    assert found["answer"] == context[found["start"] : found["end"]]


def test_a_pipeline_by_its_task_alone(notebook):
    notebook.run("""
from transformers import pipeline
question_answerer = pipeline("question-answering")
""")
    context = "The company HuggingFace is based in New York City."
    found = notebook.question_answerer(question="Where is HuggingFace based?", context=context)
    check_answer(found, context)
    assert "distilbert/distilbert-base-cased-distilled-squad" in repr(notebook.question_answerer)


def test_answers_in_chinese(notebook):
    notebook.run("""
from transformers import AutoModelForQuestionAnswering,AutoTokenizer,pipeline
model = AutoModelForQuestionAnswering.from_pretrained('uer/roberta-base-chinese-extractive-qa')
tokenizer = AutoTokenizer.from_pretrained('uer/roberta-base-chinese-extractive-qa')
""").run("""
zh_qa = pipeline("question-answering", model=model, tokenizer=tokenizer)
QA_input = {'question': "著名诗歌《假如生活欺骗了你》的作者是",'context': "普希金从那里学习人民的语言，吸取了许多有益的养料，这一切对普希金后来的创作产生了很大的影响。这两年里，普希金创作了不少优秀的作品，如《囚徒》、《致大海》、《致凯恩》和《假如生活欺骗了你》等几十首抒情诗，叙事诗《努林伯爵》，历史剧《鲍里斯·戈都诺夫》，以及《叶甫盖尼·奥涅金》前六章。"}
found = zh_qa(QA_input)
""")  # noqa: E501
    check_answer(notebook.found, CONTEXT)


# The document has lost two line breaks; they are put back.
TOKENIZED = """
from transformers import AutoTokenizer
checkpoint = "distilbert-base-uncased-finetuned-sst-2-english"
tokenizer = AutoTokenizer.from_pretrained(checkpoint)
raw_inputs = [    "I've been waiting for a HuggingFace course my whole life.",    "I hate this so much!",
]
inputs = tokenizer(raw_inputs, padding=True, truncation=True, return_tensors="pt")
print(inputs)
"""  # noqa: E501


def test_padding_and_attention_mask(notebook):
    notebook.run(TOKENIZED)
    assert list(notebook.inputs) == ["input_ids", "attention_mask"]
    assert notebook.printed.startswith("{'input_ids': tensor([[")
    assert notebook.inputs["attention_mask"].tolist() == [[1] * 16, [1] * 8 + [0] * 8]
    assert notebook.inputs["input_ids"][1, 8:].tolist() == [0] * 8


@pytest.mark.skipif(PACKAGE is None, reason="needs bert-base-uncased's vocabulary")
def test_the_published_ids(notebook):
    notebook.run(TOKENIZED)
    first = [101, 1045, 1005, 2310, 2042, 3403, 2005, 1037, 17662, 12172, 2607, 2026, 2878, 2166]
    second = [101, 1045, 5223, 2023, 2061, 2172, 999, 102]
    assert notebook.inputs["input_ids"].tolist() == [[*first, 1012, 102], [*second, *[0] * 8]]


def test_hidden_states_have_the_width_of_the_model(notebook):
    notebook.run("""
from transformers import AutoModel

checkpoint = "distilbert-base-uncased-finetuned-sst-2-english"
model = AutoModel.from_pretrained(checkpoint)
""").run("""
from transformers import AutoTokenizer, AutoModel

checkpoint = "distilbert-base-uncased-finetuned-sst-2-english"
tokenizer = AutoTokenizer.from_pretrained(checkpoint)
model = AutoModel.from_pretrained(checkpoint)

raw_inputs = [
    "I've been waiting for a HuggingFace course my whole life.",
    "I hate this so much!",
]
inputs = tokenizer(raw_inputs, padding=True, truncation=True, return_tensors="pt")
outputs = model(**inputs)
print(outputs.last_hidden_state.shape)
""")
    assert notebook.printed == "torch.Size([2, 16, 768])\n"


def test_a_class_by_its_name_from_the_cache_and_from_a_folder(notebook, hub):
    shutil.copytree(hub.snapshot("bert-base-cased"), "models/bert")
    notebook.run("""
from transformers import BertModel
model = BertModel.from_pretrained("bert-base-chinese")
""")
    chinese = notebook.model
    notebook.run("""
from transformers import BertModel

model = BertModel.from_pretrained("./models/bert/")
""")
    assert type(chinese) is type(notebook.model) is armature.BertModel
    assert chinese.config.vocab_size != notebook.model.config.vocab_size


def test_a_model_is_saved_into_a_folder(notebook):
    notebook.run("""
from transformers import AutoModel

model = AutoModel.from_pretrained("bert-base-cased")
model.save_pretrained("./models/bert-base-cased/")
""")
    folder = Path("models/bert-base-cased")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    ids = torch.tensor([[101, 110, 120, 102]])
    again = armature.AutoModel.from_pretrained("./models/bert-base-cased/")
    assert torch.equal(again(ids).pooler_output, notebook.model(ids).pooler_output)


def test_chinese_texts_character_by_character(notebook):
    notebook.run("""
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("bert-base-chinese")
""").run("""
sen = "弱小的我也有大梦想"
tokens = tokenizer.tokenize(sen)
tokens
""")
    assert notebook.tokens == ["弱", "小", "的", "我", "也", "有", "大", "梦", "想"]
    vocabulary = notebook.tokenizer.vocab
    assert isinstance(vocabulary["行"], int)
    assert vocabulary["行"] != vocabulary["貂"]
    assert len(vocabulary) == len(notebook.tokenizer)

    notebook.run("""
ids = tokenizer.encode(sen)
ids
""")
    expected = [101, *(vocabulary[token] for token in notebook.tokens), 102]
    assert notebook.ids == expected

    notebook.run("""
# 填充
ids = tokenizer.encode(sen, padding="max_length", max_length=10)
ids
""")
    assert notebook.ids == expected  # it is longer already

    notebook.run("""
# 裁剪
ids = tokenizer.encode(sen, max_length=5, truncation=True)
ids
""")
    assert notebook.ids == [*expected[:4], 102]

    notebook.run("""
ids = tokenizer.encode(sen, padding="max_length", max_length=15)
attention_mask = [1 if idx != 0 else 0 for idx in ids]
token_type_ids = [0] * len(ids)
attention_mask, token_type_ids
""")
    assert notebook.ids == [*expected, 0, 0, 0, 0]
    whole = notebook.tokenizer(notebook.sen, padding="max_length", max_length=15)
    assert notebook.attention_mask == whole["attention_mask"]
    assert notebook.token_type_ids == whole["token_type_ids"]


def test_pairs_of_sentences(notebook):
    notebook.run("""
from transformers import AutoTokenizer, AutoModelForSequenceClassification
import torch

tokenizer = AutoTokenizer.from_pretrained("bert-base-cased-finetuned-mrpc")
model = AutoModelForSequenceClassification.from_pretrained("bert-base-cased-finetuned-mrpc")

classes = ["not paraphrase", "is paraphrase"]

sequence_0 = "The company HuggingFace is based in New York City"
sequence_1 = "Apples are especially bad for your health"
sequence_2 = "HuggingFace's headquarters are situated in Manhattan"

# The tokenizer will automatically add any model specific separators (i.e. <CLS> and <SEP>) and tokens to
# the sequence, as well as compute the attention masks.
paraphrase = tokenizer(sequence_0, sequence_2, return_tensors="pt")
not_paraphrase = tokenizer(sequence_0, sequence_1, return_tensors="pt")

paraphrase_classification_logits = model(**paraphrase).logits
not_paraphrase_classification_logits = model(**not_paraphrase).logits

paraphrase_results = torch.softmax(paraphrase_classification_logits, dim=1).tolist()[0]
not_paraphrase_results = torch.softmax(not_paraphrase_classification_logits, dim=1).tolist()[0]

# Should be paraphrase
for i in range(len(classes)):
    print(f"{classes[i]}: {int(round(paraphrase_results[i] * 100))}%")

# Should not be paraphrase
for i in range(len(classes)):
    print(f"{classes[i]}: {int(round(not_paraphrase_results[i] * 100))}%")
""")  # noqa: E501
    lines = notebook.printed.splitlines()
    assert [line.split(":")[0] for line in lines] == notebook.classes * 2
    shares = [int(line.split(": ")[1].rstrip("%")) for line in lines]
    assert 99 <= shares[0] + shares[1] <= 101
    assert sorted(set(notebook.paraphrase["token_type_ids"][0].tolist())) == [0, 1]


def test_answers_by_hand(notebook):
    notebook.run('''
from transformers import AutoTokenizer, AutoModelForQuestionAnswering
import torch

tokenizer = AutoTokenizer.from_pretrained("bert-large-uncased-whole-word-masking-finetuned-squad")
model = AutoModelForQuestionAnswering.from_pretrained("bert-large-uncased-whole-word-masking-finetuned-squad")

text = r"""
🤗 Transformers (formerly known as pytorch-transformers and pytorch-pretrained-bert) provides general-purpose
architectures (BERT, GPT-2, RoBERTa, XLM, DistilBert, XLNet…) for Natural Language Understanding (NLU) and Natural
Language Generation (NLG) with over 32+ pretrained models in 100+ languages and deep interoperability between
TensorFlow 2.0 and PyTorch.
"""
questions = [
    "How many pretrained models are available in 🤗 Transformers?",
    "What does 🤗 Transformers provide?",
    "🤗 Transformers provides interoperability between which frameworks?",
]

for question in questions:
    inputs = tokenizer(question, text, add_special_tokens=True, return_tensors="pt")
    input_ids = inputs["input_ids"].tolist()[0]

    outputs = model(**inputs)
    answer_start_scores = outputs.start_logits
    answer_end_scores = outputs.end_logits

    # Get the most likely beginning of answer with the argmax of the score
    answer_start = torch.argmax(answer_start_scores)
    # Get the most likely end of answer with the argmax of the score
    answer_end = torch.argmax(answer_end_scores) + 1

    answer = tokenizer.convert_tokens_to_string(
        tokenizer.convert_ids_to_tokens(input_ids[answer_start:answer_end])
    )

    print(f"Question: {question}")
    print(f"Answer: {answer}")
''')  # noqa: E501
    lines = notebook.printed.splitlines()
    assert [line[len("Question: ") :] for line in lines[::2]] == notebook.questions
    assert all(line.startswith("Answer: ") for line in lines[1::2])
    tokens = ["general", "-", "purpose", "arch", "##itect", "##ures"]
    assert notebook.tokenizer.convert_tokens_to_string(tokens) == "general - purpose architectures"


def test_the_five_best_words_for_a_mask(notebook):
    notebook.run("""
from transformers import AutoModelForMaskedLM, AutoTokenizer
import torch

tokenizer = AutoTokenizer.from_pretrained("distilbert-base-cased")
model = AutoModelForMaskedLM.from_pretrained("distilbert-base-cased")

sequence = (
    "Distilled models are smaller than the models they mimic. Using them instead of the large "
    f"versions would help {tokenizer.mask_token} our carbon footprint."
)

inputs = tokenizer(sequence, return_tensors="pt")
mask_token_index = torch.where(inputs["input_ids"] == tokenizer.mask_token_id)[1]

token_logits = model(**inputs).logits
mask_token_logits = token_logits[0, mask_token_index, :]

top_5_tokens = torch.topk(mask_token_logits, 5, dim=1).indices[0].tolist()
#得到分数最高的5个token的索引
#值得注意的是，topk函数默认是根据value经过sort的。参考其函数文档：https://pytorch.org/docs/stable/generated/torch.topk.html

for token in top_5_tokens:
    print(sequence.replace(tokenizer.mask_token, tokenizer.decode([token])))
    #将该token解码为文本形式，替代原文中的tokenizer.mask_token
""")
    lines = notebook.printed.splitlines()
    assert len(set(lines)) == len(lines) == 5
    assert all(line.startswith("Distilled models are smaller than the models") for line in lines)
    assert all(line.endswith(" our carbon footprint.") for line in lines)
    fill = armature.pipeline("fill-mask", model="distilbert-base-cased", top_k=5)
    assert [one["token"] for one in fill(notebook.sequence)] == notebook.top_5_tokens


def test_the_next_word_is_drawn_by_hand(notebook):
    notebook.run("""
from transformers import AutoModelForCausalLM, AutoTokenizer, top_k_top_p_filtering
import torch
from torch import nn

tokenizer = AutoTokenizer.from_pretrained("gpt2")
model = AutoModelForCausalLM.from_pretrained("gpt2")

sequence = f"Hugging Face is based in DUMBO, New York City, and"

inputs = tokenizer(sequence, return_tensors="pt")
input_ids = inputs["input_ids"]

# get logits of last hidden state
next_token_logits = model(**inputs).logits[:, -1, :]

# filter
filtered_next_token_logits = top_k_top_p_filtering(next_token_logits, top_k=50, top_p=1.0)

# sample
probs = nn.functional.softmax(filtered_next_token_logits, dim=-1)
next_token = torch.multinomial(probs, num_samples=1)

generated = torch.cat([input_ids, next_token], dim=-1)

resulting_string = tokenizer.decode(generated.tolist()[0])
print(resulting_string)
""")
    kept = notebook.filtered_next_token_logits.isfinite()
    assert kept.sum() == 50
    assert kept[0, notebook.next_token.item()]
    best = notebook.next_token_logits.topk(50).indices[0].tolist()
    assert sorted(best) == kept[0].nonzero().flatten().tolist()
    assert notebook.printed.startswith("Hugging Face is based in DUMBO, New York City, and")
