"""One comparison per question a user of both tools would ask."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import torch
from safetensors.torch import load_file
from speculators import SpeculatorModel

from finding import Finding
from pairs import serve
from transformers import AutoModelForCausalLM

# Two engines that round differently may choose differently between tokens whose logits are this close.
NEAR_TIE = 0.15
# And for the same reason a few drafts are other drafts: this part of the steps may differ.
OTHER_DRAFTS = 0.03


def run(command: list) -> str | None:
    """What a command prints, or None with its complaint shown when it fails."""
    completed = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    return completed.stdout if completed.returncode == 0 else None


def source_tensors(head: Path) -> dict[str, torch.Tensor]:
    """The tensors of a foreign head under the names this package gives them."""
    if (head / "model.safetensors").exists():
        tensors = load_file(head / "model.safetensors")
    else:
        tensors = torch.load(head / "pytorch_model.bin", weights_only=True)
    return {name.replace("midlayer.", "layers.0."): tensor for name, tensor in tensors.items()}


def convert(binary: Path, fixtures: Path, layout: str, destination: Path) -> Finding:
    """Is a converted head, as the Python package loads it, the head it was made from, bit for bit?"""
    head, verifier = fixtures / "heads" / layout, fixtures / "verifier"
    shutil.rmtree(destination, ignore_errors=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    command = [binary, "convert", head, "--verifier", verifier, "--algorithm", "eagle3", "--output-path", destination]
    if run(command) is None:
        return Finding("convert", layout, False, "the conversion failed")
    loaded = SpeculatorModel.from_pretrained(destination, dtype=torch.bfloat16).state_dict()
    expected = source_tensors(head)
    differing = [
        name
        for name, tensor in expected.items()
        if name not in loaded or loaded[name].dtype != tensor.dtype or not torch.equal(loaded[name], tensor)
    ]
    # What the package loads may come from elsewhere; the file itself has to hold every source tensor.
    differing += sorted(set(expected) - set(differing) - set(load_file(destination / "model.safetensors")))
    # The package fills these itself, whatever the checkpoint says. A source without an embedding is converted without
    # one, as the package's own converter does it: vLLM takes the verifier's, and so do we. What the package puts there
    # without being given a verifier is not defined in 0.9.0.
    filled = {"verifier_lm_head.weight", "verifier_norm.weight", "embed_tokens.weight"}
    unexpected = sorted(set(loaded) - set(expected) - filled)
    detail = f"{len(expected) - len(differing)} of {len(expected)} tensors equal"
    detail += f"; different or not written: {', '.join(differing)}" if differing else ""
    detail += f"; not in the source: {', '.join(unexpected)}" if unexpected else ""
    return Finding("convert", layout, not differing and not unexpected, detail)


def there_and_back(binary: Path, fixtures: Path, layout: str, exported: Path, converted: Path) -> Finding:
    """Does a head come back from another layout with the values it had, and does the Python package load it?"""
    head, verifier = fixtures / "heads" / "speculators", fixtures / "verifier"
    there, back = exported / layout, converted / f"from-{layout}"
    for directory in (there, back):
        shutil.rmtree(directory, ignore_errors=True)
        directory.parent.mkdir(parents=True, exist_ok=True)
    for source, target, destination in ((head, layout, there), (there, "speculators", back)):
        command = [binary, "convert", source, "--verifier", verifier, "--to", target, "-o", destination, "--strict"]
        if run(command) is None:
            return Finding("convert", f"to {layout} and back", False, f"the conversion to {target} failed")
    expected, found = (load_file(directory / "model.safetensors") for directory in (head, back))
    # GGUF files have their vectors in single precision: the values are the same, the dtype is not.
    differing = [name for name in expected if name not in found or not torch.equal(found[name].to(expected[name].dtype), expected[name])]
    loaded = SpeculatorModel.from_pretrained(back, dtype=torch.bfloat16).state_dict()
    differing += [name for name in expected if not torch.equal(loaded[name], expected[name])]
    detail = f"{len(expected) - len(set(differing))} of {len(expected)} tensors equal"
    detail += f"; different: {', '.join(sorted(set(differing)))}" if differing else ""
    return Finding("convert", f"to {layout} and back", not differing and set(found) == set(expected), detail)


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def keep_serving(fixtures: Path, layout: str, converted: Path, output: Path) -> Finding:
    """Does vLLM serve a converted head exactly as it serves the one it was made from?"""
    if not converted.exists():
        return Finding("serve", layout, False, "there is no converted head to serve")
    output.parent.mkdir(parents=True, exist_ok=True)
    serve(fixtures / "verifier", converted, fixtures / "prompts.jsonl", output)
    served, recorded = (
        json.loads(path.with_suffix(".json").read_text())["accepted_per_position"]
        for path in (output, fixtures / "golden" / "vllm")
    )
    same_lines = read_lines(output.with_suffix(".jsonl")) == read_lines(fixtures / "golden" / "vllm.jsonl")
    detail = f"accepted per position {served}, from the original {recorded}"
    detail += "" if same_lines else "; tokens or drafts differ"
    return Finding("serve", layout, served == recorded and same_lines, detail)


def first_difference(ours: list[int], theirs: list[int]) -> int | None:
    if ours == theirs:
        return None
    shared = min(len(ours), len(theirs))
    return next((position for position in range(shared) if ours[position] != theirs[position]), shared)


@torch.no_grad()
def margin(verifier: Path, line: dict, theirs: list[int], position: int) -> float:
    """How far apart, in float32, the verifier holds the two tokens that the engines chose at `position`."""
    ours = line["output_token_ids"]
    if position >= min(len(ours), len(theirs)):
        # One answer goes on where the other ends, which rounding does not explain.
        return float("inf")
    network = AutoModelForCausalLM.from_pretrained(verifier, dtype=torch.float32)
    logits = network(torch.tensor([line["prompt_token_ids"] + ours[:position]])).logits[0, -1]
    return abs(float(logits[ours[position]] - logits[theirs[position]]))


def evaluate(
    binary: Path, subject: str, verifier: Path, head: Path, prompts: Path, recorded: Path, work: Path
) -> Finding:
    """Do `speculators eval` and vLLM say the same tokens and accept the same drafts?"""
    run_of_vllm = json.loads(recorded.with_suffix(".json").read_text())
    work.mkdir(parents=True, exist_ok=True)
    outputs = work / f"{subject.replace(', ', '-').replace(' ', '-')}.jsonl"
    outputs.unlink(missing_ok=True)
    report = run(
        [
            *(binary, "eval", "--verifier", verifier, "--speculator", head, "--prompts", prompts),
            *("--num-speculative-tokens", run_of_vllm["num_speculative_tokens"]),
            *("--max-new-tokens", run_of_vllm["max_new_tokens"]),
            *("--format", "json", "--outputs", outputs),
        ]
    )
    if report is None:
        return Finding("evaluate", subject, False, "the evaluation failed")
    report = json.loads(report)
    ours = {line["id"]: line for line in read_lines(outputs)}
    theirs = {line["id"]: line["output_token_ids"] for line in read_lines(recorded.with_suffix(".jsonl"))}
    differing, largest = [], 0.0
    for name, answer in theirs.items():
        position = first_difference(ours[name]["output_token_ids"], answer)
        if position is not None:
            apart = margin(verifier, ours[name], answer, position)
            largest = max(largest, apart)
            differing.append(f"{name} at {position} by {apart:.3f}")

    counts, steps = report["counts"]["accepted_per_position"], report["counts"]["steps"]
    counts_of_vllm, steps_of_vllm = run_of_vllm["accepted_per_position"], run_of_vllm["num_drafts"]
    away = max(abs(count / steps - other / steps_of_vllm) for count, other in zip(counts, counts_of_vllm, strict=True))
    detail = f"{len(theirs) - len(differing)} of {len(theirs)} prompts identical; "
    detail += f"accepted {counts} in {steps} steps, vLLM {counts_of_vllm} in {steps_of_vllm}"
    detail += f"; lossless mismatches {report['lossless']['mismatched']}"
    detail += f"; different: {', '.join(differing)}" if differing else ""
    passed = largest <= NEAR_TIE and away <= OTHER_DRAFTS and report["lossless"]["mismatched"] == 0
    return Finding("evaluate", subject, passed, detail)
