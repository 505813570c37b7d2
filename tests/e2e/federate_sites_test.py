"""federate keys, coordinator, silo, simulate: the bits of one job, and rounds that end whoever dies."""
import os
import signal
import socket
import subprocess
import time
import unittest

from moesaic import BIN, MOESAIC, RunTest, ranks_of

FEDERATION = """
name: federation
seed: 5
run_dir: {folder}/run
model:
  config: {{model_type: olmoe, vocab_size: 272, hidden_size: 32, intermediate_size: 24, num_hidden_layers: 1,
           num_attention_heads: 4, num_key_value_heads: 2, num_experts: 4, num_experts_per_tok: 2,
           norm_topk_prob: true, initializer_range: 0.1, max_position_embeddings: 512}}
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


class FederateSites(RunTest):
    recipe_text = FEDERATION

    def setUp(self):
        super().setUp()
        (self.folder / "text/digits.txt").write_text("".join(f"{7 * i % 997} " for i in range(1200)))
        for name, train, valid in (("letters", "train-a", "valid"), ("digits", "digits", "digits")):
            (self.folder / f"{name}.yaml").write_text(SILO.format(folder=self.folder, name=name, train=train, valid=valid))
        self.address = f"127.0.0.1:{free_port()}"
        self.processes = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def keys(self):
        self.moesaic("federate", "keys", self.folder / "keys", "--coordinator", "127.0.0.1", "--silo", "letters", "--silo", "digits")

    def start(self, *arguments):
        process = subprocess.Popen([MOESAIC, "federate", *map(str, arguments)], cwd=self.folder, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def coordinator(self, *overrides):
        return self.start("coordinator", self.recipe, *overrides, "--listen", self.address,
                          "--keys", self.folder / "keys/coordinator")

    def silo(self, name, *options):
        return self.start("silo", self.folder / f"{name}.yaml", "--connect", self.address, "--keys", self.folder / "keys" / name,
                          "--run-dir", self.folder / name, *options)

    def end_of(self, process, expect=0):
        text = process.communicate(timeout=300)[0]
        self.assertEqual(process.returncode, expect, text[-3000:])
        return text

    def wait_for_rows(self, count):
        metrics = self.folder / "run/metrics.jsonl"
        end = time.monotonic() + 120
        while not (metrics.exists() and len(metrics.read_text().splitlines()) >= count):
            self.assertLess(time.monotonic(), end, "the rounds do not go on")
            time.sleep(0.02)

    def kill_ranks(self, run):
        for pid in ranks_of(self.folder / run):
            os.kill(pid, signal.SIGKILL)

    def wait_until_gone(self, pids):
        end = time.monotonic() + 10
        while any(map(is_running, pids)):
            self.assertLess(time.monotonic(), end, "a process outlives its launcher")
            time.sleep(0.02)

    def test_the_worker_links_no_network_and_the_site_no_torch(self):
        def libraries(program):
            return subprocess.run(["ldd", BIN / program], capture_output=True, text=True, check=True).stdout

        self.assertNotRegex(libraries("moesaic-worker"), "grpc|protobuf")
        self.assertRegex(libraries("moesaic-site"), "grpc")
        self.assertNotRegex(libraries("moesaic-site"), "torch|libmpi|hdf5")
        alone = subprocess.run([BIN / "moesaic-site"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(alone.returncode, 2)
        self.assertIn("hint: run `moesaic federate coordinator`", alone.stderr)

    def test_a_side_ends_with_the_program_that_speaks_for_it_and_goes_on_when_started_again(self):
        self.keys()
        coordinator = self.coordinator("federated.rounds=12")
        letters, digits = self.silo("letters"), self.silo("digits")
        self.wait_for_rows(1)
        ranks = {name: ranks_of(self.folder / name) for name in ("keys/coordinator", "digits", "letters")}
        sites = {name: sites_of(pids) for name, pids in ranks.items()}
        self.assertEqual([len(pids) for pids in sites.values()], [1, 1, 1])
        for name, process in (("keys/coordinator", coordinator), ("digits", digits)):
            os.kill(sites[name][0], signal.SIGKILL)
            self.assertIn("the program that speaks to the network has ended", self.end_of(process, expect=6))
        os.kill(letters.pid, signal.SIGKILL)  # the launcher
        letters.communicate(timeout=60)
        self.wait_until_gone(sum([*ranks.values(), *sites.values()], []))

        again = [self.coordinator("federated.rounds=12"), self.silo("letters"), self.silo("digits")]
        for process in again:
            self.end_of(process)
        self.assertEqual([row["round"] for row in self.rows()], list(range(1, 13)))

    def test_a_simulation_gives_the_bits_of_one_job(self):
        self.train("federated.aggregator.type=fedavgm", run="one", ranks=2)
        self.moesaic("federate", "simulate", self.recipe, f"run_dir={self.folder}/sites", "federated.aggregator.type=fedavgm")
        self.assertEqual(self.digests("sites"), self.digests("one"))
        for one, sites in zip(self.rows("one"), self.rows("sites"), strict=True):
            self.assertAlmostEqual(sites.pop("valid_loss"), one.pop("valid_loss"), places=10)
            self.assertEqual(sites, one)
        rounds = sorted(path.name for path in (self.folder / "sites/rounds").glob("*.safetensors"))
        self.assertEqual(rounds, [f"round-{i:06}.safetensors" for i in (1, 2, 3)])

    def test_a_secure_sum_gives_the_mean_of_one_job(self):
        self.train(run="one", ranks=2)
        self.moesaic("federate", "simulate", self.recipe, f"run_dir={self.folder}/secure",
                     "federated.secure_aggregation={threshold: 2}")
        self.assertLess(self.weight_difference("one", "secure"), 1e-6)

    def test_a_coordinator_that_was_killed_goes_on_to_the_same_model(self):
        self.keys()
        coordinator = self.coordinator()
        silos = [self.silo("letters"), self.silo("digits")]
        self.wait_for_rows(1)
        for pid in ranks_of(self.folder / "keys/coordinator"):
            os.kill(pid, signal.SIGKILL)
        coordinator.communicate(timeout=60)
        self.end_of(self.coordinator())
        for silo in silos:
            self.end_of(silo)
        self.train(run="one", ranks=2)
        self.assertEqual(self.digests("run"), self.digests("one"))
        self.assertEqual([row["round"] for row in self.rows()], [1, 2, 3])

    def test_rounds_go_on_without_a_silo_that_was_killed(self):
        self.keys()
        coordinator = self.coordinator("federated.rounds=6", "federated.heartbeat_s=0.5")
        letters, digits = self.silo("letters"), self.silo("digits")
        self.wait_for_rows(1)
        self.kill_ranks("digits")
        digits.communicate(timeout=60)
        text = self.end_of(coordinator)
        self.end_of(letters)
        self.assertIn("silo digits was lost", text)
        self.assertIn("silo_letters_loss", self.rows()[-1])
        self.assertNotIn("silo_digits_loss", self.rows()[-1])
        self.assertEqual(len(self.rows()), 6)

    def test_a_dry_run_lists_what_would_leave(self):
        self.keys()
        self.coordinator("federated.deadline_s=5")
        text = self.end_of(self.silo("letters", "--dry-run"))
        self.assertRegex(text, r"leaves +lm_head.weight \[272, 32\], 69632 bytes")
        self.assertFalse((self.folder / "letters/accepted.yaml").exists())

    def test_a_silo_allows_what_its_file_says(self):
        self.keys()
        self.coordinator("federated.deadline_s=5")
        (self.folder / "allow.yaml").write_text("rounds: 2\naggregators: [fedavg]\n")
        text = self.end_of(self.silo("letters", "--allow", self.folder / "allow.yaml"), expect=3)
        self.assertIn("the coordinator asks for 3 rounds, and this silo allows 2", text)
        own = self.folder / "digits.yaml"
        own.write_text(own.read_text() + "train: {max_steps: 3}\n")
        text = self.end_of(self.silo("digits"), expect=3)
        self.assertIn("is no key of a silo's own recipe", text)


if __name__ == "__main__":
    unittest.main()
