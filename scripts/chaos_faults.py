"""Faults of scripts/chaos.py. Each takes the run, its ranks and a source of chance; those of RESTARTS end in a restart."""
import contextlib
import os
import pathlib
import resource
import shutil
import signal
import struct
import subprocess
import time

import rank_memory

BIN = pathlib.Path(os.environ.get("MOESAIC_BIN", pathlib.Path(__file__).resolve().parent.parent / "build/release/bin"))
SPOILT = "model.layers.0.self_attn.o_proj.weight"  # whole on each rank, in all families


def kill(run, ranks, chance):
    number, rank = chance.choice(sorted(ranks.items()))
    os.kill(rank.pid, signal.SIGKILL)
    return f"rank {number}"


def stop(run, ranks, chance):
    number, rank = chance.choice(sorted(ranks.items()))
    os.kill(rank.pid, signal.SIGSTOP)
    return f"rank {number}"


def slow(run, ranks, chance):
    """A rank sleeps now and then, for less than the time-out."""
    number, rank = chance.choice(sorted(ranks.items()))
    for _ in range(3):
        with contextlib.suppress(ProcessLookupError):
            os.kill(rank.pid, signal.SIGSTOP)
            time.sleep(chance.uniform(0.1, 0.5))
            os.kill(rank.pid, signal.SIGCONT)
            time.sleep(0.1)
    return f"rank {number}"


def full(run, ranks, chance):
    """No file of the ranks grows beyond a size: what a full disk does to those that write."""
    size = chance.choice([1, 65536])
    for rank in ranks.values():
        resource.prlimit(rank.pid, resource.RLIMIT_FSIZE, (size, size))
    return f"files of {size} bytes"


def truncate(run, ranks, chance):
    """The newest checkpoint loses a part of a file, then a rank its life."""
    steps = run.checkpoints()
    if len(steps) < 2:
        return kill(run, ranks, chance)
    files = [path for path in (run.folder / f"checkpoints/step-{steps[-1]:08d}").glob("*") if path.is_file() and path.stat().st_size > 0]
    with contextlib.suppress(OSError):  # it may just have been pruned
        victim = chance.choice(sorted(files))
        os.truncate(victim, chance.randrange(victim.stat().st_size))
        return f"{victim.name}, {kill(run, ranks, chance)}"
    return kill(run, ranks, chance)


def clock(run, ranks, chance):
    """Files that seem to be of tomorrow or yesterday, as after a jump of the clock; then a rank is killed."""
    moved = time.time() + chance.choice([-86400, 86400])
    for path in run.folder.rglob("*"):
        with contextlib.suppress(OSError):
            os.utime(path, (moved, moved))
    return kill(run, ranks, chance)


def nan(run, ranks, chance):
    """A weight in a rank's memory becomes NaN, in a step after a checkpoint and well before the next."""
    number, rank = chance.choice(sorted(ranks.items()))
    while not run.is_over():
        os.kill(rank.pid, signal.SIGSTOP)
        try:
            saved, stands = max(run.checkpoints(), default=0), run.ranks().get(number, rank).step
            if saved < stands <= saved + run.every - 3 and spoil(rank.pid, run, saved):
                return f"rank {number} in step {stands}"
        finally:
            os.kill(rank.pid, signal.SIGCONT)
        time.sleep(0.003 * chance.random())
    raise ProcessLookupError


def spoil(pid, run, saved):
    """False when there is no such checkpoint, or its weights are not in the process."""
    hub = run.folder.with_suffix(f".hub-{saved}")
    made = subprocess.run([BIN / "moesaic", "export", run.folder / f"checkpoints/step-{saved:08d}", hub, "--dtype", "float32", "--overwrite"],
                          capture_output=True)
    if made.returncode != 0:
        return False
    weights = [value for value, in struct.iter_unpack("<f", rank_memory.tensor_bytes(hub / "model.safetensors", SPOILT)[:1024])]
    shutil.rmtree(hub)
    places = rank_memory.places(pid, rank_memory.near(weights, 0.005))
    for place in places:
        rank_memory.write(pid, place, struct.pack("<f", float("nan")))
    return bool(places)


FAULTS = {fault.__name__: fault for fault in (kill, stop, slow, full, truncate, clock, nan)}
RESTARTS = {"kill", "stop", "full", "truncate", "clock"}
