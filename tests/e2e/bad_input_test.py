"""What a careless user or a bad day does: each gives a clear message, the right exit code, and loses nothing."""
import gzip
import json
import resource
import shutil
import subprocess
import unittest

from moesaic import RunTest


class BadInput(RunTest):
    def refused(self, code, *words, arguments=(), run="run", ranks=1, expert=1, **options):
        result = self.train(*arguments, run=run, ranks=ranks, expert=expert, expect=code, **options)
        for word in words:
            self.assertIn(word, result.stderr)
        return result

    def test_corpora_that_are_missing_empty_or_too_short(self):
        self.refused(4, "none-*.txt", arguments=[f"data.train=[{{path: {self.folder}/none-*.txt}}]"])
        (self.folder / "empty.txt").write_text("")
        self.refused(4, "empty.txt", run="b", arguments=[f"data.train=[{{path: {self.folder}/empty.txt}}]"])
        (self.folder / "short.txt").write_text("short")
        self.refused(4, "25", run="c", arguments=[f"data.train=[{{path: {self.folder}/short.txt}}]"])
        self.refused(4, "folder", run="d", arguments=[f"data.train=[{{path: {self.folder}}}]"])

    def test_jsonl_errors_name_file_and_line(self):
        bad = self.folder / "bad.jsonl"
        for content in ('{"text": "good"}\n{"text": "bad\n', '{"text": "good"}\n{"txt": "bad"}\n',
                        '{"text": "good"}\n["bad"]\n'):
            bad.write_text(content)
            self.refused(4, f"{bad}:2", arguments=[f"data.train=[{{path: {bad}, format: jsonl}}]", "--overwrite"])
        bad.write_bytes(b'{"text": "good"}\n{"text": "\xff\xfe"}\n')
        self.refused(4, f"{bad}:2", arguments=[f"data.train=[{{path: {bad}, format: jsonl}}]", "--overwrite"])

    def test_data_are_what_they_hold_and_not_what_they_are_called(self):
        lines = self.folder / "a.ndjson"
        lines.write_text(json.dumps({"text": "the rank of a matrix " * 20}) + "\n")
        source = f"data.train=[{{path: {lines}, format: FORMAT}}]"
        warned = self.refused(0, "warning", "a.ndjson: lines of JSON",
                              arguments=[source.replace("FORMAT", "text"), "train.max_steps=1"])
        self.assertIn("1 file of text", warned.stderr)
        read = self.refused(0, "1 file of jsonl", run="b", arguments=[source.replace(", format: FORMAT", ""), "train.max_steps=1"])
        self.assertNotIn("lines of JSON", read.stderr)
        packed = self.folder / "a.jsonl.gz"
        packed.write_bytes(gzip.compress(lines.read_bytes()))
        self.refused(4, "a.jsonl.gz is gzip data", "gunzip", run="c", arguments=[f"data.train=[{{path: {packed}}}]"])

    def test_bytes_that_are_no_utf8_are_text_for_the_byte_tokenizer(self):
        (self.folder / "bytes.txt").write_bytes(bytes(range(256)) * 20)
        self.train(f"data.train=[{{path: {self.folder}/bytes.txt}}]", "train.max_steps=2")

    def test_ids_beyond_the_vocabulary(self):
        (self.folder / "ids.jsonl").write_text(json.dumps({"ids": list(range(300))}) + "\n")
        self.refused(4, "299", "272", arguments=[f"data.train=[{{path: {self.folder}/ids.jsonl, format: tokens}}]"])

    def test_an_expert_size_that_does_not_fit(self):
        self.refused(3, "parallel.expert", "4 ranks", ranks=4, expert=3)
        self.refused(3, "parallel.expert", ranks=3, expert=3)  # 8 experts over 3 ranks

    def test_a_run_folder_in_use_is_left_alone(self):
        self.train("train.max_steps=5")
        before = (self.folder / "run/metrics.jsonl").read_text()
        self.refused(2, "already holds a run", "--resume", arguments=["train.max_steps=5"])
        self.assertEqual((self.folder / "run/metrics.jsonl").read_text(), before)
        self.train("train.max_steps=6", "--overwrite")
        self.assertEqual(len(self.rows()), 6)

    def test_a_run_in_a_folder_with_other_things_removes_what_it_wrote_alone(self):
        others = {name: self.folder / name for name in ("logs/important.txt", "checkpoints/other.pt", "thesis.tex")}
        for path in others.values():
            path.parent.mkdir(exist_ok=True)
            path.write_text("mine")
        self.recipe = self.recipe.rename(self.folder / "mine.yaml")
        before = self.recipe.read_text()
        here = lambda *more, expect=0: self.moesaic("train", "mine.yaml", "run_dir=.", "train.max_steps=2", *more, expect=expect,
                                                    cwd=self.folder)
        here("--overwrite")
        self.assertIn("--overwrite", here(expect=2).stderr)
        here("--overwrite")
        self.assertEqual(len((self.folder / "metrics.jsonl").read_text().splitlines()), 2)
        corpus = here("--overwrite", f"data.train=[{{path: {self.folder}/logs/rank-0.log}}]", expect=2)
        self.assertIn("rank-0.log, which this run reads", corpus.stderr)
        (self.folder / "recipe.yaml").write_text(before)  # by hand, where the run keeps its own
        for more in ((), ("--overwrite",), ("--resume", "auto")):
            refused = here(*more, expect=2).stderr
            self.assertIn("recipe.yaml is there, and no run wrote it", refused)
            self.assertNotIn("--overwrite", refused)
        self.assertEqual([path.read_text() for path in others.values()], ["mine"] * 3)
        self.assertEqual([self.recipe.read_text(), (self.folder / "recipe.yaml").read_text()], [before] * 2)

    def test_a_run_folder_that_was_copied_with_its_links_followed_goes_on(self):
        self.train("train.max_steps=5")
        shutil.copytree(self.folder / "run", self.folder / "copy")  # follows links
        self.assertTrue((self.folder / "copy/checkpoints/latest").is_dir())
        resumed = self.train("--resume", "auto", "train.max_steps=10", run="copy")
        self.assertIn("latest is no link", resumed.stderr)
        self.assertTrue((self.folder / "copy/checkpoints/latest").is_symlink())
        self.assertEqual([row["step"] for row in self.rows("copy")], list(range(1, 11)))

    def test_a_run_folder_that_cannot_be_written(self):
        (self.folder / "file").write_text("in the way")
        self.refused(7, "file", run="file/run")

    def test_a_checkpoint_of_another_architecture(self):
        self.train("train.max_steps=5", run="a")
        self.refused(3, "model.config", run="a", arguments=["--resume", "auto", "model.config.hidden_size=64"])
        self.refused(3, "model.config", "weights", run="b",
                     arguments=[f"model.from={self.folder}/a", "model.config.hidden_size=64"])

    def test_a_damaged_checkpoint_falls_back_to_the_older_one_and_says_so(self):
        self.train(run="whole")
        self.train(run="run")
        newest = self.folder / "run/checkpoints/step-00000020"
        model = newest / "model.h5"
        content = bytearray(model.read_bytes())
        content[len(content) // 2] ^= 1
        model.write_bytes(content)
        result = self.train("--resume", "auto")
        self.assertIn("step-00000020", result.stderr)
        self.assertIn("step-00000015", result.stderr)
        self.assertEqual(self.rows(), self.rows("whole"))
        self.refused(7, "model.h5", arguments=["--resume", self.truncated()])

    def truncated(self):
        newest = self.folder / "run/checkpoints/step-00000020"
        with open(newest / "model.h5", "r+b") as file:
            file.truncate(1000)
        return newest

    def test_all_checkpoints_damaged_is_an_error_and_nothing_is_deleted(self):
        self.train()
        folders = sorted((self.folder / "run/checkpoints").glob("step-*"))
        for folder in folders:
            (folder / "manifest.json").write_text("{}")
        self.refused(7, "damaged", arguments=["--resume", "auto", "train.max_steps=30"])
        self.assertEqual(sorted((self.folder / "run/checkpoints").glob("step-*")), folders)

    big = ["model.config.vocab_size=60000"]  # 15 MB of weights, 30 MB of moments

    def full(self, **options):
        """Trains on after step 5 where there is no room for another checkpoint."""
        for ranks, expert in ((1, 1), (2, 2)):
            result = self.refused(7, "checkpoint", arguments=[*self.big, "--resume", "auto"], ranks=ranks, expert=expert,
                                  **options)
            self.assertNotIn("internal", result.stderr)
            left = [path.name for path in (self.folder / "run/checkpoints").iterdir()]
            self.assertEqual(sorted(left), ["latest", "step-00000005"])
        self.moesaic("inspect", self.folder / "run/checkpoints/latest")

    def test_a_file_size_limit_while_saving(self):
        self.train(*self.big, "train.max_steps=5")
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (12_000_000, 12_000_000))
        self.full(preexec_fn=limit, restore_signals=False)
        self.train(*self.big, "train.max_steps=10", "--resume", "auto")

    def test_a_full_disk_while_saving(self):
        disk = self.folder / "run"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "none", disk], capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest("a small disk cannot be mounted here: " + mounted.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", disk])
        self.train(*self.big, "train.max_steps=5")
        self.full()

    def test_a_loss_that_is_not_finite_stops_before_it_is_saved(self):
        result = self.refused(3, "not finite", "step", ranks=2, expert=2,
                              arguments=["optimizer.learning_rate=1e30", "train.clip_norm=0", "checkpoint.every_steps=1"])
        self.assertIn("rank", result.stderr)
        newest = (self.folder / "run/checkpoints/latest").resolve()
        self.moesaic("inspect", newest)


if __name__ == "__main__":
    unittest.main()
