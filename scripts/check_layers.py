#!/usr/bin/env python3
"""Checks that each module includes only what its layer may see, and that third-party headers stay in their place.

A module may include modules of earlier rows, plus what its row says. Prints every violation; exit status 1 if any.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS = [
    ["core"],
    ["arch", "accounting", "aggregate", "identity", "metrics"],
    ["config", "observe", "protocol"],
    ["monitor"],
    ["comm", "data", "sites"],
    ["parallel"],
    ["nn", "optim", "store"],
    ["loss"],
    ["moe"],
    ["models"],
    ["adapt", "continual", "privacy", "federated"],
    ["engine", "inference"],
]
ROW_OF = {module: row for row, modules in enumerate(ROWS) for module in modules}
CLI_SEES = {"core", "arch", "config", "observe", "accounting", "aggregate", "identity", "metrics", "monitor",
            "protocol"}
TORCH_FREE = CLI_SEES | {"sites"}

# Header pattern -> the only places (path prefixes or whole paths) that may include it.
OWNERS = [
    (r"fmt/", ["libtrain/core/format.h"]),
    (r"yaml-cpp/", ["libtrain/config/yaml_reader.cpp"]),
    (r"sodium.*", ["libtrain/core/secret_key.cpp", "libtrain/core/secure_digest.cpp",
                   "libtrain/aggregate/pair_key.cpp"]),
    (r"kissfft/", ["libtrain/accounting/fft.cpp"]),
    (r"openssl/", ["libtrain/core/secret_key.cpp", "libtrain/identity/", "libtrain/sites/handshake.cpp", "tests/sites/"]),
    (r"grpc/|grpcpp/|wire.*\.pb\.h", ["libtrain/sites/", "tests/sites/"]),
    (r"sites/.*", ["libtrain/sites/", "apps/site/", "tests/sites/", "tests/engine/site_doors_test.cpp"]),
    (r"prometheus/", ["libtrain/monitor/", "tests/monitor/"]),
    (r"CLI/", ["apps/"]),
    (r"hdf5\.h|H5.*\.h", ["libtrain/store/hdf5", "tests/tools/checkpoint_ways/"]),
    (r"mpi\.h", ["libtrain/comm/mpi/", "libtrain/comm/nccl/", "tests/"]),
    (r"nccl\.h|cuda.*\.h|c10/cuda/.*", ["libtrain/comm/nccl/"]),
    (r"torch/torch\.h|torch/nn/module\.h|torch/types\.h", []),
]
LAUNCHER = ("apps/cli/", "apps/common/")  # see CLI_SEES only, and no torch, MPI or HDF5
SITE = "apps/site/"  # sees the network, and none of them either
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def module_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "libtrain" and len(parts) > 2 else None


def may_include(path, target):
    module = module_of(path)
    if path.startswith(LAUNCHER):
        return target in CLI_SEES
    if path.startswith(SITE):
        return target in TORCH_FREE
    if module is None:  # worker and tests see everything
        return True
    return target == module or ROW_OF[target] < ROW_OF[module]


def problems_of(path, text):
    module = module_of(path)
    if module is not None and module not in ROW_OF:
        yield f"{path}: module '{module}' is in no row of scripts/check_layers.py"
        return
    for _, header in INCLUDE.findall(text):
        target = header.split("/")[0]
        if "/" in header and target in ROW_OF and not may_include(path, target):
            yield f"{path}: may not include {header}"
        if module in TORCH_FREE or path.startswith((*LAUNCHER, SITE)):
            if re.match(r"(torch|ATen|c10|mpi\.h|hdf5\.h)(/|$)", header):
                yield f"{path}: sees no torch, MPI or HDF5 header, but includes {header}"
        for pattern, owners in OWNERS:
            if re.fullmatch(pattern + (".*" if pattern.endswith("/") else ""), header):
                if not any(path.startswith(owner) for owner in owners):
                    yield f"{path}: {header} may be included only in: {', '.join(owners) or 'no file'}"


def main():
    files = [p for folder in ("libtrain", "apps", "tests") for p in (ROOT / folder).rglob("*")
             if p.suffix in (".h", ".cpp")]
    problems = [problem for p in sorted(files)
                for problem in problems_of(p.relative_to(ROOT).as_posix(), p.read_text())]
    print("\n".join(problems) if problems else f"layers: {len(files)} files, no violation")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
