"""What vLLM accepts when it samples, request by request.

Run as a program of its own, since an engine does not give its memory back:

    python tests/interop/sampled.py VERIFIER HEAD PROMPTS.jsonl OUTPUT.jsonl --num-speculative-tokens 3 --temperature 0.8

PROMPTS has a line with `id` and `prompt_token_ids` per request; OUTPUT gets one with its seed, its output and its steps
by how many draft tokens they accepted. Requests are served many at a time: what is accepted does not depend on that.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
# The model is so small that waiting for a second thread costs more than it does.
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")


import torch  # noqa: E402
import vllm  # noqa: E402
from vllm.v1.sample import rejection_sampler  # noqa: E402


def expand(values, ends, number: int, replace_from=0, replace_to=0):
    """A value per draft token, that of its request, from one per request and where the tokens of each end."""
    lengths = torch.diff(ends, prepend=ends.new_zeros(1))
    return torch.where(values == replace_from, replace_to, values).repeat_interleave(lengths, output_size=number)


# vLLM 0.32 on the CPU does this in integers, in a copy that it drops: temperature, top-k and top-p of draft tokens are
# whatever the memory held before, and next to nothing is accepted. On a GPU they are what this function returns.
rejection_sampler.expand_batch_to_tokens = expand


def serve(options: argparse.Namespace) -> list[dict]:
    """One record per request."""
    engine = vllm.LLM(
        model=str(options.verifier),
        speculative_config={
            "model": str(options.head),
            "num_speculative_tokens": options.num_speculative_tokens,
            "method": "eagle3",
            "draft_sample_method": options.draft,
        },
        dtype="bfloat16",
        max_model_len=1024,
        max_num_seqs=64,
        # The noise of drafts that are sampled, which does not depend on the seeds of requests.
        seed=options.seed,
        enforce_eager=True,
        enable_prefix_caching=False,
        disable_log_stats=False,
        per_request_spec_decode_metrics="detailed",
    )
    requests = [json.loads(line) for line in options.prompts.read_text().splitlines()]
    prompts = [{"prompt_token_ids": request["prompt_token_ids"]} for request in requests]
    sampling = [
        vllm.SamplingParams(
            temperature=options.temperature,
            max_tokens=options.max_new_tokens,
            seed=options.seed * 1_000_000 + number,
            top_p=options.top_p,
            top_k=options.top_k,
        )
        for number in range(len(requests))
    ]
    outputs = engine.generate(prompts, sampling, use_tqdm=False)
    return [
        {
            "id": request["id"],
            "output_token_ids": list(output.outputs[0].token_ids),
            "accepted_per_step": output.outputs[0].spec_decode_metrics.per_step_accepted,
        }
        for request, output in zip(requests, outputs, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verifier", type=Path)
    parser.add_argument("head", type=Path)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--num-speculative-tokens", type=int, default=3)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--top-k", type=int, default=0)
    parser.add_argument("--draft", choices=["greedy", "probabilistic"], default="greedy")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    records = serve(options)
    with options.output.open("w") as lines:
        lines.writelines(json.dumps(record) + "\n" for record in records)


if __name__ == "__main__":
    main()
