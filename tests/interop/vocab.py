"""Counts and vocabulary maps against the Python package: same counts from the same data, same map from the same counts.

    python tests/interop/vocab.py BINARY DIRECTORY

prints one line per comparison. Conversations are masked and counted by the package's own `prepare-data` code; what it asks a
vLLM server for, the token ids of a rendered conversation, is answered by the chat template of transformers instead.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from speculators.data_generation import preprocessing
from speculators.train.cli import _load_mappings
from speculators.train.vocab_mapping import build_vocab_mappings_from_distribution
from transformers import AutoTokenizer

from comparisons import run
from finding import Finding
from pairs import FIXTURES

sys.path.insert(0, str(FIXTURES))

from make import text  # noqa: E402

# Opens each answer with an empty block for reasoning, which recorded answers need not have, and drops the reasoning of
# earlier turns, as templates of reasoning models do.
REASONING = """{{- bos_token }}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- if message.reasoning_content and loop.last %}
            {{- '<|assistant|>\\n(' + message.reasoning_content + ')\\n' + message.content + '<|end|>\\n' }}
        {%- else %}
            {{- '<|assistant|>\\n' + message.content + '<|end|>\\n' }}
        {%- endif %}
    {%- else %}
        {{- '<|' + message.role + '|>\\n' + message.content | trim + '<|end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>\\n()\\n' }}{%- endif %}
"""


def distributions() -> Iterator[tuple[str, dict[int, int], int, int]]:
    """Name, counts, draft tokens and tokens of the verifier."""
    draw = random.Random(5)
    for number in range(8):
        size = draw.choice([50, 1000, 32064])
        tokens = draw.sample(range(size), draw.randint(1, size))
        # Few different counts, so that most of them tie.
        most = draw.choice([2, 5, 10**12])
        counts = {token: draw.randint(1, most) for token in tokens}
        yield f"random {number}", counts, draw.randint(1, size), size
    yield "one token", {7: 3}, 5, 20
    yield "few tokens, high ids", {19: 1, 18: 1, 2: 9}, 8, 20
    yield "zeros that are listed", {19: 0, 18: 0, 2: 9, 0: 0}, 3, 20
    yield "the whole vocabulary", {token: token % 3 for token in range(20)}, 20, 20


def save(counts: dict[int, int], size: int, kind: str, directory: Path) -> Path:
    """The same counts as a file of this kind."""
    path = directory / f"counts.{kind}"
    listed = np.zeros(size, dtype=np.int64)
    for token, count in counts.items():
        listed[token] = count
    if kind == "pt":
        torch.save(counts, path)
    elif kind == "npy":
        np.save(path, listed)
    elif kind == "safetensors":
        save_file({"token_freq": listed}, path)
    else:
        path.write_text(json.dumps(counts))
    return path


def made(binary: Path, source: Path, draft: int, size: int, output: Path, d2t: torch.Tensor, t2d: torch.Tensor) -> str:
    """What is wrong with the map that is made from a file of counts, or nothing."""
    command = [binary, "-q", "-q", "vocab", "--token-freq", source, "--vocab-size", size, "--no-force-include"]
    if run([*command, "--draft-vocab-size", draft, "--output-path", output]) is None:
        return "no map was made"
    # What training does with the files it finds.
    ours = _load_mappings(output / f"d2t-{draft}.npy", output / f"t2d-{draft}.npy", draft)
    both = load_file(output / f"vocab-{draft}.safetensors")
    if (ours[0].dtype, ours[1].dtype) != (torch.long, torch.bool):
        return f"dtypes {ours[0].dtype}, {ours[1].dtype}"
    if not torch.equal(ours[0], d2t) or not torch.equal(ours[1], t2d):
        return "another map"
    if not np.array_equal(both["d2t"], d2t.numpy()) or not np.array_equal(both["t2d"], t2d.numpy()):
        return "another map in safetensors"
    return ""


def maps(binary: Path, work: Path) -> Iterator[Finding]:
    for name, counts, draft, size in distributions():
        d2t, t2d = build_vocab_mappings_from_distribution(counts, draft, size)
        wrong, kinds = [], ["pt", "npy", "safetensors", "json"]
        # A list of counts cannot tell a token that is listed with 0 from one that is not.
        if name == "zeros that are listed":
            kinds = ["pt", "json"]
        for kind in kinds:
            directory = work / "maps" / name.replace(" ", "-").replace(",", "") / kind
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            source, output = save(counts, size, kind, directory), directory / "output"
            problem = made(binary, source, draft, size, output, d2t, t2d)
            written = np.zeros(0) if problem else np.load(output / "token_freq.npy")
            if not problem and {token: int(count) for token, count in enumerate(written) if count} != {
                token: count for token, count in counts.items() if count
            }:
                problem = "other counts"
            wrong += [f"{kind}: {problem}"] if problem else []
        detail = "; ".join(wrong) or f"{draft} of {size} tokens by counts of {len(counts)}, as {', '.join(kinds)}"
        yield Finding("vocab", f"map, {name}", not wrong, detail)


def conversations(reasoning: bool) -> list[dict]:
    draw = random.Random(9)
    lines = []
    for index in range(60):
        kind = draw.choice([text.travel, text.cooking, text.story, text.sum_by_columns])
        turns = [(turn["role"], turn["content"]) for turn in kind(draw)]
        if index % 7 == 0:
            turns.insert(0, ("system", "Answer in one paragraph. "))
        if index % 11 == 0:
            turns.append(("user", "Thank you."))
        if index % 13 == 0:
            turns.insert(0, ("assistant", "How can I help?"))
        share_gpt = {"user": "human", "assistant": "gpt", "system": "system"}
        conversation = []
        for role, content in turns:
            turn = {"from": share_gpt[role], "value": content}
            if index % 2:
                turn = {"role": role, "content": content}
            if reasoning and role == "assistant" and index % 3:
                turn["reasoning_content"] = "Let me think."
            conversation.append(turn)
        lines.append({"id": str(index), "conversations": conversation})
    return lines


def prepared(verifier: Path, data: Path, seq_length: int, work: Path) -> dict[int, int]:
    """What the package's `prepare-data --no-skip-token-freq` counts."""
    tokenizer = AutoTokenizer.from_pretrained(verifier)

    def render(_endpoint, messages, *, add_generation_prompt, tools=None, truncate_prompt_tokens=None, **_):
        rendered = tokenizer.apply_chat_template(
            messages, tools=tools, add_generation_prompt=add_generation_prompt, tokenize=False
        )
        return tokenizer.encode(rendered, add_special_tokens=False)[:truncate_prompt_tokens]

    preprocessing.render_conversation = render
    counts = work / "token_freq.pt"
    counts.unlink(missing_ok=True)
    preprocessing.load_and_preprocess_dataset(
        str(verifier),
        [str(data)],
        seq_length=seq_length,
        build_dataset_num_proc=None,
        token_freq_path=counts,
        render_endpoint="http://127.0.0.1:9",
        skip_token_freq=False,
    )
    return torch.load(counts, weights_only=True)


def counts(binary: Path, work: Path) -> Iterator[Finding]:
    for name, template, seq_length in [
        ("conversations", None, 8192),
        ("conversations, cut", None, 60),
        ("a template with reasoning", REASONING, 8192),
        ("a template with reasoning, cut", REASONING, 60),
        ("ids with a loss mask", None, 8192),
    ]:
        directory = work / "counts" / name.replace(" ", "-").replace(",", "")
        shutil.rmtree(directory, ignore_errors=True)
        verifier = directory / "verifier"
        verifier.mkdir(parents=True)
        for file in ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]:
            shutil.copy(FIXTURES / "verifier" / file, verifier)
        if template:
            (verifier / "chat_template.jinja").write_text(template)
            config = json.loads((verifier / "tokenizer_config.json").read_text())
            del config["chat_template"]
            (verifier / "tokenizer_config.json").write_text(json.dumps(config))
        lines = conversations(template is not None)
        if name.startswith("ids"):
            draw = random.Random(3)
            lines = [
                {
                    "input_ids": [draw.randrange(1024) for _ in range(length)],
                    "loss_mask": [draw.randrange(2) for _ in range(length)],
                    "text": "not looked at",
                }
                for length in range(1, 80)
            ]
        data = directory / "data.jsonl"
        data.write_text("".join(json.dumps(line) + "\n" for line in lines))

        theirs = prepared(verifier, data, seq_length, directory)
        output = directory / "output"
        command = [binary, "-q", "-q", "vocab", data, "--verifier", verifier, "--seq-length", seq_length]
        if run([*command, "--output-path", output]) is None:
            yield Finding("vocab", f"counts, {name}", False, "nothing was counted")
            continue
        ours = np.load(output / "token_freq.npy")
        counted = {token: int(count) for token, count in enumerate(ours) if count}
        report = json.loads((output / "vocab.json").read_text())
        diverging = report["lines"]["diverging"]
        passed = counted == theirs and report["tokens"] == sum(theirs.values())
        # Of what the templates are there for, something has to happen.
        passed = passed and (diverging > 0) == (template is not None)
        detail = f"{sum(counted.values())} tokens, theirs {sum(theirs.values())}; {len(counted)} different ones"
        detail += f"; {diverging} answers begin otherwise" if diverging else ""
        yield Finding("vocab", f"counts, {name}", passed, detail)


def findings(binary: Path, work: Path) -> Iterator[Finding]:
    yield from maps(binary, work)
    yield from counts(binary, work)


if __name__ == "__main__":
    results = list(findings(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()))
    for result in results:
        print("ok  " if result.passed else "FAIL", result.subject, "-", result.detail)
    sys.exit(not all(result.passed for result in results))
