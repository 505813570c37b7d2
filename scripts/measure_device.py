#!/usr/bin/env python3
"""A row for `moesaic plan RECIPE --matrix --devices FILE`: what one core of this machine measures, as YAML.

    scripts/measure_device.py [--name mine] [--ranks 2] > devices.yaml

Rates: of products by matmul_rate (a program of a build with -D MOESAIC_BENCH=ON, in MOESAIC_BIN or build/release/bin); of
memory by copies of 256 MB, the best of five, bytes read and written, by as many processes at once as there are ranks;
of the link half of that, since a message between ranks of a machine is copied in and out. The network is not measured:
edit it where there is one. Run it while nothing else runs. Standard library only.
"""
import argparse
import ctypes
import multiprocessing
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin"))
BYTES = 256 << 20


def copy_rate(start):
    """10^9 bytes read and written a second."""
    source, target = ctypes.create_string_buffer(BYTES), ctypes.create_string_buffer(BYTES)
    ctypes.memset(source, 1, BYTES)
    ctypes.memset(target, 2, BYTES)
    start.wait()
    best = 0.0
    for _ in range(5):
        begin = time.perf_counter()
        ctypes.memmove(target, source, BYTES)
        best = max(best, 2 * BYTES / (time.perf_counter() - begin) / 1e9)
    return best


def measure(start, results):
    results.put(copy_rate(start))


def copy_rate_of_each(ranks):
    """The least of ranks that copy at the same time."""
    start, results = multiprocessing.Barrier(ranks), multiprocessing.Queue()
    processes = [multiprocessing.Process(target=measure, args=(start, results)) for _ in range(ranks)]
    for process in processes:
        process.start()
    rates = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return min(rates)


def product_rate(dtype):
    """10^12 FLOP a second on one core."""
    program = BIN / "matmul_rate"
    if not program.exists():
        sys.exit(f"{program} is not there: build with -D MOESAIC_BENCH=ON, or set MOESAIC_BIN to the folder that has it")
    done = subprocess.run([program, dtype, "cpu"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return float(done.stdout.split()[0]) / 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="mine")
    parser.add_argument("--ranks", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9 / arguments.ranks
    copy = copy_rate_of_each(arguments.ranks)
    print("devices:")
    for key, value in {"- name": arguments.name, "  type": "cpu", "  memory_gb": f"{memory:.1f}",
                       "  float32_tflops": f"{product_rate('float32'):.3f}", "  bfloat16_tflops": f"{product_rate('bfloat16'):.3f}",
                       "  memory_gb_per_s": f"{copy:.1f}", "  node_gb_per_s": f"{copy / 2:.1f}", "  network_gb_per_s": f"{copy / 2:.1f}",
                       "  per_node": arguments.ranks, "  product_efficiency": 1, "  memory_efficiency": 1,
                       "  link_efficiency": 1}.items():
        print(f"  {key}: {value}")


if __name__ == "__main__":
    main()
