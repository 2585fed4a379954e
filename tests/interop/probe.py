"""Whether `probe` finds what is wrong in the metadata of heads that are not among the fixtures.

    python tests/interop/probe.py BINARY DIRECTORY

takes the pairs in DIRECTORY, as `pairs.py` leaves them, and prints a row for each wrong that is planted.
Each is one change of a copy's config; what has to come out is what the config said before.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from finding import Finding

IDS = "eagle_aux_hidden_state_layer_ids"
ROPE = "rope_parameters"


def shifted(by: int):
    return lambda config: {IDS: [layer + by for layer in config[IDS]]}


def flipped(*keys: str):
    return lambda config: {key: not config[key] for key in keys}


def rope(**changes):
    def planted(config: dict) -> dict:
        return {ROPE: config["transformer_layer_config"][ROPE] | changes}

    return planted


def unscaled(config: dict) -> dict:
    theta = config["transformer_layer_config"][ROPE]["rope_theta"]
    return {ROPE: {"rope_type": "default", "rope_theta": theta}}


def together(*wrongs):
    return lambda config: {key: value for wrong in wrongs for key, value in wrong(config).items()}


# Name of the pair, what is planted, and how.
PLANTED = [
    ("llama3-rope-defaults", "layers one lower", shifted(-1)),
    ("llama3-rope-defaults", "norm_before_residual flipped", flipped("norm_before_residual")),
    ("llama3-rope-defaults", "RoPE without its scaling", unscaled),
    ("llama3-rope-two-layers-full-vocabulary", "layers one higher", shifted(1)),
    ("llama3-rope-two-layers-full-vocabulary", "theta 500000 for 20000", rope(rope_theta=500000.0)),
    ("qwen2-fc-norm", "norm_output flipped", flipped("norm_output")),
    ("qwen2-fc-norm", "theta 1000000 for 10000", rope(rope_theta=1000000.0)),
    ("qwen2-norm-output", "norm_output flipped", flipped("norm_output")),
    ("qwen2-norm-output", "layers one lower", shifted(-1)),
    ("qwen3-norm-before-fc", "norm_before_residual flipped", flipped("norm_before_residual")),
    ("qwen3-norm-before-fc", "layers one higher and both flags", together(
        shifted(1), flipped("norm_before_residual", "norm_output"))),
    ("qwen3-qwen3-head", "layers one higher", shifted(1)),
    ("qwen3-qwen3-head", "theta 500000 for 10000", rope(rope_theta=500000.0)),
]


def probe(binary: Path, pair: Path, head: Path) -> dict:
    command = [binary, "probe", "--verifier", pair / "verifier", "--speculator", head, "--tokens", "1000",
               "--prompts", pair / "prompts.jsonl", "--format", "json", "--quiet"]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if not run.stdout:
        raise RuntimeError(run.stderr)
    return json.loads(run.stdout) | {"status": run.returncode}


def said(config: dict, key: str):
    return config["transformer_layer_config"][ROPE] if key == ROPE else config[key]


def taken(report: dict, key: str):
    """What the reading taken says, in the words of a config."""
    reading = report["taken"]
    if key == IDS:
        return reading["aux_layer_ids"]
    if key == ROPE:
        scaling = {name: value for name, value in reading["rope"]["scaling"].items() if value is not None}
        return scaling | {"rope_theta": reading["rope"]["theta"]}
    return reading[key]


def judged(report: dict, config: dict, wrong: dict) -> tuple[bool, str]:
    """Whether exactly what was planted was picked, and put right."""
    picked = {answer["key"] for answer in report["answers"] if answer["verdict"] == "picked"}
    undecided = [answer["key"] for answer in report["answers"] if answer["verdict"] == "undecided"]
    right = all(taken(report, key) == said(config, key) for key in wrong)
    before, after = report["before"]["accepted"], report["after"]["accepted"]
    detail = f"picked {', '.join(sorted(picked)) or 'nothing'}, {before:.2f} -> {after:.2f} of 3 accepted"
    if undecided:
        detail += f"; undecided: {', '.join(undecided)}"
    return right and picked == set(wrong) and not undecided, detail


def findings(binary: Path, pairs: Path, names: list[str]) -> Iterator[Finding]:
    for name in names:
        pair = pairs / name
        report = probe(binary, pair, pair / "head")
        passed, detail = judged(report, json.loads((pair / "head" / "config.json").read_text()), {})
        yield Finding("probe", f"{name}: as it is", passed and report["status"] == 0, detail)
    for name, what, plant in PLANTED:
        if name not in names:
            continue
        pair = pairs / name
        with tempfile.TemporaryDirectory() as directory:
            head = Path(directory) / "head"
            shutil.copytree(pair / "head", head)
            config = json.loads((head / "config.json").read_text())
            wrong = plant(config)
            spoiled = json.loads(json.dumps(config))
            for key, value in wrong.items():
                (spoiled["transformer_layer_config"] if key == ROPE else spoiled)[key] = value
            (head / "config.json").write_text(json.dumps(spoiled))
            report = probe(binary, pair, head)
        passed, detail = judged(report, config, wrong)
        yield Finding("probe", f"{name}: {what}", passed and report["status"] == 1, detail)


if __name__ == "__main__":
    directory = Path(sys.argv[2])
    names = sorted({name for name, _, _ in PLANTED if (directory / name).is_dir()})
    for found in findings(Path(sys.argv[1]), directory, names):
        print("ok  " if found.passed else "FAIL", found.subject, "|", found.detail, flush=True)
