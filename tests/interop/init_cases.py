"""The verifiers that `init` is judged on, tiny, and what the Python package makes of them.

Sizes are those of nobody, so that a number that comes from the wrong key shows. The weights are the tensors that heads share
and no others: neither program reads more of a verifier to start a head for it.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, PretrainedConfig

from speculators.train import cli
from speculators.train.config import TrainConfig

ALGORITHMS = ["eagle3", "peagle", "dflash", "dspark"]
VOCABULARY, DRAFT, HIDDEN = 160, 48, 64
MASK = 7

SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 9,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 3,
    "eos_token_id": 4,
    "pad_token_id": 5,
    "tie_word_embeddings": False,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 150000.0,
    "factor": 32.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "truncate": False,
    "original_max_position_embeddings": 64,
}
EXPERTS = {"moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2}
AXES = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [4, 2, 2], "mrope_interleaved": True}

# Name → (family, what differs from the sizes above, architecture). The last three are more than the eleven asked for.
VERIFIERS: dict[str, tuple[str, dict, str]] = {
    "llama3": ("llama", {"head_dim": 16, "rope_parameters": LLAMA3}, "Qwen3ForCausalLM"),
    "qwen2": ("qwen2", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}, "Qwen2ForCausalLM"),
    "qwen3": ("qwen3", {"head_dim": 32, "rms_norm_eps": 1e-6, "initializer_range": 0.05}, "Qwen3ForCausalLM"),
    "qwen3_moe": ("qwen3_moe", {"head_dim": 32, **EXPERTS}, "Qwen3MoeForCausalLM"),
    "mistral": ("mistral", {"head_dim": 24, "sliding_window": None}, "MistralForCausalLM"),
    "gemma3": ("gemma3_text", {"head_dim": 32, "query_pre_attn_scalar": 32, "tie_word_embeddings": True}, "Gemma3ForCausalLM"),
    "phi3": ("phi3", {"partial_rotary_factor": 0.75}, "Phi3ForCausalLM"),
    "gpt_oss": (
        "gpt_oss",
        {"head_dim": 16, "rope_parameters": YARN, "num_local_experts": 4, "num_experts_per_tok": 2},
        "GptOssForCausalLM",
    ),
    "qwen3_vl": ("qwen3_vl", {"head_dim": 16, "rope_parameters": AXES}, "Qwen3VLForConditionalGeneration"),
    "tied": ("qwen3", {"head_dim": 16, "tie_word_embeddings": True}, "Qwen3ForCausalLM"),
    "partial_rotary": ("glm4", {"head_dim": 16, "partial_rotary_factor": 0.5}, "Glm4ForCausalLM"),
    "partial_axes": (
        "qwen3_5_text",
        {"head_dim": 64, "rope_parameters": {**AXES, "partial_rotary_factor": 0.25}},
        "Qwen3_5ForCausalLM",
    ),
    "moe_without_dense": ("qwen3_5_moe_text", {"head_dim": 16, **EXPERTS}, "Qwen3_5MoeForCausalLM"),
    "odd_heads": ("qwen3", {"head_dim": 16, "num_attention_heads": 6, "num_key_value_heads": 3}, "Qwen3ForCausalLM"),
}
# One in the spelling of transformers 4, with what its family defaults to left out.
OLD = {
    "architectures": ["MistralForCausalLM"],
    "model_type": "mistral",
    "torch_dtype": "bfloat16",
    "rope_theta": 1000000.0,
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 9,
    "num_attention_heads": 8,
    "rms_norm_eps": 1e-5,
}
NAMES = [*VERIFIERS, "old_spelling"]


def config(name: str) -> PretrainedConfig:
    family, differences, architecture = VERIFIERS[name]
    sizes = {**SIZES, **differences}
    if name == "moe_without_dense":
        del sizes["intermediate_size"]
    if family == "qwen3_vl":
        made = AutoConfig.for_model(family, text_config=sizes, tie_word_embeddings=False)
    else:
        made = AutoConfig.for_model(family, **sizes)
    made.architectures, made.dtype = [architecture], "bfloat16"
    return made


def make_verifier(name: str, work: Path) -> Path:
    """A directory with a config and the tensors that heads share; that of `qwen3` is in shards."""
    directory = work / "verifiers" / name
    directory.mkdir(parents=True, exist_ok=True)
    if name == "old_spelling":
        (directory / "config.json").write_text(json.dumps(OLD, indent=2))
    else:
        config(name).save_pretrained(directory)
    generator = torch.Generator().manual_seed(NAMES.index(name))
    tower = "model.language_model" if name == "qwen3_vl" else "model"
    # Float16 in one, so that the cast to the head's dtype is tried.
    dtype = torch.float16 if name == "mistral" else torch.bfloat16
    tensors = {
        f"{tower}.embed_tokens.weight": torch.randn(VOCABULARY, HIDDEN, generator=generator).to(dtype),
        "lm_head.weight": torch.randn(VOCABULARY, HIDDEN, generator=generator).to(dtype),
        f"{tower}.norm.weight": torch.ones(HIDDEN, dtype=dtype),
    }
    if name in ("tied", "gemma3"):
        del tensors["lm_head.weight"]
    if name == "qwen3":
        names = {}
        for number, (tensor, value) in enumerate(tensors.items()):
            shard = f"model-{number + 1:05}-of-{len(tensors):05}.safetensors"
            save_file({tensor: value}, directory / shard)
            names[tensor] = shard
        index = {"metadata": {}, "weight_map": names}
        (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    else:
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def counts(work: Path) -> Path:
    """Counts of tokens as the package saves them: most tokens, some of them alike."""
    path = work / "data" / "token_freq.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({token: (token * 37) % 23 + 1 for token in range(VOCABULARY) if token % 5}, path)
    return path


def is_reduced(name: str, algorithm: str) -> bool:
    """Half of the cases have a reduced vocabulary."""
    return (NAMES.index(name) + ALGORITHMS.index(algorithm)) % 2 == 0


# Kind, options of `init`, the same options of the package.
OPTIONS: list[tuple[str, str, str]] = [
    (
        "eagle3",
        "--num-layers 2 --full-attention-layers 0,1 --fc-norm --aux-layers 1,3,5,7 --norm-before-residual false",
        "--num-layers 2 --full-attention-indices 0 1 --fc-norm --no-norm-before-fc --target-layer-ids 1 3 5 7"
        " --no-norm-before-residual",
    ),
    (
        "eagle3",
        "--draft-arch qwen3 --full-attention-layers 0 --norm-output false --num-speculative-tokens 5 --hidden-act gelu",
        "--draft-arch qwen3 --full-attention-indices 0 --no-norm-output --ttt-steps 5 --draft-hidden-act gelu",
    ),
    ("peagle", "--num-layers 2 --num-speculative-tokens 4", "--num-layers 2 --num-depths 4"),
    (
        "dflash",
        "--num-layers 2 --block-size 4 --sample-from-anchor --sliding-window 64 --sliding-window-non-causal",
        "--num-layers 2 --block-size 4 --sample-from-anchor --sliding-window 64 --sliding-window-non-causal",
    ),
    (
        "dspark",
        "--num-layers 1 --markov-rank 8 --markov-head-type gated --full-attention-layers 0 --sliding-window-non-causal"
        " --confidence-head-with-markov false",
        "--num-layers 1 --markov-rank 8 --markov-head-type gated --full-attention-indices 0 --sliding-window-non-causal"
        " --no-confidence-head-with-markov",
    ),
    (
        "dspark",
        "--num-layers 1 --markov-rank 96 --markov-head-type rnn --enable-confidence-head false --block-size 5"
        " --sample-from-anchor false",
        "--num-layers 1 --markov-rank 96 --markov-head-type rnn --no-enable-confidence-head --block-size 5"
        " --no-sample-from-anchor",
    ),
]


def dry_run(
    verifier: Path, algorithm: str, reduced: bool, frequencies: Path, output: Path, options: str = ""
) -> None:
    """What `speculators train --dry-run` writes."""
    arguments = ["--dry-run", "--verifier-name-or-path", str(verifier), "--speculator-type", algorithm]
    arguments += ["--mask-token-id", str(MASK), "--save-path", str(output), "--log-dir", str(output / "logs")]
    arguments += ["--data-path", str(frequencies.parent), "--draft-attn-impl", "eager"]
    if reduced:
        arguments += ["--draft-vocab-size", str(DRAFT), "--token-freq-path", str(frequencies)]
    cli.main(TrainConfig.resolve(arguments + options.split()))
