#!/usr/bin/env python3
"""What a round across sites costs beyond local training, in ratios of one call.

    tests/bench/federated_round.py [--peer .../flower_round.py] [--megabytes 100] [--silos 5] [--pairs 3] [--rounds 4]

`moesaic federate simulate`, a coordinator and silos as processes over loopback with mutual TLS, against (1) the same bytes
moved to and from as many processes by plain sockets and added, (2) Flower's round, and (3) against itself with secure sums. The model
is a network of the given size in float32 with one local step on one image, so a round is nearly all exchange; the time of that
step, measured by a run without federation, is taken off. Rounds after the first. Sides of a pair run one after the other, and the
next pair turns them round. Clock time: leave the machine alone.
"""
import argparse
import json
import os
import pathlib
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

from side_by_side import output_of, row, spread

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MOESAIC = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin")) / "moesaic"
INPUTS, LABELS = 4, 2
MOVES = """
import socket, sys
size = int(sys.argv[2])
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as peer:
    data = bytearray(size)
    for _ in range(int(sys.argv[3])):
        view = memoryview(data)
        while view:
            view = view[peer.recv_into(view):]
        peer.sendall(data)
"""


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="path of flower_round.py; without it the row against Flower is left out")
    parser.add_argument("--python", default=str(ROOT / ".venv-parity/bin/python"), help="with numpy, and flwr for the peer")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--silos", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=4)
    return parser.parse_args()


class Bench:
    def __init__(self, folder, options):
        self.folder, self.options, self.runs = pathlib.Path(folder), options, 0
        self.memory = []  # of the coordinator, MB
        data = {"path": f"{folder}/images", "labels": f"{folder}/labels", "format": "idx"}
        (self.folder / "images").write_bytes(struct.pack(">III", 0x802, 1, INPUTS) + bytes(range(INPUTS)))
        (self.folder / "labels").write_bytes(struct.pack(">II", 0x801, 1) + bytes(1))
        width = int((options.megabytes * 1e6 / 4) ** 0.5)
        self.recipe = {
            "name": "round", "model": {"config": {"model_type": "mlp", "input_size": INPUTS, "hidden_sizes": [width, width],
                                                  "num_labels": LABELS}},
            "train": {"global_batch_size": 1, "micro_batch_size": 1, "clip_norm": 0},
            "optimizer": {"type": "sgd", "learning_rate": 0.01, "weight_decay": 0.0},
            "schedule": {"type": "constant", "warmup_steps": 0},
            "parallel": {"threads_per_rank": 1}, "log": {"tensorboard": False, "every_steps": 1}}
        self.data = data

    def rows(self, verb, **more):
        """Of a run of the recipe with these blocks, too."""
        self.runs += 1
        run = self.folder / f"run-{self.runs}"
        path = self.folder / f"{self.runs}.yaml"
        path.write_text(json.dumps({**self.recipe, "run_dir": str(run), **more}))  # JSON is YAML
        output_of([MOESAIC, *verb, path])
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        output_of(["rm", "-r", run])
        return rows

    def local_step(self):
        train = {**self.recipe["train"], "max_steps": 5}
        rows = self.rows(["train"], train=train, data={"train": [self.data]}, checkpoint={"every_steps": 0, "final": False})
        return statistics.median(line["step_s"] for line in rows[1:])

    def round(self, secure=False):
        """Seconds of a round without the local step."""
        silos = [{"name": f"silo-{k}", "train": [self.data]} for k in range(self.options.silos)]
        federated = {"rounds": self.options.rounds, "local_steps": 1, "silos": silos}
        if secure:
            federated["secure_aggregation"] = {"threshold": self.options.silos // 2 + 1}
        rows = self.rows(["federate", "simulate"], federated=federated)
        if not secure:
            self.memory.append(rows[-1]["memory_peak_mb"])
        return statistics.median(line["step_s"] for line in rows[1:]) - self.step_s

    def moved(self):
        """Seconds of a round that sends the model to as many processes, takes as much from each, and adds it."""
        import numpy
        size, rounds = self.options.megabytes * 1_000_000, self.options.rounds
        server = socket.create_server(("127.0.0.1", 0))
        clients = [subprocess.Popen([sys.executable, "-c", MOVES, str(server.getsockname()[1]), str(size), str(rounds)])
                   for _ in range(self.options.silos)]
        peers = [server.accept()[0] for _ in clients]
        model = numpy.zeros(size // 4, dtype=numpy.float32)
        buffers = [bytearray(size) for _ in peers]
        seconds = [self.one_move(numpy, model, peers, buffers) for _ in range(rounds)]
        for client, peer in zip(clients, peers):
            peer.close()
            client.wait()
        return statistics.median(seconds[1:])

    def one_move(self, numpy, model, peers, buffers):
        def exchange(peer, buffer):
            peer.sendall(model)
            view = memoryview(buffer)
            while view:
                view = view[peer.recv_into(view):]
        begin = time.perf_counter()
        threads = [threading.Thread(target=exchange, args=pair) for pair in zip(peers, buffers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        total = numpy.zeros(len(model), dtype=numpy.float64)
        for buffer in buffers:
            total += numpy.frombuffer(buffer, dtype=numpy.float32)
        model += (total / len(buffers)).astype(numpy.float32)
        return time.perf_counter() - begin

    def flower(self):
        told = output_of([self.options.python, self.options.peer, "--clients", self.options.silos, "--tensors",
                          self.options.megabytes // 4, "--reps", 1, "--rounds", self.options.rounds])
        return json.loads(told.splitlines()[-1])["grpc_round"]["s"]

    def pairs(self, name, goal, first, second):
        """The median of first / second, alternately."""
        ratios = []
        for pair in range(self.options.pairs):
            found = {}
            for side in ((0, 1), (1, 0))[pair % 2]:
                found[side] = (first, second)[side]()
            ratios.append(found[0] / found[1])
            print(f"  {name}: {found[0]:.2f} / {found[1]:.2f} s = {ratios[-1]:.2f}", flush=True)
        row(name, goal, spread(ratios))


def main():
    options = parse()
    with tempfile.TemporaryDirectory(prefix="moesaic-round-") as folder:
        bench = Bench(folder, options)
        bench.step_s = bench.local_step()
        print(f"{options.silos} silos, {options.megabytes} MB, a local step {bench.step_s:.3f} s\n| what | goal | found |\n| --- | --- | --- |")
        bench.pairs("round / moving and adding the bytes", "<= 1.5", bench.round, bench.moved)
        if options.peer:
            bench.pairs("Flower's round / round", ">= 3", bench.flower, bench.round)
        bench.pairs("round with secure sums / plain round", "< 2", lambda: bench.round(secure=True), bench.round)
        row("memory of the coordinator, MB", f"a few times {options.megabytes}", spread(bench.memory))


if __name__ == "__main__":
    main()
