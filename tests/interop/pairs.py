"""Verifiers and heads that are not among the fixtures, trained on the spot and served by vLLM.

    python tests/interop/pairs.py DIRECTORY [NAME...]

leaves DIRECTORY/NAME/{verifier,head,prompts.jsonl,vllm.json,vllm.jsonl} for each pair, and skips
what is there already.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

FIXTURES = Path(__file__).parents[2] / "fixtures"
sys.path.insert(0, str(FIXTURES))

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from make import head, text, tokens, verifier  # noqa: E402

TRAINING_SEED, HEAD_SEED, PROMPT_SEED = 11, 12, 13
VERIFIER_CONVERSATIONS, HEAD_CONVERSATIONS, NUMBER_OF_PROMPTS = 7000, 600, 9
HEAD_EPOCHS = 5
# Such small heads bear, and with so few steps need, a higher rate than the package's own.
HEAD_RATE = ["--lr", "4e-3"]


@dataclass
class Verifier:
    """A kind of verifier, as changes to the configuration of the fixtures' one."""

    model_type: str
    changes: dict = field(default_factory=dict)


SMALL = {"hidden_size": 64, "intermediate_size": 192, "num_attention_heads": 4, "num_key_value_heads": 2}

VERIFIERS = {
    "llama3-rope": Verifier(
        "llama",
        SMALL
        | {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 20000.0,
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                # Short enough for the scaling to be felt by prompts of this length.
                "original_max_position_embeddings": 64,
            }
        },
    ),
    # Two heads of 32 make up the hidden size: this family has no head_dim of its own.
    "qwen2": Verifier(
        "qwen2", SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": True}
    ),
    "qwen3": Verifier("qwen3", SMALL | {"num_hidden_layers": 10}),
}

SMALL_VOCABULARY = ["--draft-vocab-size", "384"]
NO_RESIDUAL, NO_FC, NO_OUTPUT = "--no-norm-before-residual", "--no-norm-before-fc", "--no-norm-output"
FULL_ATTENTION = ["--full-attention-indices", "0"]

# Name: the verifier it goes with, and the flags its head is trained with.
PAIRS = {
    "llama3-rope-defaults": ("llama3-rope", SMALL_VOCABULARY),
    "llama3-rope-two-layers-full-vocabulary": (
        "llama3-rope",
        ["--num-layers", "2", NO_RESIDUAL, NO_FC, NO_OUTPUT, "--full-attention-indices", "0", "1"],
    ),
    "qwen2-fc-norm": ("qwen2", [*SMALL_VOCABULARY, NO_RESIDUAL, NO_FC, "--fc-norm", NO_OUTPUT, *FULL_ATTENTION]),
    "qwen2-norm-output": ("qwen2", [*SMALL_VOCABULARY, NO_RESIDUAL, NO_FC, *FULL_ATTENTION]),
    "qwen3-qwen3-head": ("qwen3", [*SMALL_VOCABULARY, "--draft-arch", "qwen3"]),
    "qwen3-norm-before-fc": ("qwen3", [*SMALL_VOCABULARY, NO_RESIDUAL, NO_OUTPUT, *FULL_ATTENTION]),
}


def make_verifier(name: str, directory: Path) -> None:
    """A verifier and, beside it, the data that heads for it are trained on."""
    model_directory = directory / "verifier"
    if (directory / "complete").exists():
        return
    shutil.rmtree(directory, ignore_errors=True)
    model_directory.mkdir(parents=True)
    kind = VERIFIERS[name]
    conversations = [messages for _, messages in text.conversations(TRAINING_SEED, VERIFIER_CONVERSATIONS)]
    contents = [turn["content"] for messages in conversations[:4000] for turn in messages]
    tokenizer = tokens.train(contents, 768)
    tokens.save(tokenizer, model_directory)
    chat = AutoTokenizer.from_pretrained(model_directory)
    encoded = [chat.apply_chat_template(messages, return_dict=False) for messages in conversations]
    configuration = verifier.configuration(kind.model_type, tokenizer, **kind.changes)
    trained = verifier.train(configuration, tokenizer, encoded, TRAINING_SEED, batch=8, rate=5e-3)
    verifier.save(trained, model_directory)

    model = AutoModelForCausalLM.from_pretrained(model_directory, dtype=torch.bfloat16)
    prompts = encoded_prompts(model_directory, HEAD_SEED, HEAD_CONVERSATIONS)
    answers = verifier.greedy(model, prompts, new_tokens=96)
    head.prepare_data(model, prompts, answers, directory / "data")
    (directory / "complete").touch()


def encoded_prompts(model_directory: Path, seed: int, number: int) -> list[list[int]]:
    chat = AutoTokenizer.from_pretrained(model_directory)
    return [
        chat.apply_chat_template(text.without_answer(messages), add_generation_prompt=True, return_dict=False)
        for _, messages in text.conversations(seed, number)
    ]


def make_pair(name: str, directory: Path) -> Path:
    """Train, serve and return the directory of the pair."""
    pair = directory / name
    if (pair / "vllm.json").exists():
        return pair
    verifier_name, flags = PAIRS[name]
    trained = directory / "verifiers" / verifier_name
    make_verifier(verifier_name, trained)
    shutil.rmtree(pair, ignore_errors=True)
    shutil.copytree(trained / "verifier", pair / "verifier")
    head.train(
        pair / "verifier",
        trained / "data",
        directory / "checkpoints" / name,
        pair / "head",
        [*flags, *HEAD_RATE],
        HEAD_EPOCHS,
    )
    with (pair / "prompts.jsonl").open("w") as lines:
        for index, token_ids in enumerate(encoded_prompts(pair / "verifier", PROMPT_SEED, NUMBER_OF_PROMPTS)):
            lines.write(json.dumps({"id": f"{name}-{index}", "prompt_token_ids": token_ids}) + "\n")
    serve(pair / "verifier", pair / "head", pair / "prompts.jsonl", pair / "vllm")
    return pair


def serve(model: Path, speculator: Path, prompts: Path, output: Path, number: int = 3) -> None:
    """vLLM's own account, from a process of its own."""
    command = [
        sys.executable,
        "-m",
        "make.served",
        *(str(path.absolute()) for path in (model, speculator, prompts, output)),
    ]
    subprocess.run([*command, "--num-speculative-tokens", str(number)], cwd=FIXTURES, check=True)


def served(pair: Path, number: int) -> Path:
    """What vLLM made of a pair with `number` draft tokens per step: the files are this with `.json` and `.jsonl`."""
    output = pair / ("vllm" if number == 3 else f"vllm-{number}")
    if not output.with_suffix(".json").exists():
        serve(pair / "verifier", pair / "head", pair / "prompts.jsonl", output, number)
    return output


if __name__ == "__main__":
    for name in sys.argv[2:] or PAIRS:
        print(make_pair(name, Path(sys.argv[1]).absolute()))
