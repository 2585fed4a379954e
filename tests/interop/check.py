"""Runs the peer checks and prints a table of what came out. `run` is the way to start it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import hub
import init
import llama_cpp
import probe
import sample
import vocab
from comparisons import convert, evaluate, keep_serving, there_and_back
from finding import Finding
from pairs import FIXTURES, PAIRS, make_pair, serve, served

ROOT = FIXTURES.parent
CONVERTED = ["safeailab", "safeailab-bin", "specforge"]
# Layouts the head of the fixtures is written in and brought back from.
EXPORTED = ["eagle", "specforge", "sglang", "gguf"]
# Draft tokens per step that the engines are compared with.
DRAFTS = range(1, 6)


def findings(options: argparse.Namespace) -> Iterator[Finding]:
    converted = options.work / "converted"
    if "vocab" not in options.skip:
        yield from vocab.findings(options.binary, options.work / "vocab")
    if "convert" not in options.skip:
        for layout in CONVERTED:
            yield convert(options.binary, FIXTURES, layout, converted / layout)
        for layout in EXPORTED:
            yield there_and_back(options.binary, FIXTURES, layout, options.work / "exported", converted)
    if "serve" not in options.skip:
        for layout in CONVERTED:
            yield keep_serving(FIXTURES, layout, converted / layout, options.work / "served" / layout)
        for layout in EXPORTED:
            back = f"from-{layout}"
            yield keep_serving(FIXTURES, back, converted / back, options.work / "served" / back)
        # Of the foreign layouts, vLLM counts the layers of this one as everybody does.
        exported = options.work / "exported" / "eagle"
        yield keep_serving(FIXTURES, "as eagle", exported, options.work / "served" / "as-eagle")
    if "init" not in options.skip:
        serving = "serve" not in options.skip
        yield from init.findings(options.binary, FIXTURES, options.work / "init", serving)
    if "hub" not in options.skip:
        server = ROOT / "target" / "debug" / "examples" / "hub"
        yield from hub.findings(server, options.binary, options.work / "hub", options.verifier_bytes)
    if options.llama_cpp:
        yield from llama_cpp.findings(
            options.llama_cpp, options.binary, options.work / "llama.cpp", options.work / "pairs"
        )
    if "evaluate" not in options.skip:
        yield from evaluations(options)
    if "sample" not in options.skip:
        yield from sample.findings(options.binary, options.work / "sample", options.pairs)
    if "probe" not in options.skip:
        for name in options.pairs:
            make_pair(name, options.work / "pairs")
        yield from probe.findings(options.binary, options.work / "pairs", options.pairs)


def evaluations(options: argparse.Namespace) -> Iterator[Finding]:
    """Chains of one to five draft tokens, with the heads of the fixtures and with those of the pairs."""
    work, prompts = options.work / "evaluated", "prompts.jsonl"

    def compare(subject: str, place: Path, head: Path, recorded: Path) -> Finding:
        return evaluate(options.binary, subject, place / "verifier", head, place / prompts, recorded, work)

    heads = FIXTURES / "heads"
    golden = {3: FIXTURES / "golden" / "vllm", 5: FIXTURES / "golden" / "vllm-5"}
    for number in DRAFTS:
        recorded = golden.get(number)
        if recorded is None:
            recorded = options.work / "served" / f"fixtures-{number}"
            recorded.parent.mkdir(parents=True, exist_ok=True)
            serve(FIXTURES / "verifier", heads / "speculators", FIXTURES / prompts, recorded, number)
        yield compare(f"fixtures, {number} drafts", FIXTURES, heads / "speculators", recorded)
    recorded = FIXTURES / "golden" / "vllm-defaults"
    yield compare("fixtures, defaults", FIXTURES, heads / "speculators-defaults", recorded)
    for name in options.pairs:
        pair = make_pair(name, options.work / "pairs")
        for number in DRAFTS:
            yield compare(f"{name}, {number} drafts", pair, pair / "head", served(pair, number))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "speculators")
    parser.add_argument("--work", type=Path, default=ROOT / "target" / "interop")
    parser.add_argument("--pairs", nargs="*", default=list(PAIRS), choices=list(PAIRS), metavar="NAME")
    checks = ["vocab", "convert", "serve", "init", "hub", "evaluate", "sample", "probe"]
    parser.add_argument("--skip", nargs="*", default=[], choices=checks, metavar="CHECK")
    parser.add_argument("--verifier-bytes", type=int, default=2 << 30, metavar="N", help="size of the sharded verifier")
    parser.add_argument("--llama-cpp", type=Path, metavar="DIRECTORY", help="sources of llama.cpp, built in `build`")
    options = parser.parse_args()
    options.work = options.work.absolute()
    options.binary = options.binary.absolute()

    # All of it is shown at the end, since training and serving talk a lot in between.
    results = list(findings(options))
    width = max(len(finding.subject) for finding in results)
    for finding in results:
        verdict = "ok  " if finding.passed else "FAIL"
        print(f"{verdict}  {finding.check:<8}  {finding.subject:<{width}}  {finding.detail}")
    return 0 if all(finding.passed for finding in results) else 1


if __name__ == "__main__":
    sys.exit(main())
