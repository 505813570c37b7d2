"""A run as Prometheus and Grafana see it: the shipped rules and dashboards, and a real Prometheus that scrapes real launchers.

Most ranks are stand-ins, a script in the place of moesaic-worker that writes the rows of every mode at once.
"""
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest
import urllib.parse
import urllib.request

from moesaic import BIN, MOESAIC, ROOT, RunTest

if not shutil.which("prometheus") or not shutil.which("promtool"):
    print("prometheus and promtool are not installed (scripts/setup.sh --parity)")
    sys.exit(77)

SHIPPED = ROOT / "scripts/monitoring"
TESTS = pathlib.Path(__file__).resolve().parent / "monitoring"
DASHBOARDS = sorted((SHIPPED / "grafana/dashboards").glob("*.json"))
LEVELS = ("region", "job", "instance")

STAND_IN = """#!{python}
import json, os, pathlib, signal, socket, sys, time
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(75))
run, rank = pathlib.Path("{folder}/run"), int(os.environ.get("OMPI_COMM_WORLD_RANK", 0))
step_folder = run / "checkpoints/step-00000010"
(run / "logs").mkdir(parents=True, exist_ok=True)
if rank == 0:
    step_folder.mkdir(parents=True)
    (step_folder / "model.h5").write_bytes(bytes(4096))
    (run / "checkpoints/latest").symlink_to(step_folder.name)
    (run / "restarts.jsonl").write_text('{{"restart": 1}}\\n')
for step in range(1, 1000):
    state = f"{{10 * step}} {{10 * step}} {{time.time():.3f}} {{step}} {{os.getpid()}} {{socket.gethostname()}} 'loss' of world"
    (run / f"logs/rank-{{rank}}.state").write_text(state.ljust(255) + "\\n")
    if rank == 0:
        row = {{"step": step, "tokens": 240 * step, "loss": 40.0 if (run / "spike").exists() else 4.0, "loss_balance": 1.1,
               "loss_ewc": 0.2, "loss_total": 5.3, "learning_rate": 1e-3, "grad_norm": None if step == 3 else 0.5, "clip_factor": 1,
               "max_violation": 0.5, "dead_experts": 1, "dropped_fraction": 0, "task": 2, "epsilon": 7.5, "round": 3,
               "silo_north_loss": 3.5, "silo_south_loss": 4.5, "valid_loss": 4.2, "valid_accuracy": 0.5, "tokens_per_s": 800,
               "step_s": 0.3, "sync_wait_s": 0.01, "checkpoint_s": 0.02, "memory_peak_mb": 64, "straggler_rank": 1,
               "rank_compute_s": [0.1, 0.2], "rank_wait_s": [0.1, 0], "loss_spikes": 0,
               "items": 2 * step, "items_per_s": 5, "latency_s": 0.25, "layer_max_violation": [0.5, 0.25], "layer_load_entropy": [0.9, 0.95], "expert_load.0": [0.25, 0.75]}}
        with open(run / "metrics.jsonl", "a") as rows:
            rows.write(json.dumps(row) + "\\n")
    time.sleep(0.3)
"""
PRIVATE = ("moe.balance.type=sequence", "train.clip_norm=0",
           'privacy={"noise_multiplier": 1.0, "expected_batch_size": 10, "budget": {"epsilon": 8.0, "delta": 1.0e-6}}')


def promtool(*arguments, **options):
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


def free_port():
    with socket.socket() as any_port:
        any_port.bind(("localhost", 0))
        return any_port.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def panel_queries(path):
    """(title, query) of every panel, with all levels."""
    for panel in json.loads(path.read_text())["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"]
            for level in LEVELS:
                query = query.replace(f"${level}", ".*")
            yield panel["title"], query


class Prometheus:
    """The shipped configuration, with shorter times and this target."""

    def __init__(self, folder, target_port):
        shutil.copytree(SHIPPED, folder)
        config = (folder / "prometheus.yml").read_text()
        (folder / "prometheus.yml").write_text(config.replace("15s", "1s"))
        alerts = (folder / "rules/alerts.yml").read_text()
        (folder / "rules/alerts.yml").write_text(re.sub(r"for: \d+[sm]", "for: 1s", alerts))
        target = (folder / "targets/example.yml").read_text()
        (folder / "targets/example.yml").write_text(target.replace("localhost:9400", f"localhost:{target_port}"))
        self.url = f"http://localhost:{free_port()}"
        self.log = open(folder / "log", "w")
        self.process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml",
                                         f"--storage.tsdb.path={folder}/data",
                                         f"--web.listen-address={self.url.removeprefix('http://')}"],
                                        stdout=self.log, stderr=self.log)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def query(self, expression):
        """The samples, none while Prometheus starts."""
        try:
            answer = json.loads(get(f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        except OSError:
            return []
        return answer["data"]["result"]

    def label_values(self, metric, label):
        return {sample["metric"].get(label) for sample in self.query(metric)} - {None}


class ShippedFiles(unittest.TestCase):
    def test_rules_and_configuration_are_whole(self):
        for what, files in (("config", [SHIPPED / "prometheus.yml"]), ("rules", sorted((SHIPPED / "rules").glob("*.yml")))):
            result = promtool("check", what, *files)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_each_alert_fires_where_it_must_and_not_before(self):
        result = promtool("test", "rules", TESTS / "alerts.yml")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        alerts = re.findall(r"- alert: (\w+)", (SHIPPED / "rules/alerts.yml").read_text())
        tests = (TESTS / "alerts.yml").read_text()
        for alert in alerts:
            self.assertRegex(tests, rf"alertname: {alert}\n +eval_time: \w+\n +exp_alerts:\n")

    def test_dashboards_are_what_their_program_makes(self):
        spec = importlib.util.spec_from_file_location("make_dashboards", SHIPPED / "make_dashboards.py")
        program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(program)
        self.assertEqual({path.stem for path in DASHBOARDS}, set(program.VIEWS))
        for path in DASHBOARDS:
            dashboard = json.loads(path.read_text())
            self.assertEqual(dashboard, program.dashboard(path.stem, program.VIEWS[path.stem]), path.name)
            names = [variable["name"] for variable in dashboard["templating"]["list"]]
            self.assertEqual(names, ["datasource", *LEVELS])


class MonitoredRun(RunTest):
    def start(self, *arguments, program=MOESAIC, ranks=2):
        """A run whose metrics are at `self.port`."""
        return self.start_job(program, "train", str(self.recipe), "-n", str(ranks), "log.prometheus={port: 0}", *arguments)

    def start_job(self, *command, stdin=subprocess.DEVNULL):
        process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        said = []
        for line in process.stderr:
            said.append(line)
            if place := re.fullmatch(r"metrics +http://\S+:(\d+)/metrics\n", line):
                self.port = int(place[1])
                return process
        self.fail("".join(said))

    def prometheus(self):
        prometheus = Prometheus(self.folder / "prometheus", self.port)
        self.addCleanup(prometheus.stop)
        return prometheus

    def wait_for(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.2)

    def check_metrics(self, text):
        """Those of Moesaic are written and named as Prometheus wants them."""
        own = "".join(line + "\n" for line in text.splitlines() if re.match(r"(# \w+ )?moesaic_", line))
        result = promtool("check", "metrics", input=own)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr + own)


class StandInRun(MonitoredRun):
    def setUp(self):
        super().setUp()
        self.program = self.folder / "moesaic"
        shutil.copy(BIN / "moesaic", self.program)
        worker = self.folder / "moesaic-worker"
        worker.write_text(STAND_IN.format(python=sys.executable, folder=self.folder))
        worker.chmod(0o755)

    def test_every_panel_has_data_and_alerts_fire(self):
        run = self.start(*PRIVATE, program=self.program)
        prometheus = self.prometheus()
        self.wait_for(lambda: prometheus.query("job:moesaic_remaining:seconds"), "no recorded series", 90)
        self.check_metrics(get(f"http://localhost:{self.port}/metrics"))
        for path in DASHBOARDS:
            for title, query in panel_queries(path):
                self.wait_for(lambda: prometheus.query(query), f"{path.stem}, {title}: no data for {query}", 20)
        self.assertEqual(prometheus.label_values("moesaic_run_info", "region"), {"site-a"})
        self.assertEqual(prometheus.label_values("moesaic_run_info", "job"), {"tiny"})
        self.assertEqual(prometheus.label_values("moesaic_rank_step", "instance"), {"rank-0", "rank-1"})
        self.assertEqual(prometheus.label_values("moesaic_silo_loss", "region"), {"north", "south"})
        self.assertEqual(prometheus.query("moesaic_nonfinite_rows_total")[0]["value"][1], "1")
        self.check_alerts(prometheus)
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(60), 75)

    def check_alerts(self, prometheus):
        firing = lambda name, **labels: any(labels.items() <= sample["metric"].items() for sample in prometheus.query(
            f'ALERTS{{alertname="{name}", alertstate="firing"}}'))
        self.wait_for(lambda: firing("MoesaicEpsilonNearBudget", job="tiny", region="site-a"), "epsilon")
        self.wait_for(lambda: firing("MoesaicStraggler", instance="rank-1"), "straggler")
        self.assertFalse(firing("MoesaicRankStopped"))
        self.assertFalse(firing("MoesaicLossSpike"))
        (self.folder / "run/spike").touch()
        self.wait_for(lambda: firing("MoesaicLossSpike", job="tiny"), "spike")
        pid = int((self.folder / "run/logs/rank-1.state").read_text().split()[4])
        os.kill(pid, signal.SIGSTOP)
        try:
            self.wait_for(lambda: firing("MoesaicRankStopped", instance="rank-1"), "stopped rank")
            self.assertFalse(firing("MoesaicRankStopped", instance="rank-0"))
        finally:
            os.kill(pid, signal.SIGCONT)

    def test_a_port_in_use_is_said_before_anything_starts(self):
        with socket.socket() as taken:
            taken.bind(("0.0.0.0", 0))
            taken.listen()
            port = taken.getsockname()[1]
            result = subprocess.run([self.program, "train", self.recipe, f"log.prometheus={{port: {port}}}"],
                                    capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn(f"cannot listen on port {port}", result.stderr)
        self.assertFalse((self.folder / "run").exists())


class RealRun(MonitoredRun):
    def test_prometheus_scrapes_a_training(self):
        run = self.start("train.max_steps=1000000")
        prometheus = self.prometheus()
        self.wait_for(lambda: prometheus.query("moesaic_step > 1"), "no step")
        text = get(f"http://localhost:{self.port}/metrics")
        self.check_metrics(text)
        for query in ("moesaic_loss", "moesaic_expert_load_ratio", "moesaic_tokens_per_second", "moesaic_disk_free_bytes",
                      "count(moesaic_rank_step) == 2", "count(moesaic_rank_resident_memory_bytes > 1e6) == 2"):
            self.wait_for(lambda: prometheus.query(query), f"no data for {query}\n{text}", 20)
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(60), 75)

    def test_a_textfile_says_how_the_run_ended(self):
        self.train("train.max_steps=3", "log.prometheus=textfile")
        text = (self.folder / "run/metrics.prom").read_text()
        self.check_metrics(text)
        for line in ('moesaic_step{job="tiny"} 3', 'moesaic_running{job="tiny"} 0', 'moesaic_exit_code{job="tiny"} 0',
                     'moesaic_max_steps{job="tiny"} 3'):
            self.assertIn(line + "\n", text)
        rows = self.rows()
        self.train("train.max_steps=3", run="plain")
        self.assertEqual(rows, self.rows("plain"))

    def test_prometheus_scrapes_a_job_that_scores(self):
        self.train("train.max_steps=3")
        job = self.start_job(MOESAIC, "score", "--model", str(self.folder / "run"), "-n", "2", "--batch-tokens", "16",
                             "--prometheus", "0", stdin=subprocess.PIPE)
        prometheus = self.prometheus()
        job.stdin.write((json.dumps({"ids": list(range(20))}) + "\n") * 60)
        job.stdin.flush()  # more than two windows of 16 x 32 ids; then it waits for more
        self.wait_for(lambda: prometheus.query('moesaic_items{job="score-run", region="site-a"} >= 50'), "no item")
        self.check_metrics(get(f"http://localhost:{self.port}/metrics"))
        for query in ("moesaic_tokens == 20 * moesaic_items", "moesaic_tokens_per_second > 0", "moesaic_items_per_second > 0",
                      "moesaic_latency_seconds > 0", "moesaic_memory_peak_bytes > 1e6", 'moesaic_run_info{verb="score"}',
                      "moesaic_running == 1", "count(moesaic_rank_resident_memory_bytes > 1e6) == 2"):
            self.wait_for(lambda: prometheus.query(query), f"no data for {query}", 20)
        job.communicate(timeout=60)
        self.assertEqual(job.returncode, 0)

    def test_a_textfile_says_what_a_job_has_answered(self):
        self.train("train.max_steps=3")
        (self.folder / "tmp").mkdir()
        file, environment = self.folder / "job.prom", {**os.environ, "TMPDIR": str(self.folder / "tmp")}

        def answer(verb, *arguments):
            """What it says, and its metrics."""
            command = (verb, "--model", self.folder / "run", *arguments)
            result = self.moesaic(*command, "--prometheus", file, env=environment)
            text = file.read_text()
            self.check_metrics(text)
            for line in ("running", "exit_code"):
                self.assertIn(f'moesaic_{line}{{job="{verb}-run"}} 0\n', text)
            self.assertEqual(list((self.folder / "tmp").iterdir()), [])
            if "--json" not in arguments:  # which has times
                self.assertEqual(self.moesaic(*command).stdout, result.stdout)
            return result.stdout, {name: float(value) for name, value in re.findall(r"moesaic_(\w+){job=\S+} (\S+)\n", text)}

        said, of = answer("generate", "--prompt", "the rank", "--max-new-tokens", "9", "--json")
        self.assertEqual((of["items"], of["tokens"]), (1, len(json.loads(said)["ids"])))
        (self.folder / "prompts").write_text('{"prompt": "the"}\n{"prompt": "a"}\n{"prompt": "of"}\n')
        said, of = answer("generate", "--input", self.folder / "prompts", "--max-new-tokens", "9", "--together", "2", "-n", "2")
        self.assertEqual((of["items"], of["tokens"]), (3, sum(len(json.loads(line)["ids"]) for line in said.splitlines())))
        self.assertGreater(of["latency_seconds"], 0)
        said, of = answer("eval", "--data", self.folder / "text/valid.txt", "--context", "64", "--stride", "63")
        self.assertGreater(of["items"], 1)
        self.assertGreater(of["tokens_per_second"], 0)

    def test_a_place_for_metrics_that_is_none_is_said_at_once(self):
        (self.folder / "model").mkdir()
        result = self.moesaic("score", "--model", self.folder / "model", "--prometheus", 70000, expect=2)
        self.assertIn("--prometheus is '70000', of a port", result.stderr)
        file = self.folder / "failed.prom"
        self.moesaic("score", "--model", self.folder / "model", "--prometheus", file, expect=7)
        self.assertIn('moesaic_exit_code{job="score-model"} 7\n', file.read_text())

    def test_a_folder_that_cannot_take_the_file_stops_no_run(self):
        (self.folder / "run").mkdir()
        (self.folder / "run/metrics.prom").mkdir()
        result = self.train("train.max_steps=3", "log.prometheus=textfile")
        self.assertEqual(result.stderr.count("the run goes on"), 1, result.stderr)


if __name__ == "__main__":
    unittest.main()
