"""federate keys, coordinator, silo, simulate: the bits of one job, and rounds that end whoever dies."""
import os
import signal
import subprocess
import unittest

from moesaic import BIN, ranks_of
from sites import SitesTest, sites_of


class FederateSites(SitesTest):
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
        letters.wait(timeout=60)
        self.wait_until_gone(sum([*ranks.values(), *sites.values()], []))

        again = [self.coordinator("federated.rounds=12"), self.silo("letters"), self.silo("digits")]
        for process in again:
            self.end_of(process)
        self.assertEqual([row["round"] for row in self.rows()], list(range(1, 13)))

    def test_a_simulation_gives_the_bits_of_one_job(self):
        self.train("federated.aggregator.type=fedavgm", run="one", ranks=2)
        self.moesaic("federate", "simulate", self.recipe, f"run_dir={self.folder}/sites", "federated.aggregator.type=fedavgm",
                     "log.prometheus=textfile")
        self.assertEqual(self.digests("sites"), self.digests("one"))
        told = (self.folder / "sites/metrics.prom").read_text()
        for line in ("round", "max_steps"):
            self.assertIn(f'moesaic_{line}{{job="federation"}} 3\n', told)
        self.assertRegex(told, r'moesaic_silo_loss{job="federation",region="letters"} \d')
        for one, sites in zip(self.rows("one"), self.rows("sites"), strict=True):
            self.assertAlmostEqual(sites.pop("valid_loss"), one.pop("valid_loss"), places=10)
            self.assertEqual(sites, one)
        rounds = sorted(path.name for path in (self.folder / "sites/rounds").glob("*.safetensors"))
        self.assertEqual(rounds, [f"round-{i:06}.safetensors" for i in (1, 2, 3)])

    def test_a_secure_sum_gives_the_bits_of_one_job_and_the_mean_of_what_is_seen(self):
        secure = "federated.secure_aggregation={threshold: 2}"
        scaffold = ("federated.aggregator.type=scaffold", "optimizer.type=sgd")
        for name, keys, close in (("experts", ("federated.aggregator.experts=routed_tokens",), 1e-4),
                                  ("scaffold", scaffold, 1e-6), ("int8", ("federated.compression=int8",), None)):
            one, seen = f"{name}-one", f"{name}-seen"
            self.train(secure, *keys, run=one, ranks=2)
            self.moesaic("federate", "simulate", self.recipe, f"run_dir={self.folder}/{name}", secure, *keys)
            self.assertEqual(self.digests(name), self.digests(one))
            self.train(*keys, run=seen, ranks=2)
            self.assertNotEqual(self.digests(one), self.digests(seen))
            if close:  # a value that is compressed may be rounded to another side
                self.assertLess(self.weight_difference(one, seen), close, name)

    def test_hidden_silos_have_the_bits_of_one_job(self):
        for where in ("coordinator", "silos"):
            hidden = f"federated.privacy={{clip_norm: 0.1, noise_multiplier: 2, where: {where}, noise_seed: 3}}"
            self.train(hidden, run=f"one-{where}", ranks=2)
            self.moesaic("federate", "simulate", self.recipe, f"run_dir={self.folder}/{where}", hidden)
            self.assertEqual(self.digests(where), self.digests(f"one-{where}"))
            self.assertEqual(self.rows(where), self.rows(f"one-{where}"))
            self.assertEqual([key for key in self.rows(where)[-1] if "loss" in key or "tokens" in key], [])
        self.moesaic("federate", "simulate", self.recipe, f"run_dir={self.folder}/secure", hidden,
                     "federated.secure_aggregation={threshold: 2}")
        self.assertLess(self.weight_difference("silos", "secure"), 1e-6)
        self.assertEqual(self.rows("secure")[-1]["epsilon"], self.rows("silos")[-1]["epsilon"])

    def test_a_coordinator_that_was_killed_goes_on_to_the_same_model(self):
        self.keys()
        coordinator = self.coordinator()
        silos = [self.silo("letters"), self.silo("digits")]
        self.wait_for_rows(1)
        for pid in ranks_of(self.folder / "keys/coordinator"):
            os.kill(pid, signal.SIGKILL)
        coordinator.wait(timeout=60)
        self.end_of(self.coordinator())
        for silo in silos:
            self.end_of(silo)
        self.train(run="one", ranks=2)
        self.assertEqual(self.digests("run"), self.digests("one"))
        self.assertEqual([row["round"] for row in self.rows()], [1, 2, 3])

    def test_rounds_go_on_without_a_silo_that_was_killed(self):
        self.keys()
        coordinator = self.coordinator("federated.rounds=6", "federated.heartbeat_s=0.5")
        letters, digits = self.silo("letters", "--prometheus", self.folder / "letters.prom"), self.silo("digits")
        self.wait_for_rows(1)
        self.kill_ranks("digits")
        digits.wait(timeout=60)
        text = self.end_of(coordinator)
        self.end_of(letters)
        self.assertIn("silo digits was lost", text)
        metrics = (self.folder / "letters.prom").read_text()
        self.assertRegex(metrics, r'moesaic_run_info{job="silo-letters",.*verb="federate silo"')
        self.assertIn('moesaic_exit_code{job="silo-letters"} 0\n', metrics)
        self.assertRegex(metrics, r'moesaic_rank_step{job="silo-letters",instance="rank-0"} [1-9]')
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
