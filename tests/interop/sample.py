"""Acceptance where tokens are sampled: per position, against vLLM's own counts.

Sampling leaves nothing to compare token by token, so this compares shares: of the steps, how many accept at least one
draft token, at least two, … Each prompt is continued many times by both, each time with other noise. Steps of one
request are alike and requests of one prompt are, so the error of a share comes from drawing requests anew within each
prompt (bootstrap), never from counting steps.

A chain of the most likely drafts is accepted by sample-then-match as often as by vLLM's rejection sampling: a token
`x` with the probability `p(x)`, whatever was drafted before. Where the head draws its drafts, both sides reject by
`p(x) / q(x)`. vLLM has block verification on GPUs only, and on the CPU does without a word what it does by default.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy

from finding import Finding
from pairs import FIXTURES, make_pair
from transformers import AutoTokenizer

# Each prompt is continued so often that vLLM makes about this many tokens; ours cost less and are this many times as many.
TOKENS, OURS_FOR_EACH = 60_000, 2
NEW_TOKENS = 64
RESAMPLES = 1000
# Errors a difference may be away from 0. Of thirty shares, one is beyond 3.3 errors in one stage of forty by chance,
# and one or two beyond the 1.96 of a 95 % interval.
FARTHEST = 3.3


@dataclass
class Setting:
    """What is drafted for and how, in both engines."""

    pair: str | None
    drafts: int
    temperature: float = 0.8
    filters: dict[str, float] = field(default_factory=dict)
    # vLLM's drafting and our rule: by default both engines draft what is most likely.
    draft: str = "greedy"
    verification: str | None = None

    def __str__(self) -> str:
        words = [self.pair or "fixtures", f"{self.drafts} drafts", f"T {self.temperature}"]
        words += [f"{name} {value}" for name, value in self.filters.items()]
        words += [self.verification] if self.verification else []
        return ", ".join(words)


SETTINGS = [
    Setting(None, 3),
    Setting(None, 5),
    Setting(None, 3, filters={"top-p": 0.9, "top-k": 20}),
    Setting("llama3-rope-defaults", 5),
    Setting("qwen2-norm-output", 3),
    Setting("qwen3-qwen3-head", 4, 1.0),
    Setting(None, 3, draft="probabilistic", verification="rejection"),
    Setting("qwen2-norm-output", 3, draft="probabilistic", verification="rejection"),
]
# What is not alike has to be seen as such.
CONTROL, WRONG_TEMPERATURE = SETTINGS[4], 1.0


@dataclass
class Shares:
    """By prompt and request, the steps and those that accept at least 1, 2, … drafts: `[prompts, requests, 1 + K]`."""

    counts: numpy.ndarray
    tokens: int

    def value(self) -> numpy.ndarray:
        total = self.counts.sum((0, 1))
        return total[1:] / total[0]

    def error(self) -> numpy.ndarray:
        """Standard errors, by drawing as many requests of each prompt anew."""
        random = numpy.random.default_rng(0)
        prompts, requests, _ = self.counts.shape
        drawn = random.integers(requests, size=(RESAMPLES, prompts, requests))
        total = self.counts[numpy.arange(prompts)[:, None], drawn].sum((1, 2))
        return (total[:, 1:] / total[:, :1]).std(0, ddof=1)


def shares(requests: list[tuple[str, list[int], int]], drafts: int) -> Shares:
    """From the name of each request (of its prompt, `@` and a number), its steps by what they accept, its tokens."""
    by_prompt: dict[str, list[list[int]]] = {}
    for name, accepted, _ in requests:
        row = [len(accepted)] + [sum(count > position for count in accepted) for position in range(drafts)]
        by_prompt.setdefault(name.rpartition("@")[0], []).append(row)
    return Shares(numpy.array(list(by_prompt.values()), float), sum(tokens for *_, tokens in requests))


def write_requests(prompts: list[dict], times: int, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lines:
        for time in range(times):
            for prompt in prompts:
                request = {"id": f"{prompt['id']}@{time}", "prompt_token_ids": prompt["prompt_token_ids"]}
                lines.write(json.dumps(request) + "\n")
    return path


def flags(setting: Setting) -> list[str]:
    both = {"num-speculative-tokens": setting.drafts, "max-new-tokens": NEW_TOKENS, "temperature": setting.temperature}
    return [part for name, value in (both | setting.filters).items() for part in (f"--{name}", str(value))]


def theirs(setting: Setting, verifier: Path, head: Path, requests: Path, output: Path) -> Shares:
    program = Path(__file__).with_name("sampled.py")
    command = [sys.executable, program, verifier, head, requests, output, *flags(setting), "--draft", setting.draft]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lines = map(json.loads, output.read_text().splitlines())
    return shares(
        [(line["id"], line["accepted_per_step"], len(line["output_token_ids"])) for line in lines], setting.drafts
    )


def ours(setting: Setting, binary: Path, verifier: Path, head: Path, requests: Path, records: Path) -> Shares:
    command = [binary, "eval", "--verifier", verifier, "--speculator", head, "--prompts", requests, *flags(setting)]
    command += ["--seed", 1, "--records", records, "--force", "--format", "json"]
    command += ["--verification", setting.verification] if setting.verification else []
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    steps: dict[str, list[int]] = {}
    finished = []
    for line in map(json.loads, records.read_text().splitlines()):
        if line["record"] == "step" and line["proposed"]:
            steps.setdefault(line["id"], []).append(line["accepted"])
        elif line["record"] == "request":
            finished.append((line["id"], steps.get(line["id"], []), line["output_tokens"]))
    return shares(finished, setting.drafts)


class Stage:
    def __init__(self, binary: Path, work: Path) -> None:
        self.binary, self.work = binary, work

    def subject(self, setting: Setting) -> tuple[Path, Path, list[dict]]:
        """Verifier, head and prompts."""
        if setting.pair:
            pair = make_pair(setting.pair, self.work.parent / "pairs")
            lines = (pair / "prompts.jsonl").read_text().splitlines()
            return pair / "verifier", pair / "head", list(map(json.loads, lines))
        from make.text import prompt_token_ids

        verifier = FIXTURES / "verifier"
        tokenizer = AutoTokenizer.from_pretrained(verifier)
        lines = map(json.loads, (FIXTURES / "prompts.jsonl").read_text().splitlines())
        prompts = [{"id": line["id"], "prompt_token_ids": prompt_token_ids(line, tokenizer)} for line in lines]
        return verifier, FIXTURES / "heads" / "speculators", prompts

    def compare(self, setting: Setting) -> Iterator[Finding]:
        verifier, head, prompts = self.subject(setting)
        place = self.work / str(setting).replace(", ", "_").replace(" ", "-")
        # Answers are about as long as they may be; what falls short is seen in the number of tokens.
        times = -(-TOKENS // (len(prompts) * NEW_TOKENS * 3 // 4))
        few = write_requests(prompts, times, place / "theirs.jsonl")
        many = write_requests(prompts, times * OURS_FOR_EACH, place / "ours.jsonl")
        other = theirs(setting, verifier, head, few, place / "vllm.jsonl")
        own = ours(setting, self.binary, verifier, head, many, place / "records.jsonl")
        yield judge(str(setting), own, other)
        if setting is CONTROL:
            wrong = Setting(setting.pair, setting.drafts, WRONG_TEMPERATURE)
            own = ours(wrong, self.binary, verifier, head, many, place / "wrong.jsonl")
            found = judge(f"control: ours at T {WRONG_TEMPERATURE}", own, other)
            yield Finding(found.check, found.subject, not found.passed, f"has to be seen; {found.detail}")


def judge(subject: str, own: Shares, other: Shares) -> Finding:
    """Are our shares within the errors of vLLM's?"""
    values, others = own.value(), other.value()
    error, both = other.error(), numpy.hypot(own.error(), other.error())
    away = numpy.abs(values - others) / both
    inside = int((numpy.abs(values - others) <= 1.96 * error).sum())
    rows = zip(values, others, 1.96 * error, strict=True)
    detail = "; ".join(f"{a:.4f}, vLLM {b:.4f} ± {half:.4f}" for a, b, half in rows)
    detail += f"; {inside} of {len(values)} inside vLLM's 95 % interval, {away.max():.1f} errors away at most"
    detail += f"; {own.tokens} and {other.tokens} tokens"
    return Finding("sample", subject, bool(away.max() <= FARTHEST), detail)


def findings(binary: Path, work: Path, pairs: list[str]) -> Iterator[Finding]:
    """A finding per setting of the fixtures and of `pairs`, and one for the control."""
    stage = Stage(binary, work)
    for setting in SETTINGS:
        if setting.pair is None or setting.pair in pairs:
            yield from stage.compare(setting)
