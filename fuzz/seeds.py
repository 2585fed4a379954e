"""Builds the corpora that fuzzing begins with from `fixtures/`, and dictionaries of config keys and GGUF keys.

Run it from anywhere; it writes `corpus/<target>/`, `config.dict` and `gguf.dict` beside itself and needs nothing but
Python. GGUF files are made here: a head of a few kilobytes, because those of the fixtures are too long.
"""

import json
import math
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


# GGUF: numbers of the types of values and of tensors.
U32, I32, F32, BOOL, STRING, ARRAY, U64, F64 = 4, 5, 6, 7, 8, 9, 10, 12
SINGLE, HALF, BYTES, INT64, BRAIN = 0, 1, 24, 27, 30
FORMATS = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q", F64: "<d"}
WIDTHS = {SINGLE: 4, HALF: 2, BYTES: 1, INT64: 8, BRAIN: 2}


def string(text):
    content = text.encode()
    return struct.pack("<Q", len(content)) + content


def value(kind, content):
    return string(content) if kind == STRING else struct.pack(FORMATS[kind], content)


def field(key, kind, content):
    if isinstance(content, list):
        head = struct.pack("<IIQ", ARRAY, kind, len(content))
        return string(key) + head + b"".join(value(kind, one) for one in content)
    return string(key) + struct.pack("<I", kind) + value(kind, content)


def gguf(fields, tensors, version=3):
    """A file: fields are (key, type, value), tensors (name, type, shape, bytes)."""
    alignment = next((content for key, _, content in fields if key == "general.alignment"), 32)
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(fields))
    header += b"".join(field(*one) for one in fields)
    data = b""
    for name, kind, shape, content in tensors:
        header += string(name) + struct.pack("<I", len(shape))
        header += b"".join(struct.pack("<Q", size) for size in reversed(shape))
        header += struct.pack("<IQ", kind, len(data))
        data += content + bytes(-len(content) % alignment)
    return header + bytes(-len(header) % alignment) + data


# A head with one layer of two attention heads, for a verifier of eight tokens.
HIDDEN, HEADS, CHANNELS, MLP, TOKENS, DRAFT = 4, 2, 8, 4, 8, 4
HEAD = {
    "general.architecture": (STRING, "eagle3"),
    "eagle3.block_count": (U32, 1),
    "eagle3.context_length": (U32, 64),
    "eagle3.embedding_length": (U32, HIDDEN),
    "eagle3.feed_forward_length": (U32, MLP),
    "eagle3.attention.head_count": (U32, HEADS),
    "eagle3.attention.head_count_kv": (U32, 1),
    "eagle3.attention.key_length": (U32, CHANNELS),
    "eagle3.target_hidden_size": (U32, HIDDEN),
    "eagle3.vocab_size": (U32, TOKENS),
    "eagle3.target_layers": (I32, [2, 4, 5]),
    "eagle3.norm_before_residual": (BOOL, True),
    "eagle3.attention.layer_norm_rms_epsilon": (F32, 1e-5),
    "eagle3.rope.freq_base": (F32, 1e4),
}
SHAPES = {
    "fc.weight": (HIDDEN, 3 * HIDDEN),
    "blk.0.attn_norm.weight": (HIDDEN,),
    "blk.0.attn_norm_2.weight": (HIDDEN,),
    "blk.0.attn_q.weight": (HEADS * CHANNELS, 2 * HIDDEN),
    "blk.0.attn_k.weight": (CHANNELS, 2 * HIDDEN),
    "blk.0.attn_v.weight": (CHANNELS, 2 * HIDDEN),
    "blk.0.attn_output.weight": (HIDDEN, HEADS * CHANNELS),
    "blk.0.ffn_norm.weight": (HIDDEN,),
    "blk.0.ffn_gate.weight": (MLP, HIDDEN),
    "blk.0.ffn_up.weight": (MLP, HIDDEN),
    "blk.0.ffn_down.weight": (HIDDEN, MLP),
    "output_norm.weight": (HIDDEN,),
    "output.weight": (DRAFT, HIDDEN),
}
# Draft tokens are verifier tokens 1, 3, 5 and 7.
D2T = ("d2t", INT64, (DRAFT,), struct.pack("<4q", 1, 3, 5, 7))
YARN = {
    "eagle3.rope.scaling.type": (STRING, "yarn"),
    "eagle3.rope.scaling.factor": (F32, 4.0),
    "eagle3.rope.scaling.original_context_length": (U32, 16),
}
LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
    "rope_theta": 10000.0,
    "rope_type": "llama3",
}
# With sixteen trained positions only the first of four pairs turns often enough to be stretched by less than eight.
KEPT = (16 / (2 * math.pi) - 1) / 3
DIVISORS = struct.pack("<4f", 1 / ((1 - KEPT) / 8 + KEPT), 8.0, 8.0, 8.0)
EXTRAS = {
    "tokenizer.ggml.tokens": (STRING, ["a", "b", "ü", "", "<s>", "</s>", "c", "d"]),
    "tokenizer.ggml.scores": (F32, [0.5, -1000.0]),
    "tokenizer.ggml.bos_token_id": (U32, 4),
    "speculators.speculative_tokens": (U32, 5),
    "speculators.verifier": (STRING, "tiny/verifier"),
    "speculators.conversion": (STRING, '{"canonical": {}, "source": {"layout": "specforge"}}'),
}


def tensors(matrices, more=()):
    result = []
    for name, shape in SHAPES.items():
        kind = SINGLE if len(shape) == 1 else matrices
        result.append((name, kind, shape, bytes(math.prod(shape) * WIDTHS[kind])))
    return [*result, *more]


def head(changes, weights, version=3):
    fields = {key: entry for key, entry in (HEAD | changes).items() if entry is not None}
    return gguf([(key, *entry) for key, entry in fields.items()], weights, version)


def ggufs():
    factors = ("rope_freqs.weight", SINGLE, (CHANNELS // 2,), DIVISORS)
    embedding = ("token_embd.weight", HALF, (TOKENS, HIDDEN), bytes(2 * TOKENS * HIDDEN))
    whole = ("output.weight", HALF, (TOKENS, HIDDEN), bytes(2 * TOKENS * HIDDEN))
    unreduced = [one for one in tensors(HALF) if one[0] != "output.weight"]
    before_fc = ("enc.output_norm.weight", SINGLE, (3 * HIDDEN,), bytes(12 * HIDDEN))
    earlier = {"eagle3.target_layers": None, "eagle3.extract_layers": (U32, [2, 4, 5])}
    per_layer = {
        "eagle3.attention.head_count": (I32, [HEADS]),
        "eagle3.norm_before_fc": (BOOL, True),
        "general.alignment": (U32, 8),
    }
    told = {"speculators.rope_parameters": (STRING, json.dumps(LLAMA3))}
    files = {
        "plain": head({}, tensors(BRAIN, [D2T])),
        "linear": head(
            {"eagle3.rope.scaling.factor": (F32, 2.0)}, tensors(SINGLE, [D2T, embedding])
        ),
        "yarn": head(YARN | EXTRAS, tensors(HALF, [D2T])),
        "llama3": head(told, tensors(BRAIN, [D2T, factors])),
        "llama3-untold": head({}, tensors(BRAIN, [D2T, factors])),
        "unreduced": head(earlier, [*unreduced, whole], version=2),
        "per-layer": head(per_layer, tensors(BRAIN, [D2T, before_fc])),
        "another-architecture": gguf([("general.architecture", STRING, "llama")], []),
        "container": gguf(
            [("a", U64, 1 << 40), ("b", F64, 0.5), ("c", BOOL, [True, False]), ("d", STRING, [""])],
            [("scalar", HALF, (), bytes(2)), ("empty", BYTES, (3, 0), b""), ("e", BYTES, (5,), b"bytes")],
        ),
        "parts": gguf([("split.count", U32, 2), ("split.no", U32, 0)], []),
    }
    folder = HERE / "corpus" / "gguf"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.gguf").write_bytes(content)
    # A key or a name is found only with its length before it.
    words = {*HEAD, *SHAPES, *YARN, *EXTRAS, *told, *earlier, *per_layer, "d2t", "split.count"}
    words |= {factors[0], embedding[0], before_fc[0], "eagle3.rope.dimension_count"}
    lines = []
    for word in sorted(words):
        quoted = "".join(f"\\x{byte:02x}" for byte in struct.pack("<Q", len(word)))
        lines.append(f'"{quoted}{word}"\n')
    (HERE / "gguf.dict").write_text("".join(lines))


safetensors_headers()
pickles()
configs()
ggufs()
