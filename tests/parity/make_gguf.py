"""A small model as a GGUF file, with every type of tensor that is read."""
import random
import struct

KINDS = {"u32": (4, "<I"), "i32": (5, "<i"), "f32": (6, "<f"), "bool": (7, "<?")}


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def entry(key, kind, value):
    if kind == "text":
        return text(key) + struct.pack("<I", 8) + text(value)
    if kind == "texts":
        return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    if kind == "i32s":
        return text(key) + struct.pack("<IIQ", 9, 5, len(value)) + struct.pack(f"<{len(value)}i", *value)
    number, pattern = KINDS[kind]
    return text(key) + struct.pack("<I", number) + struct.pack(pattern, value)


TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144),
         "Q6_K": (14, 256, 210), "BF16": (30, 1, 2)}
METADATA = [("general.architecture", "text", "llama"), ("llama.block_count", "u32", 1), ("llama.context_length", "u32", 64),
            ("llama.embedding_length", "u32", 256), ("llama.feed_forward_length", "u32", 32), ("llama.attention.head_count", "u32", 4),
            ("llama.attention.head_count_kv", "u32", 2), ("llama.rope.freq_base", "f32", 1e4),
            ("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5), ("tokenizer.ggml.model", "text", "gpt2"),
            ("tokenizer.ggml.pre", "text", "smollm"), ("tokenizer.ggml.tokens", "texts", ["<|e|>", "a", "b", "ab"]),
            ("tokenizer.ggml.token_type", "i32s", [3, 1, 1, 1]), ("tokenizer.ggml.merges", "texts", ["a b"]),
            ("tokenizer.ggml.bos_token_id", "u32", 0), ("tokenizer.ggml.eos_token_id", "u32", 0), ("tokenizer.ggml.add_bos_token", "bool", True),
            ("tokenizer.chat_template", "text", "{% for m in messages %}{{ m.content }}{% endfor %}")]
TENSORS = [("token_embd.weight", [256, 4], "Q8_0"), ("output_norm.weight", [256], "F32"), ("blk.0.attn_norm.weight", [256], "F32"),
           ("blk.0.ffn_norm.weight", [256], "F32"), ("blk.0.attn_q.weight", [256, 256], "Q4_K"), ("blk.0.attn_k.weight", [256, 128], "Q6_K"),
           ("blk.0.attn_v.weight", [256, 128], "BF16"), ("blk.0.attn_output.weight", [256, 256], "Q4_0"), ("blk.0.ffn_gate.weight", [256, 32], "Q4_1"),
           ("blk.0.ffn_up.weight", [256, 32], "F16"), ("blk.0.ffn_down.weight", [32, 256], "Q4_1")]


SCALES = {"Q4_0": (0,), "Q4_1": (0, 2), "Q8_0": (0,), "Q4_K": (0, 2), "Q6_K": (208,)}  # places of float16 in a block


def values_of(kind, count, draw):
    """Random blocks, finite and small."""
    number, block, size = TYPES[kind]
    if kind == "F32":
        return struct.pack(f"<{count}f", *(draw.uniform(-1, 1) for _ in range(count)))
    if kind == "F16":
        return struct.pack(f"<{count}e", *(draw.uniform(-1, 1) for _ in range(count)))
    if kind == "BF16":
        return b"".join(struct.pack("<f", draw.uniform(-1, 1))[2:] for _ in range(count))
    data = bytearray(draw.randbytes(count // block * size))
    for begin in range(0, len(data), size):
        for place in SCALES[kind]:
            data[begin + place:begin + place + 2] = struct.pack("<e", draw.uniform(-0.01, 0.01))
    return bytes(data)


def model(metadata=METADATA, tensors=TENSORS, seed=1):
    """The bytes of a file."""
    draw = random.Random(seed)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)) + b"".join(entry(*one) for one in metadata)
    values = b""
    for name, shape, kind in tensors:
        count = 1
        for dimension in shape:
            count *= dimension
        header += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        header += struct.pack("<IQ", TYPES[kind][0], len(values))
        values += values_of(kind, count, draw)
        values += bytes(-len(values) % 32)
    return header + bytes(-len(header) % 32) + values
