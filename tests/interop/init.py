"""Does `init` start the heads that the Python package starts, and do the package and vLLM take them?"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from speculators import SpeculatorModel, SpeculatorModelConfig

import init_cases as cases
from comparisons import read_lines, run
from finding import Finding
from pairs import serve

# Keys that are not compared: they name the programs that wrote the file.
PROGRAMS = {"transformers_version", "auto_map."}
ABSENT = object()


def is_llama_draft(_verifier: dict, ours: dict) -> bool:
    return ours["transformer_layer_config.model_type"] == "llama"


def drafts_in_parallel(verifier: dict, ours: dict) -> bool:
    return has_axes(verifier) and ours["speculators_model_type"] != "eagle3"


def has_axes(verifier: dict) -> bool:
    return "mrope_section" in json.dumps(verifier)


def text(verifier: dict) -> dict:
    return verifier.get("text_config", verifier)


def has_other_than_three_states(_verifier: dict, ours: dict) -> bool:
    llama = ours["transformer_layer_config.model_type"] == "llama"
    return llama and len(ours.get("eagle_aux_hidden_state_layer_ids", [0, 0, 0])) != 3


# Every difference there may be: key, where it applies, what ours is then, and why. Anything else fails, and so does an
# exception that is not one any more: where one applies, ours has to be what it says.
EXCEPTIONS: list[tuple[str, Callable, Callable, str]] = [
    (
        "transformer_layer_config.bos_token_id",
        is_llama_draft,
        lambda verifier: text(verifier).get("bos_token_id"),
        "the package writes the default of its class, 1, whatever the verifier's is",
    ),
    (
        "transformer_layer_config.eos_token_id",
        is_llama_draft,
        lambda verifier: text(verifier).get("eos_token_id"),
        "the package writes the default of its class, 2, whatever the verifier's is",
    ),
    (
        "transformer_layer_config.rope_parameters.mrope_section",
        drafts_in_parallel,
        lambda _verifier: ABSENT,
        "vLLM 0.32 refuses to draft in parallel on several axes, and a text has the same position on all",
    ),
    (
        "transformer_layer_config.rope_parameters.partial_rotary_factor",
        drafts_in_parallel,
        lambda _verifier: ABSENT,
        "written by the package beside the axes only",
    ),
    (
        "transformer_layer_config.num_aux_hidden_states",
        has_other_than_three_states,
        lambda _verifier: 4,
        "vLLM counts the states of a Llama draft by it, and takes three without it",
    ),
]


def flat(value: dict, prefix: str = "") -> dict:
    result = {}
    for key, item in value.items():
        if isinstance(item, dict):
            result.update(flat(item, f"{prefix}{key}."))
        else:
            result[prefix + key] = item
    return result


def differences(verifier: dict, ours: dict, theirs: dict) -> tuple[list[str], int]:
    """What differs and is no exception; and how many exceptions were met."""
    ours = {key: value for key, value in flat(ours).items() if not key.startswith("initialization.")}
    theirs, found, met = flat(theirs), [], 0
    excepted = {key: wanted(verifier) for key, applies, wanted, _ in EXCEPTIONS if applies(verifier, ours)}
    for key in sorted((set(ours) | set(theirs)) - PROGRAMS):
        mine, other = ours.get(key, ABSENT), theirs.get(key, ABSENT)
        if key in excepted:
            met += mine != other
            if mine != excepted[key]:
                found.append(f"{key} is {mine}, not {excepted[key]}")
        elif mine != other:
            found.append(f"{key} is {mine}, in the package's {other}")
    return found, met


def moments(tensor: torch.Tensor) -> tuple[float, float, float]:
    """Mean, standard deviation and fourth moment in units of it."""
    values = tensor.double().flatten()
    mean, deviation = values.mean().item(), values.std(unbiased=False).item()
    return mean, deviation, ((values - mean) / max(deviation, 1e-30)).pow(4).mean().item()


def same_distribution(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """Within six standard errors of a difference; few elements tell little, and are let through."""
    if bool((theirs == theirs.flatten()[0]).all()) and theirs.numel() > 1:
        return torch.equal(ours, theirs)
    count = theirs.numel()
    if count < 64:
        return bool(ours.abs().max() < 8 * theirs.abs().max() + 1)
    (mean, deviation, fourth), (other_mean, other_deviation, other_fourth) = moments(ours), moments(theirs)
    error = 6 * (2 / count) ** 0.5
    close = abs(mean - other_mean) < error * other_deviation and abs(deviation / other_deviation - 1) < error
    # A uniform distribution has 1.8 where a normal one has 3.
    return close and (count < 4096 or abs(fourth - other_fourth) < 0.6)


def tensor_differences(ours: dict, theirs: dict, verifier: Path) -> list[str]:
    found = [f"{name} is only in one" for name in sorted(set(ours) ^ set(theirs))]
    source = {}
    for shard in verifier.glob("*.safetensors"):
        source.update(load_file(shard))
    for name in sorted(set(ours) & set(theirs)):
        mine, other = ours[name], theirs[name]
        if (mine.shape, mine.dtype) != (other.shape, other.dtype):
            found.append(f"{name} is {mine.dtype} {list(mine.shape)}, in the package's {other.dtype} {list(other.shape)}")
        elif name in ("embed_tokens.weight", "lm_head.weight", "d2t", "t2d"):
            if not torch.equal(mine, other):
                found.append(f"{name} differs")
        elif not same_distribution(mine, other):
            found.append(f"{name} is distributed as {moments(mine)}, in the package's as {moments(other)}")
    return found


def load(head: Path) -> list[str]:
    """What the package misses or does not expect when it loads a head, and what it then has otherwise than the file."""
    config = SpeculatorModelConfig.from_pretrained(head)
    family = SpeculatorModel.registered_model_class_from_config(config)
    _, info = super(SpeculatorModel, family).from_pretrained(head, config=config, output_loading_info=True)
    found = [f"{kind}: {sorted(info[kind])}" for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[kind]]
    loaded = SpeculatorModel.from_pretrained(head, dtype=torch.bfloat16).state_dict()
    written = load_file(head / "model.safetensors")
    return found + [f"{name} differs when loaded" for name, value in written.items() if not torch.equal(loaded[name], value)]


def start(
    binary: Path, verifier: Path, algorithm: str, reduced: bool, counts: Path, output: Path, options: str
) -> bool:
    command = [binary, "init", "--verifier", verifier, "--algorithm", algorithm, "--output-path", output, "--force"]
    if algorithm != "eagle3":
        command += ["--mask-token-id", cases.MASK]
    if reduced:
        command += ["--draft-vocab-size", cases.DRAFT, "--token-freq", counts]
    command += options.split()
    return run(command) is not None and run([binary, "validate", output]) is not None


def with_head_dim(verifier: Path, work: Path) -> Path:
    """The verifier with `head_dim` written down, which the package cannot do without for Qwen 3 layers."""
    directory = work / "verifiers-with-head-dim" / verifier.name
    shutil.copytree(verifier, directory, dirs_exist_ok=True)
    config = json.loads((verifier / "config.json").read_text())
    config["head_dim"] = config["hidden_size"] // config["num_attention_heads"]
    (directory / "config.json").write_text(json.dumps(config, indent=2))
    return directory


def compare(
    binary: Path, name: str, algorithm: str, work: Path, options: tuple[str, str] = ("", ""), number: str = ""
) -> Finding:
    """One verifier, one kind of head: config, tensors, values, and loading."""
    subject = f"{name}, {algorithm}{number}"
    verifier, counts = cases.make_verifier(name, work), cases.counts(work)
    reduced = cases.is_reduced(name, algorithm)
    ours, theirs = (work / whose / f"{name}-{algorithm}{number}" for whose in ("ours", "package"))
    shutil.rmtree(theirs, ignore_errors=True)
    ours.parent.mkdir(parents=True, exist_ok=True)
    if not start(binary, verifier, algorithm, reduced, counts, ours, options[0]):
        return Finding("init", subject, False, "not started, or not valid")
    note, taken = "", verifier
    try:
        cases.dry_run(verifier, algorithm, reduced, counts, theirs, options[1])
    except Exception as error:  # noqa: BLE001
        if "head_dim" not in str(error):
            return Finding("init", subject, False, f"the package fails: {error}")
        note, taken = "; the package fails without `head_dim`, compared with it", with_head_dim(verifier, work)
        cases.dry_run(taken, algorithm, reduced, counts, theirs, options[1])
    config, other = (json.loads((head / "config.json").read_text()) for head in (ours, theirs))
    other["speculators_config"]["verifier"]["name_or_path"] = str(verifier)
    found, met = differences(json.loads((verifier / "config.json").read_text()), config, other)
    tensors, expected = (load_file(head / "model.safetensors") for head in (ours, theirs))
    found += tensor_differences(tensors, expected, verifier) + load(ours)
    detail = f"{len(flat(other))} keys, {met} documented differences, {len(tensors)} tensors{note}"
    return Finding("init", subject, not found, "; ".join(found) if found else detail)


def same_seed(binary: Path, work: Path) -> Finding:
    """The same seed gives the same bytes; another one other random values and the same copies."""
    verifier, counts = cases.make_verifier("llama3", work), cases.counts(work)
    files = []
    for directory, seed in (("first", 1), ("again", 1), ("other", 2)):
        output = work / "seeds" / directory
        output.parent.mkdir(parents=True, exist_ok=True)
        command = [binary, "init", "--verifier", verifier, "--output-path", output, "--force", "--seed", seed]
        if run([*command, "--draft-vocab-size", cases.DRAFT, "--token-freq", counts]) is None:
            return Finding("init", "seeds", False, "not started")
        files.append(output / "model.safetensors")
    first, again, other = files
    same = first.read_bytes() == again.read_bytes()
    one, two = load_file(first), load_file(other)
    changed = sorted(name for name in one if not torch.equal(one[name], two[name]))
    wanted = sorted(name for name, value in one.items() if "norm" not in name and name not in ("embed_tokens.weight", "lm_head.weight", "d2t", "t2d"))
    return Finding("init", "seeds", same and changed == wanted, f"same bytes: {same}; {len(changed)} tensors change with the seed")


def served(binary: Path, fixtures: Path, work: Path) -> Finding:
    """vLLM serves a fresh head: nothing is accepted to speak of, and the tokens are those of the verifier."""
    head, output = work / "served" / "head", work / "served" / "outputs"
    head.parent.mkdir(parents=True, exist_ok=True)
    if run([binary, "init", "--verifier", fixtures / "verifier", "--output-path", head, "--force"]) is None:
        return Finding("init", "served by vLLM", False, "not started")
    serve(fixtures / "verifier", head, fixtures / "prompts.jsonl", output)
    accepted = json.loads(output.with_suffix(".json").read_text())
    ours = {line["id"]: line["output_token_ids"] for line in read_lines(output.with_suffix(".jsonl"))}
    plain = {line["id"]: line["output_token_ids"] for line in read_lines(fixtures / "golden" / "vllm.jsonl")}
    differing = [name for name in plain if ours.get(name) != plain[name]]
    detail = f"{len(plain) - len(differing)} of {len(plain)} prompts as the verifier alone"
    detail += f"; accepted per position {accepted['accepted_per_position']} in {accepted['num_drafts']} steps"
    return Finding("init", "served by vLLM", not differing, detail)


def findings(binary: Path, fixtures: Path, work: Path, serving: bool) -> Iterator[Finding]:
    for name in cases.NAMES:
        for algorithm in cases.ALGORITHMS:
            yield compare(binary, name, algorithm, work)
    for number, (algorithm, ours, theirs) in enumerate(cases.OPTIONS):
        yield compare(binary, "llama3", algorithm, work, (ours, theirs), f" with options {number + 1}")
    yield same_seed(binary, work)
    if serving:
        yield served(binary, fixtures, work)
