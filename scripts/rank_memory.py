"""The memory of a running rank, for tests that spoil numbers in it. It takes the right to trace the process."""
import json
import re
import struct


def places(pid, pattern):
    """Addresses of what a pattern of bytes (regular expression) finds in the process's writable memory."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            first, last, rights = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            begin, size = int(first, 16), int(last, 16) - int(first, 16)
            if not rights.startswith("rw") or size > 1 << 30:
                continue
            try:
                memory.seek(begin)
                content = memory.read(size)
            except (OSError, ValueError):  # of the kernel's own
                continue
            found += [begin + match.start() for match in re.finditer(pattern, content, re.DOTALL)]
    return found


def read(pid, address, size):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(size)


def write(pid, address, content):
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        memory.write(content)


def tensor_bytes(path, name):
    """Of a float32 tensor in a safetensors file."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    entry = json.loads(data[8:8 + length])[name]
    if entry["dtype"] != "F32":
        raise ValueError(f"{name} is {entry['dtype']}, not F32")
    begin, end = entry["data_offsets"]
    return data[8 + length + begin:8 + length + end]


def near(values, change):
    """A pattern for float32 numbers that differ from these by no more than `change`: their highest bytes, where those cannot differ."""
    pattern = b""
    for value in values:
        tops = {struct.pack("<f", value + by)[3:] for by in (-change, 0, change)}
        pattern += b"..." + (re.escape(tops.pop()) if len(tops) == 1 else b".")
    return pattern
