"""This tool and Python's `huggingface_hub` against one Hub: each reads what the other fetched, and parts cost what parts cost.

The Hub is the one of the tests (`cargo run --example hub`); it records every request. `run` starts this with the other
checks; by itself it is

    python tests/interop/hub.py [--binary PROGRAM] [--hub PROGRAM] [--verifier-bytes N] [--work DIRECTORY]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ["NO_PROXY"] = "127.0.0.1"

from huggingface_hub import HfApi, constants, hf_hub_download, scan_cache_dir, snapshot_download
from huggingface_hub.utils import disable_progress_bars

from finding import Finding

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "hf_ThisIsASecretToken"
# What `pull --only` may move beyond the tensors themselves: headers, index, config, tokenizer.
BESIDES = 2 << 20
# Anonymous memory it may take.
MEMORY = 128 << 20
SHARED = ["model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"]

# The Hub of the tests has no Xet, and Python's client would insist on it for uploads.
constants.HF_HUB_DISABLE_XET = True
disable_progress_bars()


class Hub:
    """The server, and its records."""

    def __init__(self, program: Path, root: Path):
        self.process = subprocess.Popen([program, root], stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip()

    def ask(self, method: str, path: str, body: str | None = None):
        request = urllib.request.Request(self.endpoint + path, method=method, data=body.encode() if body else None)
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def requests(self) -> list[dict]:
        return self.ask("GET", "/_requests")

    def forget(self) -> None:
        self.ask("DELETE", "/_requests")

    def moved(self) -> int:
        """Bytes of files that were sent since the records were cleared."""
        return sum(request["sent"] for request in self.requests() if request["content"])

    def publish(self, repository: str, directory: Path, branch: str = "main") -> str:
        wish = {"repository": repository, "branch": branch, "directory": str(directory)}
        return self.ask("POST", "/_publish", json.dumps(wish))["commit"]


@contextmanager
def serving(program: Path, root: Path) -> Iterator[Hub]:
    hub = Hub(program, root)
    try:
        yield hub
    finally:
        hub.process.kill()
        hub.process.wait()


def environment(hub: Hub, home: Path, **more: str) -> dict[str, str]:
    ours = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "HF_TOKEN": TOKEN, "NO_COLOR": "1"}
    return {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | ours | more


class Trouble(Exception):
    """A command failed, or something is not as it should be."""


def speculators(binary: Path, hub: Hub, home: Path, *arguments: str, **variables: str) -> Path:
    """Runs this tool in `home`; the directory it prints."""
    home.mkdir(parents=True, exist_ok=True)
    completed = subprocess.run(
        [binary, *arguments], cwd=home, env=environment(hub, home, **variables), capture_output=True, text=True
    )
    if TOKEN in completed.stdout + completed.stderr:
        raise Trouble("the token is shown")
    if completed.returncode != 0:
        raise Trouble(f"{' '.join(arguments)}: {completed.stderr.strip()}")
    return home / completed.stdout.strip().splitlines()[-1]


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise Trouble(what)


def make_repository(directory: Path, seed: int = 0) -> None:
    """A model with small files, files in LFS, a file in a directory, an empty one, and two of the same content."""
    noise = random.Random(seed)
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "original").mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps({"seed": seed}))
    (directory / "README.md").write_text("# A model\n" * 50)
    (directory / "empty.txt").write_text("")
    (directory / "tokenizer.json").write_bytes(noise.randbytes(2_000_000))
    (directory / "model.safetensors").write_bytes(noise.randbytes(5_000_000))
    (directory / "original" / "params.json").write_text("{}")
    (directory / "original" / "copy.json").write_text("{}")


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def structure(cache: Path) -> dict[str, str]:
    """Every entry of a cache and what it is, without what Python's client keeps beside the files."""
    entries = {}
    for path in sorted(cache.rglob("*")):
        name = str(path.relative_to(cache))
        if path.is_dir() and not path.is_symlink():
            continue
        if name == "CACHEDIR.TAG" or "/trees/" in name or name.startswith(".locks"):
            continue
        entries[name] = f"-> {os.readlink(path)}" if path.is_symlink() else path.read_bytes().hex()
    return entries


def python_first(binary: Path, hub: Hub, work: Path) -> str:
    home = work / "python-first"
    cache = home / "hub"
    theirs = snapshot_download("org/model", endpoint=hub.endpoint, cache_dir=cache)
    hub.forget()
    ours = speculators(binary, hub, home, "pull", "org/model")
    expect(str(ours) == theirs, f"{ours} is not {theirs}")
    expect(hub.moved() == 0, f"{hub.moved()} bytes were fetched again")
    hub.forget()
    offline = speculators(binary, hub, home, "pull", "org/model", HF_HUB_OFFLINE="1")
    expect(offline == ours and not hub.requests(), "offline is not what it was, or asked")
    return "no byte fetched again, online and offline"


def ours_first(binary: Path, hub: Hub, work: Path) -> str:
    home = work / "ours-first"
    cache = home / "hub"
    ours = speculators(binary, hub, home, "pull", "org/model")
    expect(contents(ours) == contents(work / "root" / "org" / "model"), "the files differ")
    mine = structure(cache)
    hub.forget()
    common = {"cache_dir": cache, "endpoint": hub.endpoint}
    expect(snapshot_download("org/model", local_files_only=True, **common) == str(ours), "the snapshot is another")
    for name in contents(ours):
        found = hf_hub_download("org/model", name, local_files_only=True, **common)
        expect(found == str(ours / name), f"{name} is not found")
    expect(not hub.requests(), "local files were asked for")
    expect(snapshot_download("org/model", **common) == str(ours), "the snapshot is another, online")
    expect(hub.moved() == 0, f"{hub.moved()} bytes were fetched again")
    report = scan_cache_dir(cache)
    expect(not report.warnings, f"scan_cache_dir: {report.warnings}")
    expect(len(report.repos) == 1, "scan_cache_dir finds another number of repositories")
    expect(structure(cache) == mine, "Python's client changed the cache")
    theirs = work / "only-python" / "hub"
    snapshot_download("org/model", cache_dir=theirs, endpoint=hub.endpoint)
    differing = sorted(set(mine.items()) ^ set(structure(theirs).items()))
    expect(not differing, f"laid out differently: {[name for name, _ in differing]}")
    return f"{len(mine)} entries of the cache as Python's client lays them out"


def revisions(binary: Path, hub: Hub, work: Path) -> str:
    home = work / "revisions"
    common = {"cache_dir": home / "hub", "endpoint": hub.endpoint}
    first = snapshot_download("org/model", **common)
    hub.ask("POST", "/_tag", json.dumps({"repository": "org/model", "tag": "v1", "revision": "main"}))
    state = work / "states" / "second"
    make_repository(state)
    changed = (state / "config.json").write_text('{"moved": true}')
    commit = hub.publish("org/model", state)
    hub.forget()
    second = speculators(binary, hub, home, "pull", "org/model")
    expect(second.name == commit, "the branch did not move")
    expect(hub.moved() == changed, f"{hub.moved()} bytes for {changed} that changed")
    expect(snapshot_download("org/model", local_files_only=True, **common) == str(second), "refs/main was not moved")
    for name, expected in [("v1", first), (Path(first).name, first), ("main", str(second)), (commit, str(second))]:
        ours = speculators(binary, hub, home, "pull", f"org/model@{name}")
        expect(str(ours) == expected, f"{name} is another commit")
        theirs = snapshot_download("org/model", revision=name, local_files_only=True, **common)
        expect(theirs == expected, f"Python finds another {name}")
    hub.publish("org/model", work / "root" / "org" / "model")
    return "branch, tag, commit, and a branch that moved"


def pushed(binary: Path, hub: Hub, work: Path) -> str:
    home = work / "pushed"
    head = work / "checkpoint"
    shutil.rmtree(head, ignore_errors=True)
    shutil.copytree(ROOT / "fixtures" / "heads" / "speculators", head)
    speculators(binary, hub, home, "push", str(head), "org/pushed")
    snapshot = Path(snapshot_download("org/pushed", cache_dir=home / "hub", endpoint=hub.endpoint, token=TOKEN))
    found = contents(snapshot)
    for name, content in contents(head).items():
        if name != "README.md":
            expect(found.get(name) == content, f"{name} is not what was pushed")
    expect("README.md" in found, "there is no card")
    expect(not any(TOKEN.encode() in content for content in found.values()), "the token was pushed")
    commits = [request for request in hub.requests() if "/commit/" in request["path"]]
    hub.forget()
    speculators(binary, hub, home, "push", str(head), "org/pushed")
    sent = sum(request["received"] for request in hub.requests() if request["method"] == "PUT")
    expect(sent == 0, f"{sent} bytes were uploaded again")
    return f"{len(found)} files in {len(commits)} commit, read back by Python's client"


def make_verifier(directory: Path, size: int) -> int:
    """A sharded verifier of about `size` bytes; the bytes of the shared tensors. What lies between them is a hole."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    hidden, shards = 2048, 8
    vocabulary = size // 8 // (2 * hidden)
    filler = (size - 2 * vocabulary * hidden * 2) // shards // 2
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "vocab_size": vocabulary,
        "num_hidden_layers": shards,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "intermediate_size": 4 * hidden,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer.json").write_text(json.dumps({"version": "1.0", "filler": "x" * 500_000}))
    (directory / "tokenizer_config.json").write_text("{}")
    large, noise = [vocabulary, hidden], random.Random(0)
    weights, shared = {}, 0
    for number in range(shards):
        tensors = [(f"model.layers.{number}.mlp.up_proj.weight", [filler // 2], False)]
        if number == 0:
            tensors.append((SHARED[0], large, True))
        tensors.append((f"model.layers.{number}.mlp.down_proj.weight", [filler - filler // 2], False))
        if number == shards - 1:
            tensors += [(SHARED[1], large, True), (SHARED[2], [hidden], True)]
        header, at = {}, 0
        for name, shape, _ in tensors:
            length = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + length]}
            at += length
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        path = directory / f"model-{number + 1:05}-of-{shards:05}.safetensors"
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            begin = file.tell()
            for name, _, filled in tensors:
                weights[name] = path.name
                first, last = header[name]["data_offsets"]
                file.seek(begin + first)
                while filled and first < last:
                    piece = min(last - first, 16 << 20)
                    file.write(noise.randbytes(piece))
                    first += piece
                shared += last - header[name]["data_offsets"][0] if filled else 0
            file.truncate(begin + at)
    index = {"metadata": {"total_size": size}, "weight_map": weights}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    return shared


def tensors(directory: Path) -> dict[str, tuple[Path, int, int]]:
    """Where the tensors of a directory lie: file, offset and length."""
    found = {}
    for path in sorted(directory.glob("*.safetensors")):
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                first, last = entry["data_offsets"]
                found[name] = (path, 8 + length + first, last - first)
    return found


def same_bytes(one: tuple[Path, int, int], other: tuple[Path, int, int]) -> bool:
    if one[2] != other[2]:
        return False
    with open(one[0], "rb") as first, open(other[0], "rb") as second:
        first.seek(one[1])
        second.seek(other[1])
        left = one[2]
        while left > 0:
            piece = min(left, 16 << 20)
            if first.read(piece) != second.read(piece):
                return False
            left -= piece
    return True


def watched(binary: Path, hub: Hub, home: Path, *arguments: str) -> tuple[Path, float, int]:
    """Runs this tool in `home`; the directory it prints, its seconds, the most anonymous memory it had, in bytes."""
    home.mkdir(parents=True)
    started = time.monotonic()
    process = subprocess.Popen(
        [binary, *arguments],
        cwd=home,
        env=environment(hub, home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    most = 0

    def sample() -> None:
        nonlocal most
        while process.poll() is None:
            try:
                lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            except OSError:
                return
            held = [int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")]
            most = max([most, *held])
            time.sleep(0.01)

    sampler = threading.Thread(target=sample)
    sampler.start()
    stdout, stderr = process.communicate()
    seconds = time.monotonic() - started
    sampler.join()
    if process.returncode != 0:
        raise Trouble(f"{' '.join(arguments)}: {stderr.strip()}")
    return home / stdout.strip().splitlines()[-1], seconds, most


def curl(hub: Hub, source: dict[str, tuple[Path, int, int]], goal: Path) -> float:
    """Seconds that curl takes for the byte ranges of the shared tensors, all at once."""
    shutil.rmtree(goal, ignore_errors=True)
    goal.mkdir(parents=True)
    requests = []
    for number, name in enumerate(SHARED):
        path, offset, length = source[name]
        url = f"{hub.endpoint}/org/verifier/resolve/main/{path.name}"
        requests.append(f'url = "{url}"\nrange = {offset}-{offset + length - 1}\noutput = "{goal / str(number)}"\nlocation\nsilent\n')
    started = time.monotonic()
    subprocess.run(["curl", "--parallel", "--no-progress-meter", "--config", "-"], input="next\n".join(requests), text=True, check=True)
    return time.monotonic() - started


def partial(binary: Path, hub: Hub, work: Path, size: int) -> Iterator[tuple[str, Callable[[], str]]]:
    directory = work / "root" / "org" / "verifier"
    shared = make_verifier(directory, size)
    source = tensors(directory)
    arguments = ["pull", "org/verifier", "--only", "embed_tokens,lm_head,norm"]
    # Hashes are the Hub's own, which has long had them when somebody asks.
    hub.ask("GET", "/api/models/org/verifier/tree/main")

    def fetch(name: str) -> tuple[Path, float, int]:
        home = work / name
        shutil.rmtree(home, ignore_errors=True)
        hub.forget()
        found, seconds, memory = watched(binary, hub, home, *arguments)
        fetched = tensors(found)
        for tensor in SHARED:
            expect(tensor in fetched, f"{tensor} is missing in {found}")
            expect(same_bytes(fetched[tensor], source[tensor]), f"{tensor} has other bytes")
        return found, seconds, memory

    def moves() -> str:
        fetch("partial")
        over = hub.moved() - shared
        expect(over <= BESIDES, f"{over:,} bytes beside the tensors")
        whole = sum(path.stat().st_size for path in directory.iterdir())
        return f"{hub.moved():,} of {whole:,} bytes, {over:,} beside the tensors"

    def cut() -> str:
        hub.ask("POST", "/_faults", f"cut={max(shared // 40, 1)},path=.safetensors,on=cdn,after=9,times=10")
        try:
            fetch("partial-cut")
        finally:
            hub.ask("DELETE", "/_faults")
        over = hub.moved() - shared
        expect(over <= BESIDES, f"{over:,} bytes beside the tensors")
        return f"right bytes after ten cuts, {over:,} beside the tensors"

    def timed() -> str:
        runs = [(curl(hub, source, work / "curl"), *fetch("partial-timed")[1:]) for _ in range(3)]
        theirs = min(run[0] for run in runs)
        ours = min(run[1] for run in runs)
        memory = max(run[2] for run in runs)
        expect(memory <= MEMORY, f"{memory >> 20} MiB of anonymous memory")
        return f"{ours:.2f} s, curl {theirs:.2f} s (ratio {ours / theirs:.2f}); {memory >> 20} MiB of anonymous memory"

    yield "only shared tensors", moves
    yield "ten cuts", cut
    yield "time and memory", timed


def findings(program: Path, binary: Path, work: Path, size: int) -> Iterator[Finding]:
    shutil.rmtree(work, ignore_errors=True)
    (work / "states").mkdir(parents=True)
    make_repository(work / "root" / "org" / "model")
    with serving(program, work / "root") as hub:
        checks = [
            (check.__name__.replace("_", " "), lambda check=check: check(binary, hub, work))
            for check in (python_first, ours_first, revisions, pushed)
        ]
        for subject, check in [*checks, *partial(binary, hub, work, size)]:
            hub.forget()
            try:
                detail = check()
                leaks = [request["path"] for request in hub.requests() if leaked(request)]
                expect(not leaks, f"the token was sent to the storage: {leaks}")
                yield Finding("hub", subject, True, detail)
            except Exception as trouble:
                yield Finding("hub", subject, False, f"{type(trouble).__name__}: {trouble}")
    shutil.rmtree(work)


def leaked(request: dict) -> bool:
    return request["door"] == "cdn" and "authorization" in request["headers"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "speculators")
    parser.add_argument("--hub", type=Path, default=ROOT / "target" / "debug" / "examples" / "hub")
    parser.add_argument("--verifier-bytes", type=int, default=2 << 30)
    parser.add_argument("--work", type=Path, default=ROOT / "target" / "interop" / "hub")
    options = parser.parse_args()
    passed = True
    for finding in findings(options.hub.absolute(), options.binary.absolute(), options.work.absolute(), options.verifier_bytes):
        passed &= finding.passed
        print(f"{'ok  ' if finding.passed else 'FAIL'}  {finding.subject:<20}  {finding.detail}", flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
