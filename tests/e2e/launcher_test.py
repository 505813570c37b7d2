"""The launcher: what it starts, how it stops, and what it says of a job that failed.

The ranks are stand-ins: a script in the place of moesaic-worker, beside a copy of the launcher, under the real mpirun.
"""
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

BIN = pathlib.Path(os.environ["MOESAIC_BIN"])
RECIPE = """
name: stand-in
run_dir: {folder}/run
model:
  config: {{model_type: olmoe, vocab_size: 272, hidden_size: 32, intermediate_size: 16, num_hidden_layers: 1,
           num_attention_heads: 2, num_experts: 4, num_experts_per_tok: 2}}
data: {{train: [{{path: {folder}/corpus.txt}}]}}
train: {{max_steps: 5, global_batch_size: 8, micro_batch_size: 2}}
"""
# What every stand-in begins with: its rank, and `fail RANK TIME KIND MESSAGE`, which writes an error file.
WORKER = """#!/bin/bash
rank=${{OMPI_COMM_WORLD_RANK:-0}}
echo $$ > {folder}/pid.$rank
fail() {{
  mkdir -p {folder}/run/logs
  echo "log" > {folder}/run/logs/rank-$1.log
  echo '{{"rank": '$1', "host": "node-'$1'", "time": '$2', "kind": "'$3'", "message": "'$4'", "hint": "do this"}}' \\
    > {folder}/run/logs/error.rank-$1.json
}}
{body}
"""
LISTEN = 'trap "echo saved; exit 75" USR1; touch {folder}/ready.$rank; for i in $(seq 300); do sleep 0.1; done; exit 1'


class LauncherTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="moesaic-launcher-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.program = self.folder / "moesaic"
        shutil.copy(BIN / "moesaic", self.program)
        (self.folder / "corpus.txt").write_text("some text " * 1000)
        self.recipe = self.folder / "recipe.yaml"
        self.recipe.write_text(RECIPE.format(folder=self.folder))
        self.worker("exit 0")

    def worker(self, body, name="moesaic-worker"):
        path = self.folder / name
        path.write_text(WORKER.format(folder=self.folder, body=body.replace("{folder}", str(self.folder))))
        path.chmod(0o755)

    def environment(self, **changes):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_COMM", "PMI", "SLURM"))}
        return inherited | changes

    def moesaic(self, *arguments, expect=0, **environment):
        result = subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                                env=self.environment(**environment), cwd=self.folder)
        self.assertEqual(result.returncode, expect, result.stdout + result.stderr)
        return result

    def train(self, *arguments, expect=0, **environment):
        return self.moesaic("train", self.recipe, *arguments, expect=expect, **environment)

    def start(self, *arguments):
        process = subprocess.Popen([self.program, "train", self.recipe, *map(str, arguments)], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment())
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, condition, what):
        end = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.05)

    def wait_ready(self, ranks):
        self.wait_for(lambda: len(list(self.folder.glob("ready.*"))) == ranks, "the ranks did not start")

    def pid_of(self, rank):
        return int((self.folder / f"pid.{rank}").read_text())

    def wait_gone(self, *pids):
        def gone(pid):
            try:
                return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                return True
        self.wait_for(lambda: all(map(gone, pids)), f"still there: {pids}")


class Command(LauncherTest):
    def test_one_rank_needs_no_mpirun(self):
        command = self.train("--print-command", "seed=7").stdout
        self.assertIn(f"moesaic-worker train {self.recipe} seed=7", command)
        self.assertIn("OMP_NUM_THREADS=", command)
        self.assertNotIn("mpirun", command)

    def test_command_can_be_pasted_into_a_shell(self):
        self.worker('printf "<%s>" "$@"')
        command = self.train("--print-command", "name=it's a name", "--resume", "auto").stdout
        shown = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
        self.assertEqual(shown, f"<train><{self.recipe}><name=it's a name><--resume><auto>")

    def test_more_ranks_than_cores_share_them_unbound(self):
        result = self.train("-n", 256, "--print-command")
        self.assertIn("--oversubscribe --bind-to none --mca mpi_yield_when_idle 1", result.stdout)
        self.assertIn("OMP_NUM_THREADS=1 ", result.stdout)
        self.assertIn("256 ranks share", result.stderr)

    def test_ranks_are_bound_only_when_they_divide_the_whole_machine(self):
        cores = len(os.sched_getaffinity(0))
        if cores < 2:
            self.skipTest("one core")
        first = min(os.sched_getaffinity(0))
        confined = subprocess.run([self.program, "train", self.recipe, "-n", "2", "--print-command"], text=True,
                                  capture_output=True, preexec_fn=lambda: os.sched_setaffinity(0, {first}))
        self.assertIn("--bind-to none", confined.stdout)
        self.assertNotIn("--bind-to core", confined.stdout)
        fewer = self.train("-n", 2, "parallel.threads_per_rank=100", "--print-command").stdout
        self.assertIn("OMP_NUM_THREADS=100", fewer)
        self.assertIn("--bind-to none", fewer)

    def test_ranks_come_from_the_recipe_unless_given(self):
        self.assertIn("mpirun -n 2 ", self.train("parallel.ranks=2", "--print-command").stdout)
        self.assertIn("mpirun -n 4 ", self.train("parallel.ranks=2", "-n", 4, "--print-command").stdout)

    def test_print_command_as_json(self):
        command = json.loads(self.train("-n", 2, "--print-command", "--json").stdout)
        self.assertEqual(command["argv"][-2:], ["train", str(self.recipe)])

    def test_dry_run_shows_groups_and_starts_nothing(self):
        self.worker("touch {folder}/started")
        text = self.train("-n", 4, "parallel.expert=2", "--dry-run").stdout
        self.assertRegex(text, r"expert groups +\[0, 1\] \[2, 3\]")
        self.assertRegex(text, r"expert-data groups +\[0, 2\] \[1, 3\]")
        result = json.loads(self.train("-n", 4, "parallel.expert=2", "--dry-run", "--json").stdout)
        self.assertEqual(result["expert_data_groups"], [[0, 2], [1, 3]])
        self.assertFalse((self.folder / "started").exists())
        self.assertFalse((self.folder / "run").exists())


class Refused(LauncherTest):
    def setUp(self):
        super().setUp()
        self.worker("touch {folder}/started")

    def tearDown(self):
        self.assertFalse((self.folder / "started").exists())

    def test_a_bad_recipe_with_all_its_problems(self):
        errors = self.train("train.max_stepz=3", "optimizer.type=adamv", expect=3).stderr
        self.assertIn("max_stepz", errors)
        self.assertIn("adamv", errors)

    def test_sizes_that_do_not_fit(self):
        self.assertIn("parallel.expert", self.train("-n", 3, "parallel.expert=2", expect=3).stderr)

    def test_a_wrong_command_line(self):
        for arguments in ((), ("train",), ("train", self.recipe, "--nope"), ("train", self.recipe, "-n", "0"),
                          ("train", self.recipe, "-n", "two"), ("train", self.recipe, "no-value"),
                          ("train", self.recipe, "--resume", "auto", "--overwrite")):
            self.moesaic(*arguments, expect=2)

    def test_a_mistyped_verb_with_the_nearest(self):
        self.assertIn("did you mean 'train'?", self.moesaic("trian", expect=2).stderr)

    def test_being_one_of_many_tasks(self):
        for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"):
            errors = self.train(expect=2, **{name: "4"}).stderr
            self.assertIn("moesaic-worker train", errors)
        self.assertIn("srun --mpi=pmix", errors)

    def test_the_batch_script_of_a_slurm_job_is_not(self):
        self.train("--print-command", SLURM_NTASKS="4", SLURM_PROCID="0")

    def test_a_device_whose_worker_is_not_built(self):
        self.assertIn("parallel.device=cpu", self.train("parallel.device=cuda", expect=5).stderr)

    def test_ranks_without_mpirun(self):
        self.assertIn("openmpi-bin", self.train("-n", 2, expect=5, PATH="/nowhere").stderr)

    def test_a_missing_worker(self):
        (self.folder / "moesaic-worker").unlink()
        self.assertIn("moesaic-worker", self.train(expect=5).stderr)
        self.assertIn("moesaic-worker", self.moesaic("inspect", "x", expect=5).stderr)


class ExitCodes(LauncherTest):
    def test_are_those_of_the_worker(self):
        for ranks in (1, 2):
            for code in (0, 2, 3, 4, 5, 6, 7, 8, 9, 75):
                with self.subTest(ranks=ranks, code=code):
                    self.worker(f"exit {code}")
                    errors = self.train("-n", ranks, expect=code).stderr
                    self.assertNotIn("-----", errors)  # mpirun's banners
                    self.assertEqual("error:" in errors, code not in (0, 75))

    def test_unknown_codes_are_a_lost_rank(self):
        for ranks in (1, 2):
            self.worker("exit 42")
            self.train("-n", ranks, expect=6)

    def test_a_killed_rank_is_named_with_its_signal(self):
        for ranks, rank in ((1, 0), (3, 2)):
            # Not at once: mpirun may not tell which rank it was that died while it started them.
            self.worker(f"if [ $rank = {rank} ]; then sleep 0.5; kill -9 $$; fi; sleep 30")
            errors = self.train("-n", ranks, expect=6).stderr
            self.assertIn(f"rank {rank} failed", errors)
            self.assertIn("signal 9", errors)
            self.assertIn("out-of-memory", errors)
            self.assertNotIn("-----", errors)

    def test_a_rank_killed_at_its_start_is_told_even_when_mpirun_does_not_say_which(self):
        self.worker("if [ $rank = 2 ]; then kill -9 $$; fi; sleep 30")
        errors = self.train("-n", 3, expect=6).stderr
        self.assertIn("signal 9", errors)
        self.assertIn("out-of-memory", errors)

    def test_a_job_that_ends_with_the_code_of_a_signal_and_no_word(self):
        self.worker("exit 137")
        self.assertIn("signal 9", self.train("-n", 1, expect=6).stderr)

    def test_output_goes_through(self):
        self.worker('echo "result $rank"; echo "log $rank" >&2; cat')  # cat: stdin is empty
        for ranks in (1, 2):
            result = self.train("-n", ranks)
            self.assertEqual(sorted(result.stdout.split("\n")), [""] + [f"result {r}" for r in range(ranks)])
            for rank in range(ranks):
                self.assertIn(f"log {rank}\n", result.stderr)

    def test_rules_in_a_ranks_own_output_are_not_swallowed(self):
        rule = "-" * 74
        self.worker(f'if [ $rank = 0 ]; then printf -- "{rule}\\nmine\\n{rule}\\n{rule}\\nopen" >&2; fi')
        self.assertIn(f"{rule}\nmine\n{rule}\n{rule}\nopen", self.train("-n", 2).stderr)


class JobFiles(LauncherTest):
    """Files that Open MPI keeps while a job runs: two jobs at once must not remove each other's."""

    def setUp(self):
        super().setUp()
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir()
        self.worker('env | grep tmpdir_base; ls -d "$TMPDIR"/*; exit 0')

    def test_stand_in_a_folder_of_the_job_that_is_gone_after_it(self):
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                output = self.train("-n", ranks, TMPDIR=str(self.temporary)).stdout
                self.assertIn(f"tmpdir_base={self.temporary}/moesaic-job-", output)
                self.assertNotIn("/ompi.", output)  # the folder that all jobs of a user would share
                self.assertEqual(list(self.temporary.iterdir()), [])

    def test_stand_where_the_caller_says(self):
        for ranks in (1, 2):
            own = self.temporary / "own"
            output = self.train("-n", ranks, OMPI_MCA_orte_tmpdir_base=str(own), TMPDIR=str(self.temporary)).stdout
            self.assertIn(f"OMPI_MCA_orte_tmpdir_base={own}\n", output)
            self.assertNotIn("moesaic-job", output)


class Failures(LauncherTest):
    def test_the_earliest_error_is_the_cause(self):
        self.worker('case $rank in 0) fail 0 2000.5 communication "rank 2 is behind"; exit 6;;'
                    '2) fail 2 1000.5 data "file x is empty"; sleep 30;; *) sleep 30;; esac')
        # The cause decides the exit code, also where another rank ended the job.
        errors = self.train("-n", 3, expect=4).stderr
        log = self.folder / "run/logs/rank-2.log"
        self.assertIn("error: rank 2 failed on node-2: file x is empty\nhint: do this\n"
                      f"log: {log}\nalso failed, after it: rank 0\n", errors)
        self.assertEqual(errors.count("error:"), 1)

    def test_a_killed_rank_goes_before_those_that_lost_it(self):
        self.worker('case $rank in 0) sleep 0.5; fail 0 1.0 communication "rank 1 is lost"; sleep 30;;'
                    '1) sleep 1.5; kill -9 $$;; esac')
        errors = self.train("-n", 2, expect=6).stderr
        self.assertIn("rank 1 failed", errors)
        self.assertIn("signal 9", errors)
        self.assertIn("also failed, after it: rank 0", errors)

    def test_error_files_of_an_earlier_job_do_not_count(self):
        self.worker('fail 0 4000000000.5 data "old"; exit 4')
        self.assertIn("old", self.train(expect=4).stderr)
        self.worker("exit 7")
        self.assertNotIn("old", self.train(expect=7).stderr)

    def test_a_hang_shows_the_log_of_the_rank_that_is_behind(self):
        self.worker('if [ $rank = 1 ]; then sleep 30; fi; mkdir -p {folder}/run/logs; '
                    'for r in 0 1; do echo log > {folder}/run/logs/rank-$r.log; done; '
                    'echo \'{"rank": 0, "time": 1.5, "kind": "communication", "message": "it did not finish", '
                    '"behind": [1]}\' > {folder}/run/logs/error.rank-0.json; exit 6')
        result = self.train("-n", 2, "--json", expect=6)
        self.assertIn("error: rank 0 failed: it did not finish\n", result.stderr)
        self.assertIn(f"log: {self.folder}/run/logs/rank-1.log\n", result.stderr)
        self.assertEqual(json.loads(result.stdout)["failure"]["behind"], [1])

    def test_only_a_crash_is_called_a_defect(self):
        for number, word in ((13, "a program that it wrote to has ended"), (24, "ulimit -t"), (1, "from outside"),
                             (15, "from outside"), (11, "defect"), (6, "defect")):
            self.worker(f"kill -{number} $$; sleep 30")
            errors = self.train(expect=6).stderr
            self.assertIn(f"killed by signal {number} ", errors)
            self.assertIn(word, errors)
            self.assertEqual("defect" in errors, word == "defect")

    def test_a_damaged_error_file_is_passed_over(self):
        self.worker('mkdir -p {folder}/run/logs; echo "{" > {folder}/run/logs/error.rank-0.json; exit 4')
        self.assertIn("exit code 4", self.train(expect=4).stderr)

    def test_what_a_rank_said_itself_is_not_said_again(self):
        self.worker('echo "rank $rank: error: the folder is in use" >&2; echo "rank $rank: hint: wait" >&2; exit 2')
        for ranks in (1, 2):
            errors = self.train("-n", ranks, expect=2).stderr
            self.assertNotIn("exit code", errors)
            self.assertIn("rank 0: error: the folder is in use\n", errors)

    def test_a_spent_budget_keeps_its_exit_code(self):
        """Said by a rank's file (then it decides over the code of another rank), by its words, or by its code alone."""
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                self.worker('case $rank in 0) fail 0 1.0 budget "epsilon 8 is spent"; exit 9;; *) exit 6;; esac')
                errors = self.train("-n", ranks, expect=9).stderr
                self.assertIn("error: rank 0 failed on node-0: epsilon 8 is spent\n", errors)
                self.worker('echo "rank $rank: error: epsilon 8 is spent" >&2; exit 9')
                self.assertIn("rank 0: error: epsilon 8 is spent\n", self.train("-n", ranks, expect=9).stderr)
                self.worker("exit 9")
                self.assertIn("exit code 9", self.train("-n", ranks, expect=9).stderr)

    def test_json_summary(self):
        self.worker('echo "not JSON"; fail 0 1.0 checkpoint "disk full"; exit 7')
        result = self.train("--json", expect=7)
        summary = json.loads(result.stdout)
        self.assertEqual((summary["exit_code"], summary["failure"]["message"]), (7, "disk full"))
        self.assertIn("not JSON", result.stderr)


class Signals(LauncherTest):
    def setUp(self):
        super().setUp()
        self.worker(LISTEN)

    def test_stop_signals_reach_the_ranks(self):
        for ranks in (1, 2):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
                with self.subTest(ranks=ranks, signal=number):
                    for file in self.folder.glob("ready.*"):
                        file.unlink()
                    process = self.start("-n", ranks)
                    self.wait_ready(ranks)
                    process.send_signal(number)
                    output, errors = process.communicate(timeout=60)
                    self.assertEqual(process.returncode, 75, errors)
                    self.assertIn("saved", output)
                    self.assertNotIn("error", errors)

    def test_a_stop_at_any_early_moment_is_not_lost(self):
        for delay in (0.01, 0.03, 0.1, 0.3):
            with self.subTest(delay=delay):
                process = self.start("-n", 2)
                time.sleep(delay)
                process.send_signal(signal.SIGUSR1)
                process.communicate(timeout=60)
                # Before the launcher listens the signal ends it; then there is no job either.
                self.assertIn(process.returncode, (75, -signal.SIGUSR1))

    def test_a_second_interrupt_ends_ranks_that_do_not_stop(self):
        self.worker('trap "" USR1; touch {folder}/ready.$rank; for i in $(seq 300); do sleep 0.1; done')
        process = self.start("-n", 2)
        self.wait_ready(2)
        pids = [self.pid_of(rank) for rank in (0, 1)]
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 6, errors)
        self.assertIn("second interrupt", errors)
        self.wait_gone(*pids)

    def test_no_rank_outlives_a_killed_launcher(self):
        for ranks in (1, 2):
            for file in self.folder.glob("ready.*"):
                file.unlink()
            self.worker(LISTEN.replace("USR1", "USR1 TERM"))
            process = self.start("-n", ranks)
            self.wait_ready(ranks)
            pids = [self.pid_of(rank) for rank in range(ranks)]
            process.kill()
            process.communicate(timeout=60)
            self.wait_gone(*pids)


class Output(LauncherTest):
    """What becomes of stdout on its way from the ranks."""

    def score(self, ranks):
        return self.program, "score", "--model", "x", "-n", str(ranks)

    def test_of_several_ranks_arrives_whole(self):
        self.worker('if [ $rank = 0 ]; then seq 200000; fi')
        self.assertEqual(self.train("-n", 2).stdout, "".join(f"{i}\n" for i in range(1, 200001)))

    def test_a_training_outlives_its_reader(self):
        self.worker('trap "touch {folder}/saved.$rank; exit 75" USR1; trap "" PIPE; touch {folder}/ready.$rank; '
                    'for i in $(seq 1000); do echo step $i; touch {folder}/step.$i.$rank; sleep 0.02; done 2> /dev/null')
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                for file in self.folder.glob("*.[01]"):
                    file.unlink()
                process = self.start("-n", ranks)
                self.assertIn("step", process.stdout.readline())
                process.stdout.close()
                self.wait_for(lambda: (self.folder / "step.60.0").exists(), "the job has ended")
                process.send_signal(signal.SIGINT)
                errors = process.stderr.read()
                self.assertEqual(process.wait(timeout=60), 75, errors)
                self.assertEqual(len(list(self.folder.glob("saved.*"))), ranks)
                self.assertEqual("no more progress is shown" in errors, ranks == 2)  # of one rank it says so itself
                for word in ("error", "defect", "signal 13"):
                    self.assertNotIn(word, errors)
                process.stderr.close()
                process.stdout, process.stderr = None, None  # for communicate()

    def test_of_another_job_that_nobody_reads_ends_it_without_a_word(self):
        self.worker("for i in $(seq 2000); do echo line || exit 141; sleep 0.01; done 2> /dev/null")
        for ranks in (1, 2):
            process = subprocess.Popen(self.score(ranks), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                       env=self.environment())
            self.assertEqual(process.stdout.readline(), "line\n")
            process.stdout.close()
            self.assertEqual(process.stderr.read(), "")
            process.stderr.close()
            self.assertEqual(process.wait(timeout=60), 141)

    def test_of_another_job_that_cannot_be_written_is_an_error(self):
        self.worker("for i in $(seq 300); do echo line; sleep 0.1; done")
        with open("/dev/full", "w") as full:
            result = subprocess.run(self.score(2), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
                                    env=self.environment())
        self.assertEqual(result.returncode, 7)
        self.assertIn("error: cannot write <stdout>: No space left on device\n", result.stderr)

    def test_a_reader_that_sleeps_does_not_keep_signals_away(self):
        self.worker('trap "touch {folder}/saved.$rank; exit 75" USR1; touch {folder}/ready.$rank; '
                    'if [ $rank = 0 ]; then seq 100000; fi; for i in $(seq 300); do sleep 0.1; done')
        process = self.start("-n", 2)
        self.wait_ready(2)
        time.sleep(0.5)  # the pipe is full by now
        process.send_signal(signal.SIGINT)
        self.wait_for(lambda: len(list(self.folder.glob("saved.*"))) == 2, "the ranks were not stopped")
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75, errors)
        self.assertTrue(output.startswith("1\n2\n3\n"))

    def test_of_the_launcher_itself_is_written_or_an_error(self):
        verbs = (("plan", self.recipe), ("plan", self.recipe, "--json"), ("schema",), ("schema", "--json"), ("recipes", "ls"),
                 ("recipes", "show", "smoke/quickstart"), ("validate", self.recipe), ("validate", self.recipe, "--resolved"),
                 ("train", self.recipe, "--dry-run"), ("train", self.recipe, "--print-command"), ("train", self.recipe, "--json"),
                 ("doctor",), ("--version",), ("--help",), ("plan", "-h"))
        for arguments in verbs:
            with self.subTest(verb=arguments), open("/dev/full", "w") as full:
                program = BIN / "moesaic" if arguments[0] == "recipes" else self.program  # they are found beside it
                result = subprocess.run([program, *map(str, arguments)], stdout=full, stderr=subprocess.PIPE, text=True,
                                        timeout=60, env=self.environment())
                self.assertEqual(result.returncode, 7, result.stderr)
                self.assertIn("error: cannot write <stdout>: No space left on device\n", result.stderr)
        with open("/dev/full", "w") as full:  # a worse code stays
            result = subprocess.run([self.program, "validate", self.recipe, "nope=1"], stdout=full, timeout=60)
        self.assertEqual(result.returncode, 3)

    def test_nobody_reads_what_the_launcher_itself_says(self):
        for ignored in (False, True):  # by whoever started it: then a write fails, and nothing ends the process
            reader, writer = os.pipe()
            os.close(reader)
            result = subprocess.run([self.program, "schema"], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60,
                                    restore_signals=not ignored)
            os.close(writer)
            self.assertEqual((result.returncode, result.stderr), (141, ""))

    def test_closed_streams_are_the_null_device(self):
        self.worker(": > {folder}/streams.$rank; for i in 0 1 2; do readlink /proc/$$/fd/$i >> {folder}/streams.$rank; done")
        for ranks in (1, 2):
            subprocess.run([self.program, "train", self.recipe, "-n", str(ranks)], timeout=60, check=True,
                           env=self.environment(), preexec_fn=lambda: [os.close(i) for i in (0, 1, 2)])
            streams = (self.folder / "streams.0").read_text().splitlines()
            if ranks == 1:
                self.assertEqual(streams[:2], ["/dev/null", "/dev/null"])
            self.assertEqual(len(streams), 3)


class Options(LauncherTest):
    def warned(self, *arguments):
        lines = self.moesaic(*arguments).stderr.splitlines()
        return sorted(line.split()[1] for line in lines if line.startswith("warning: ") and "has no effect: " in line)

    def test_without_effect_are_warned_of(self):
        generate = ("generate", "--model", "x", "--prompt", "a")
        drawn = ("--top-p", 0.9, "--top-k", 5, "--min-p", 0.1, "--seed", 7)
        self.assertEqual(self.warned(*generate, *drawn), ["--min-p", "--seed", "--top-k", "--top-p"])
        self.assertEqual(self.warned(*generate, *drawn, "--temperature", 0.5), [])
        self.assertEqual(self.warned(*generate, "--stop", "", "--timeout", 5), ["--stop", "--timeout"])
        self.assertEqual(self.warned(*generate, "--stop", "x", "-n", 2, "--timeout", 5), [])
        self.assertEqual(self.warned(*generate, "--together", 4), ["--together"])
        self.assertEqual(self.warned(*generate[:3], "--input", "a", "--together", 4, "--json"), ["--json"])
        evaluate = ("eval", "--model", "x", "--data", "y", "--output", "z", "--stride", 5)
        self.assertEqual(self.warned(*evaluate), ["--output"])
        self.assertEqual(self.warned(*evaluate, "--task", "multiple_choice"), ["--stride"])
        self.assertEqual(self.warned(*evaluate[:5], "--chat", "--metrics", "bleu", "--bootstrap", 5), ["--bootstrap", "--chat", "--metrics"])
        self.assertEqual(self.warned(*evaluate[:5], "--task", "cases", "--chat", "--batch-tokens", 5, "--seed", 5), ["--batch-tokens"])
        self.assertEqual(self.warned("score", "--model", "x", "--json"), ["--json"])
        self.assertEqual(self.warned("score", "--model", "x", "--json", "--output", "y"), [])
        self.assertEqual(self.warned("validate", self.recipe, "--json", "--resolved"), ["--resolved"])
        self.assertEqual(self.warned("train", self.recipe, "--dry-run", "--print-command"), ["--dry-run"])


class Surroundings(LauncherTest):
    """What a container may lack: ssh, or a host name that Open MPI can hold."""

    def without_ssh(self):
        folder = self.folder / "bin"
        folder.mkdir()
        for name in ("mpirun", "orted", "true", "false", "sleep", "cat"):
            if program := shutil.which(name):
                (folder / name).symlink_to(program)
        return str(folder)

    def named(self, length, *arguments):
        """In a machine with a host name of that length."""
        shell = f"hostname {'h' * length} && exec \"$@\""
        result = subprocess.run(["unshare", "-u", "sh", "-c", shell, "sh", self.program, *map(str, arguments)], text=True,
                                capture_output=True, timeout=120, env=self.environment(), cwd=self.folder)
        if result.stderr.startswith(("unshare:", "hostname:")):
            self.skipTest(result.stderr.strip())
        return result

    def test_several_ranks_need_no_ssh_on_one_machine(self):
        path = self.without_ssh()
        self.assertIn("plm_rsh_agent", self.train("-n", 2, "--print-command", PATH=path).stdout)
        self.train("-n", 2, PATH=path)
        checks = json.loads(self.moesaic("doctor", "--json", PATH=path).stdout)["checks"]
        self.assertIn(("two ranks", "ok"), [(check["name"], check["verdict"]) for check in checks])
        if shutil.which("ssh"):
            self.assertNotIn("plm_rsh_agent", self.train("-n", 2, "--print-command").stdout)

    def test_a_host_name_that_is_too_long_is_named(self):
        words = "the host name has 60 characters"
        result = self.named(60, "train", self.recipe, "-n", "2")
        self.assertEqual(result.returncode, 6, result.stderr)
        self.assertIn(words, result.stderr)
        self.assertNotIn("defect", result.stderr)
        self.assertIn(words, self.named(60, "doctor").stdout)
        self.assertEqual(self.named(56, "train", self.recipe, "-n", "2").returncode, 0)
        self.assertEqual(self.named(60, "train", self.recipe).returncode, 0)


class Programs(LauncherTest):
    def test_data_and_inspect_become_the_worker(self):
        self.worker('echo "$@"; exit 4')
        self.assertEqual(self.moesaic("inspect", "path", "--json", expect=4).stdout, "inspect path --json\n")
        self.assertEqual(self.moesaic("data", "build", "-h", expect=4).stdout, "data build -h\n")

    def test_the_terminal_is_told_to_the_ranks(self):
        self.worker('echo "terminal=$MOESAIC_TERMINAL columns=$COLUMNS"')
        self.assertIn("terminal= ", self.train().stdout)
        leader, follower = pty.openpty()
        subprocess.run([self.program, "train", self.recipe], stdout=follower, stderr=subprocess.PIPE, timeout=60,
                       env=self.environment(), check=True)
        os.close(follower)
        self.assertTrue(select.select([leader], [], [], 10)[0])
        self.assertIn(b"terminal=1 columns=80", os.read(leader, 1000))
        os.close(leader)

    def test_version_and_help(self):
        versions = dict(line.split(" ", 1) for line in self.moesaic("--version").stdout.splitlines())
        self.assertLessEqual({"moesaic", "torch", "mpi", "hdf5", "nccl"}, versions.keys())
        for verb in ("train", "plan", "validate", "recipes", "schema", "doctor"):
            self.assertIn(verb, self.moesaic(verb, "-h").stdout)

    def test_doctor_says_what_is_missing(self):
        self.worker("exit 0")
        checks = json.loads(self.moesaic("doctor", "--json").stdout)
        self.assertTrue(checks["usable"])
        (self.folder / "moesaic-worker").unlink()
        result = json.loads(self.moesaic("doctor", "--json", expect=5).stdout)
        missing = {check["name"]: check["fix"] for check in result["checks"] if check["verdict"] == "missing"}
        self.assertEqual(list(missing), ["worker, cpu"])
        self.assertTrue(missing["worker, cpu"])

    def test_doctor_does_not_hang_on_a_program_that_does(self):
        self.worker("sleep 1000")
        started = time.monotonic()
        self.moesaic("doctor", expect=5)
        self.assertLess(time.monotonic() - started, 60)


if __name__ == "__main__":
    unittest.main()
