"""Snippets of a note on local models: generation, cached files, filling a mask."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import armature

GENERATE = """
# 输入文本
input_text = "Once upon a time"

# 编码输入
inputs = tokenizer(input_text, return_tensors="pt")

# 生成文本
outputs = model.generate(**inputs, max_length=50, do_sample=True, top_p=0.95, temperature=0.7)

# 解码生成的文本
generated_text = tokenizer.decode(outputs[0], skip_special_tokens=True)
print(generated_text)
"""


def check_generated(notebook):
    [ids] = notebook.outputs.tolist()
    assert len(ids) <= 50
    prompt = notebook.inputs["input_ids"][0].tolist()
    assert ids[: len(prompt)] == prompt
    assert len(ids) == 50 or ids[-1] == notebook.tokenizer.eos_token_id
    assert notebook.printed.startswith("Once upon a time")
    assert "<|endoftext|>" not in notebook.printed


def test_encode_beside_a_call(notebook):
    notebook.run("""
from transformers import AutoTokenizer

# 根据任务类型选择对应的tokenizer，模型和tokenizer都用同一个model_name，如果不同需要能兼容
model_name = "gpt2"
tokenizer = AutoTokenizer.from_pretrained(model_name)

text = "Once upon a time"	# 文本

input_ids = tokenizer.encode(text)	# 得到词典序号的列表
inputs = tokenizer(text)	# 得到input_ids, attention_mask, token_type_ids等组成的列表
""")
    assert isinstance(notebook.input_ids, list)
    assert notebook.inputs["input_ids"] == notebook.input_ids
    assert list(notebook.inputs) == ["input_ids", "attention_mask"]


def test_text_is_sampled(notebook):
    notebook.run(f"""
##################默认从HF下载，即使本地有缓存############
from transformers import AutoTokenizer, AutoModelForCausalLM

# 指定模型名称
model_name = "gpt2"

# 加载 Tokenizer
tokenizer = AutoTokenizer.from_pretrained(model_name)

# 加载预训练模型
model = AutoModelForCausalLM.from_pretrained(model_name)
{GENERATE}
""")
    check_generated(notebook)


def test_a_cached_model_opens_by_its_path(notebook, hub):
    notebook.run(rf"""
#########通过上述代码下载过一次预训练模型到本地后，可直接使用本地模型#########
from transformers import AutoTokenizer, AutoModelForCausalLM
from transformers.utils.hub import cached_file

cache_path = cached_file("gpt2", "config.json", local_files_only=True)
model_path = "\\".join(cache_path.split("\\")[:-1])

# 加载 Tokenizer
tokenizer = AutoTokenizer.from_pretrained(
    model_path,
    local_files_only=True  # 禁用远程下载/验证，核心参数
)

# 加载预训练模型
model = AutoModelForCausalLM.from_pretrained(
    model_path,
    local_files_only=True,  # 禁用远程请求
    low_cpu_mem_usage=True  # 可选：减少CPU内存占用
)
{GENERATE}
""")
    assert Path(notebook.model_path) == hub.snapshot("gpt2")
    check_generated(notebook)


def test_a_mask_is_filled(notebook):
    notebook.run(r"""
import torch
from transformers import AutoTokenizer, AutoModelForMaskedLM
from transformers.utils.hub import cached_file

# 指定模型名字
cache_path = cached_file("bert-base-uncased", "config.json", local_files_only=True)
model_path = "\\".join(cache_path.split("\\")[:-1])

# 加载Tokenizer
tokenizer = AutoTokenizer.from_pretrained(
    model_path,
    local_files_only=True
)

# 加载预训练模型
model = AutoModelForMaskedLM.from_pretrained(
    model_path,
    local_files_only=True
)

# 编码输入
input_text = "Zhanhui Zhong is a [MASK]."
inputs = tokenizer(input_text, return_tensors="pt")

# 获取输出
with torch.no_grad():
    outputs = model(**inputs)
    predictions = outputs.logits

# 获取最高得分的预测词
masked_index = (inputs.input_ids == tokenizer.mask_token_id)[0].nonzero(as_tuple=True)[0]
predicted_token_id = predictions[0, masked_index].argmax(dim=-1).item()
predicted_token = tokenizer.decode(predicted_token_id)

print(predicted_token)
""")
    assert notebook.tokenizer.mask_token_id == 103
    assert len(notebook.masked_index) == 1
    word = notebook.tokenizer.convert_ids_to_tokens(notebook.predicted_token_id)
    assert notebook.predicted_token in (word, word.removeprefix("##"))
    assert not notebook.model.untrained


def test_the_folder_of_four_files(hub):
    """config.json, pytorch_model.bin, tokenizer_config.json and tokenizer.json are enough."""
    folder = Path("gpt2_local")
    folder.mkdir()
    names = ["config.json", "pytorch_model.bin", "tokenizer_config.json", "tokenizer.json"]
    for name in names:
        (folder / name).write_bytes((hub.snapshot("gpt2") / name).read_bytes())
    assert not (hub.snapshot("gpt2") / "model.safetensors").exists()
    tokenizer = armature.AutoTokenizer.from_pretrained("./gpt2_local/")
    model = armature.AutoModelForCausalLM.from_pretrained("./gpt2_local/")
    assert model.load_report.files == ("pytorch_model.bin",)
    batch = tokenizer("Once upon a time", return_tensors="pt")
    cached = armature.AutoModelForCausalLM.from_pretrained("gpt2")
    assert torch.equal(model(**batch).logits, cached(**batch).logits)


def test_what_is_not_cached_says_what_is():
    with pytest.raises(OSError, match=r"HF_HUB_OFFLINE=1.*\n.*You have:.*[Dd]id you mean `gpt2`"):
        armature.cached_file("gpt3", "config.json")
    with pytest.raises(OSError, match=r"no file 'confg.json'[\s\S]*`config.json`"):
        armature.cached_file("gpt2", "confg.json", local_files_only=True)
