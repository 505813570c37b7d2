"""What the tests of federations across sites share: a coordinator and two silos as programs of this machine, and a proxy between them."""
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time

from moesaic import MOESAIC, ONE_LAYER, RunTest, ranks_of

FEDERATION = """
name: federation
seed: 5
run_dir: {folder}/run""" + ONE_LAYER + """
data: {{sequence_length: 24}}
train: {{global_batch_size: 4, micro_batch_size: 2, precision: float64}}
optimizer: {{learning_rate: 0.01}}
schedule: {{warmup_steps: 2}}
parallel: {{timeout_s: 60, threads_per_rank: 1}}
log: {{tensorboard: false}}
federated:
  rounds: 3
  local_steps: 3
  heartbeat_s: 5
  deadline_s: 60
  drain_s: 10
  silos:
    - {{name: letters, train: [{{path: {folder}/text/train-a.txt}}], valid: [{{path: {folder}/text/valid.txt}}]}}
    - {{name: digits, train: [{{path: {folder}/text/digits.txt}}], valid: [{{path: {folder}/text/digits.txt}}]}}
"""
SILO = """
name: {name}
data: {{train: [{{path: {folder}/text/{train}.txt}}], valid: [{{path: {folder}/text/{valid}.txt}}]}}
parallel: {{timeout_s: 60, threads_per_rank: 1}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def sites_of(pids):
    """Process ids of moesaic-site that these ranks have started."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                name, words = file.read().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        if name == "moesaic-site" and int(words.split()[1]) in pids:
            found.append(int(pid))
    return found


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class WireProxy:
    """Passes on what goes between silos and the coordinator at a port, keeps it, and can cut connections in the middle of a transfer."""

    def __init__(self, to):
        self.seen = bytearray()
        self.cuts = 0
        self.is_dark = False  # takes what comes and passes nothing on
        self._to, self._left, self._ended = to, None, False
        self._other = {}  # of each socket the one at the other end
        self._clients = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def cut_after(self, count):
        """Cuts every connection once, after so many more bytes to the coordinator."""
        self._left = count

    def close(self):
        self._ended = True
        self._thread.join()
        self._cut_all()
        self._listener.close()

    def _run(self):
        while not self._ended:
            for source in select.select([self._listener, *self._other], [], [], 0.05)[0]:
                if source is self._listener:
                    self._accept()
                elif source in self._other:
                    self._pass_on(source)

    def _accept(self):
        client = self._listener.accept()[0]
        try:
            server = socket.create_connection(("127.0.0.1", self._to), timeout=10)
        except OSError:
            return client.close()
        self._other[client], self._other[server] = server, client
        self._clients.add(client)

    def _pass_on(self, source):
        try:
            data = source.recv(1 << 16)
            if self._left is not None and source in self._clients:
                self._left -= len(data)
                if self._left < 0:
                    self._left = None
                    self.cuts += 1
                    return self._cut_all()
            if not data:
                return self._cut(source)
            if not self.is_dark:
                self.seen += data
                self._other[source].sendall(data)
        except OSError:
            self._cut(source)

    def _cut(self, end):
        for one in (end, self._other.pop(end)):
            self._other.pop(one, None)
            self._clients.discard(one)
            one.close()

    def _cut_all(self):
        while self._other:
            self._cut(next(iter(self._other)))


class SitesTest(RunTest):
    """Silos `letters` and `digits`; keys/, run/ of the coordinator, letters/ and digits/ in the folder of the test."""

    recipe_text = FEDERATION

    def setUp(self):
        super().setUp()
        (self.folder / "text/digits.txt").write_text("".join(f"{7 * i % 997} " for i in range(1200)))
        for name, train, valid in (("letters", "train-a", "valid"), ("digits", "digits", "digits")):
            (self.folder / f"{name}.yaml").write_text(SILO.format(folder=self.folder, name=name, train=train, valid=valid))
        self.address = f"127.0.0.1:{free_port()}"
        self.processes = {}  # with the files of what they say
        (self.folder / "said").mkdir()
        self.addCleanup(self.end_all)

    def end_all(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def proxy(self):
        proxy = WireProxy(int(self.address.split(":")[1]))
        self.addCleanup(proxy.close)
        return proxy

    def keys(self, folder="keys", silos=("letters", "digits")):
        names = [word for silo in silos for word in ("--silo", silo)]
        self.moesaic("federate", "keys", self.folder / folder, "--coordinator", "127.0.0.1", *names)

    def start(self, *arguments):
        path = self.folder / f"said/{len(self.processes)}-{arguments[0]}.txt"
        with open(path, "w") as file:
            process = subprocess.Popen([MOESAIC, "federate", *map(str, arguments)], cwd=self.folder, stdin=subprocess.DEVNULL,
                                       stdout=file, stderr=subprocess.STDOUT)
        self.processes[process] = path
        return process

    def said(self, process):
        return self.processes[process].read_text(errors="replace")

    def coordinator(self, *overrides):
        return self.start("coordinator", self.recipe, *overrides, "--listen", self.address,
                          "--keys", self.folder / "keys/coordinator")

    def silo(self, name, *options, address=None, keys=None):
        return self.start("silo", self.folder / f"{name}.yaml", "--connect", address or self.address, "--keys",
                          self.folder / (keys or f"keys/{name}"), "--run-dir", self.folder / name, *options)

    def end_of(self, process, expect=0):
        process.wait(timeout=300)
        text = self.said(process)
        self.assertEqual(process.returncode, expect, text[-3000:])
        return text

    def wait_until(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.fail(f"{what} not within {seconds} s\n" + "\n".join(self.said(one)[-2000:] for one in self.processes))
            time.sleep(0.005)

    def wait_for_rows(self, count):
        metrics = self.folder / "run/metrics.jsonl"
        self.wait_until(lambda: metrics.exists() and len(metrics.read_text().splitlines()) >= count, 120, f"{count} rounds")

    def journal(self, event=None):
        """Whole lines of the coordinator's journal, of one kind or all."""
        try:
            lines = (self.folder / "run/rounds/journal.jsonl").read_text().split("\n")[:-1]
        except OSError:
            return []
        events = [json.loads(line) for line in lines]
        return [one for one in events if event in (None, one["event"])]

    def require_each_counted_once(self, rounds):
        """Every round is closed once, has one row, and no silo counts twice in it."""
        for event in ("close", "row"):
            self.assertEqual([one["round"] for one in self.journal(event)], list(range(1, rounds + 1)), event)
        answers = [(one["round"], one["silo"]) for one in self.journal("answer")]
        self.assertEqual(len(answers), len(set(answers)))
        self.assertEqual([row["round"] for row in self.rows()], list(range(1, rounds + 1)))

    def coordinator_pids(self):
        """Process ids of the coordinator's rank and of the program that speaks for it."""
        ranks = ranks_of(self.folder / "keys/coordinator")
        return ranks, sites_of(ranks)

    def kill_ranks(self, run):
        for pid in ranks_of(self.folder / run):
            os.kill(pid, signal.SIGKILL)

    def signal_silo(self, name, what, with_site=False):
        ranks = ranks_of(self.folder / name)
        for pid in ranks + (sites_of(ranks) if with_site else []):
            os.kill(pid, what)

    def wait_until_gone(self, pids):
        end = time.monotonic() + 10
        while any(map(is_running, pids)):
            self.assertLess(time.monotonic(), end, "a process outlives its launcher")
            time.sleep(0.02)
