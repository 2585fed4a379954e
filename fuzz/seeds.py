"""Builds the corpora that fuzzing begins with, and a dictionary of config keys, from `fixtures/`.

Run it from anywhere; it writes `corpus/<target>/` and `config.dict` beside itself and needs nothing but Python.
"""

import json
import pathlib
import struct
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures"
LARGEST = 16 << 10  # a fuzzer gets nowhere with long inputs


def keep(target, path, content, suffix=""):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    name = "-".join(path.relative_to(FIXTURES).parts) + suffix
    (folder / name).write_bytes(content)


def safetensors_headers():
    for path in FIXTURES.rglob("*.safetensors"):
        content = path.read_bytes()
        if len(content) <= LARGEST:
            keep("safetensors_header", path, content)
        elif len(content) >= 8:
            (length,) = struct.unpack("<Q", content[:8])
            keep("safetensors_header", path, content[: 8 + min(length, LARGEST)])


def pickles():
    paths = [*(FIXTURES / "pickles").glob("*.*"), *FIXTURES.rglob("pytorch_model.bin")]
    for path in paths:
        if path.suffix == ".py":
            continue
        if path.stat().st_size <= LARGEST:
            keep("pickle", path, path.read_bytes())
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.endswith("/data.pkl"):
                        keep("pickle", path, archive.read(name), ".pkl")


def keys_of(value, found):
    if isinstance(value, dict):
        for key, inner in value.items():
            found.add(key)
            keys_of(inner, found)
    elif isinstance(value, list):
        for inner in value:
            keys_of(inner, found)
    elif isinstance(value, str):
        found.add(value)


def configs():
    words = set()
    for path in FIXTURES.rglob("config.json"):
        content = path.read_bytes()
        keep("config", path, content)
        try:
            keys_of(json.loads(content), words)
        except ValueError:
            pass  # broken on purpose
    lines = []
    for word in sorted(words):
        quoted = json.dumps(word).replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'"{quoted}"\n')
    (HERE / "config.dict").write_text("".join(lines))


safetensors_headers()
pickles()
configs()
