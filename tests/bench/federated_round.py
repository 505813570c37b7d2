#!/usr/bin/env python3
"""What a round across sites costs beyond local training, in ratios of one call.

    .venv-parity/bin/python tests/bench/federated_round.py [--peer .../flower_round.py] [--megabytes 100] [--silos 5] [--pairs 3] [--rounds 4]

`moesaic federate simulate`, a coordinator and silos as processes over loopback with mutual TLS, against (1) the same bytes
moved to and from as many processes by plain sockets and added, (2) Flower's round, and (3) against itself with secure sums. The model
is a network of the given size in float32 with one local step on one image, so a round is nearly all exchange. A round begins when it
is opened and ends when the next model is saved and offered; what the silos say that they have trained for, the median of them, is
taken off. Rounds after the first. Sides of a pair run one after the other, and the next pair turns them round. Clock time: leave the
machine alone. The row of processor time, of all processes of both sides, training included, holds on a busy machine, too.

At the end is where a round goes, from the coordinator's journal and the silos' logs, and the memory of the coordinator's two
processes. `--pairs 1` takes about two minutes on two free cores.
"""
import argparse
import json
import os
import pathlib
import re
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

from process_tree import descendants
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


def processor_so_far():
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Federation:
    """One run of `federate simulate`: what its processes say, and in each round their memory and the processor's time."""
    TRAINED = re.compile(r"^(silo-\d+): round (\d+): trained, .*; ([\d.]+) s to fetch the model, ([\d.]+) to train, ([\d.]+) to write")
    TAKEN = re.compile(r"^(silo-\d+): round (\d+): the change was taken after ([\d.]+) s")
    CLOSED = re.compile(r"^coordinator: round (\d+) took ")

    def __init__(self, recipe, run):
        self.silos = {}  # by round: seconds of the silos to fetch, train, write, send
        self.processor, self.memory = {}, {}  # by round: seconds of all so far; MB of the coordinator
        self.round = 1
        with subprocess.Popen([MOESAIC, "federate", "simulate", recipe], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as self.child:
            threading.Thread(target=self.watch, daemon=True).start()
            said = [line for line in self.child.stderr if not self.take(line)]
        if self.child.returncode != 0:
            sys.exit("".join(said))
        journal = [json.loads(line) for line in (run / "rounds/journal.jsonl").read_text().splitlines()]
        self.times = {event["round"]: event for event in journal if event["event"] == "time"}

    def take(self, line):
        if found := self.CLOSED.match(line):
            self.look()
            self.round = int(found[1]) + 1
        elif found := self.TRAINED.match(line):
            of = self.silos.setdefault(int(found[2]), {}).setdefault
            for part, seconds in zip(("fetch", "train", "write"), found.groups()[2:]):
                of(part, []).append(float(seconds))
        elif found := self.TAKEN.match(line):
            self.silos.setdefault(int(found[2]), {}).setdefault("send", []).append(float(found[3]))
        return bool(found)

    def look(self):
        all_of_it = descendants(self.child.pid)
        self.processor[self.round] = sum(process.processor_s for process in all_of_it)
        for process in all_of_it:
            if "federate coordinator" in process.command:
                ours = [process, *descendants(process.pid)]
                self.memory[self.round] = max(self.memory.get(self.round, 0), sum(one.memory_mb for one in ours))
                return

    def watch(self):
        while self.child.poll() is None:
            self.look()
            time.sleep(0.2)

    def of_silos(self, part, number):
        """The median of the silos."""
        return statistics.median(self.silos[number][part])

    def beyond_training(self):
        return statistics.median(self.times[number]["seconds"] - self.of_silos("train", number) for number in sorted(self.times)[1:])

    def processor_s(self):
        return statistics.median(self.processor[number] - self.processor[number - 1] for number in sorted(self.times)[1:])


class Bench:
    def __init__(self, folder, options):
        self.folder, self.options, self.runs = pathlib.Path(folder), options, 0
        self.plain = []  # runs without secure sums
        self.moving_s = []  # of the processor, in a round of plain sockets
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

    def round(self, secure=False):
        """Seconds of a round without its training."""
        self.runs += 1
        run, path = self.folder / f"run-{self.runs}", self.folder / f"{self.runs}.yaml"
        silos = [{"name": f"silo-{k}", "train": [self.data]} for k in range(self.options.silos)]
        federated = {"rounds": self.options.rounds, "local_steps": 1, "silos": silos}
        if secure:
            federated["secure_aggregation"] = {"threshold": self.options.silos // 2 + 1}
        path.write_text(json.dumps({**self.recipe, "run_dir": str(run), "federated": federated}))  # JSON is YAML
        federation = Federation(path, run)
        output_of(["rm", "-r", run])
        if not secure:
            self.plain.append(federation)
        return federation.beyond_training()

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
        before = processor_so_far()
        seconds = [self.one_move(numpy, model, peers, buffers) for _ in range(rounds)]
        for client, peer in zip(clients, peers):
            peer.close()
            client.wait()
        self.moving_s.append((processor_so_far() - before) / rounds)
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


def where_it_goes(runs):
    """Medians over all rounds after the first."""
    rounds = [(run, number) for run in runs for number in sorted(run.times)[1:]]
    print("\n| where a round goes | seconds |\n| --- | --- |")
    for what, part in (("a silo fetches the model", "fetch"), ("it trains", "train"), ("it writes its change", "write"),
                       ("it sends its change, until that was taken", "send")):
        print(f"| {what} | {statistics.median(run.of_silos(part, number) for run, number in rounds):.2f} |")
    for what, key in (("the first change is at the coordinator", "first_s"), ("the last one is", "last_s"), ("looks at changes, meanwhile", "check_s"),
                      ("the changes are added", "add_s"), ("checkpoint and file of the round", "save_s"),
                      ("digests of the file", "offer_s"), ("all of the round", "seconds")):
        print(f"| {what} | {statistics.median(run.times[number][key] for run, number in rounds):.2f} |")


def main():
    options = parse()
    with tempfile.TemporaryDirectory(prefix="moesaic-round-") as folder:
        bench = Bench(folder, options)
        print(f"{options.silos} silos, {options.megabytes} MB\n| what | goal | found |\n| --- | --- | --- |")
        bench.pairs("round / moving and adding the bytes", "<= 1.5", bench.round, bench.moved)
        if options.peer:
            bench.pairs("Flower's round / round", ">= 3", bench.flower, bench.round)
        bench.pairs("round with secure sums / plain round", "< 2", lambda: bench.round(secure=True), bench.round)
        row("processor time of a round / of moving and adding", "",
            f"{statistics.median(run.processor_s() for run in bench.plain):.2f} / {statistics.median(bench.moving_s):.2f} s")
        for name, number in (("first", 1), ("last", options.rounds)):
            row(f"memory of the coordinator in the {name} round, MB", f"a few times {options.megabytes}",
                spread([run.memory[number] for run in bench.plain]))
        where_it_goes(bench.plain)


if __name__ == "__main__":
    main()
