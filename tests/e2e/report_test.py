"""moesaic report and moesaic watch on run folders made by hand: no training is needed to look at one."""
import fcntl
import json
import math
import os
import pty
import random
import select
import signal
import struct
import subprocess
import termios
import time
import unittest
import xml.etree.ElementTree

import browser
from moesaic import MOESAIC, RunTest

HOSTILE = "</script><img src=x onerror=hacked=1><script>hacked=1</script>"


class RunFolders(RunTest):
    def run_folder(self, name, steps=200, max_steps=200, **more):
        folder = self.folder / name
        (folder / "logs").mkdir(parents=True)
        draws = random.Random(name)
        rows = []
        for step in range(1, steps + 1):
            row = {"step": step, "tokens": 100 * step, "loss": 3 * math.exp(-step / 50) + 1 + 0.1 * draws.random(),
                   "learning_rate": 0.001 * step, "grad_norm": 1 + draws.random(), "tokens_per_s": 50, "memory_peak_mb": 100,
                   "expert_load.0": [0.25, 0.5, 0.25, 0], "expert_load.1": [0.4, 0.2, 0.2, 0.2]}
            if step % 20 == 0:
                row["valid_loss"] = row["loss"] + 0.1
            rows.append(json.dumps({**row, **more}) + "\n")
        (folder / "metrics.jsonl").write_text("".join(rows))
        (folder / "recipe.yaml").write_text(f"name: {name}\nrun_dir: x\ntrain: {{max_steps: {max_steps}, clip_norm: {len(name)}.0}}\n"
                                            f"tokenizer: \"{HOSTILE}\"\n")
        (folder / "logs/rank-0.log").write_text(
            f"2026-01-31T12:00:00.000Z rank 0 info: run       {folder}, 1 threads a rank\n"
            f"2026-01-31T12:00:00.000Z rank 0 warning: {HOSTILE}\n"
            f"2026-01-31T13:00:00.000Z rank 0 info: run       {folder}, 1 threads a rank\n"
            f"2026-01-31T13:00:00.000Z rank 0 info: resumed from {folder}/checkpoints/step-00000100 after step 100\n")
        return folder


RESTARTS = [{"time": "2026-01-31T12:30:00.000Z", "restart": 1, "kind": "crash", "step": 101, "rank": 1, "host": "n1",
             "message": HOSTILE, "checkpoint": "step-00000100", "same_again": False, "stacks": None},
            {"time": "2026-01-31T12:45:00.000Z", "restart": 2, "kind": "hang", "step": 150, "rank": -1, "host": "",
             "message": "no sign of life", "checkpoint": None, "same_again": False, "stacks": "stacks-1.txt"}]


def write_restarts(run, tail=""):
    (run / "restarts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in RESTARTS) + tail)


class Report(RunFolders):
    def test_says_what_is_wrong(self):
        good = self.run_folder("good")
        empty = self.folder / "empty"
        empty.mkdir()
        for arguments, code, words in (((empty,), 4, "no run folder"), ((self.folder / "nowhere",), 4, "no such run folder"),
                                       ((self.recipe,), 4, "but a file"), ((good, "-o", "/proc/report.html"), 7, "/proc/report.html"),
                                       ((good,) * 51, 2, "at most 50"), ((), 2, "run")):
            result = self.moesaic("report", *arguments, expect=code)
            self.assertIn(words, result.stderr + result.stdout)

    def test_of_folders_in_any_state(self):
        writing, other, begun = self.run_folder("writing"), self.run_folder("other"), self.folder / "begun"
        begun.mkdir()
        (begun / "recipe.yaml").write_text("name: begun\n")
        with open(writing / "metrics.jsonl", "a") as metrics:
            metrics.write('{"step": 201, "lo')
        (other / "metrics.jsonl").write_text("epoch,loss\n1,0.5\n")
        (other / "tasks.json").write_text("[]")
        result = self.moesaic("report", writing, other, begun)
        self.assertEqual(result.stdout, f"{writing}/report.html\n")
        for words in ("has no end", "no row of metrics", "tasks.json"):
            self.assertIn(words, result.stderr)
        write_restarts(writing, '{"restart": 3, "st')
        self.assertIn("1 lines of", self.moesaic("report", writing).stderr)

    def test_writes_its_pictures_as_svg(self):
        first, second, pictures = self.run_folder("first"), self.run_folder("second", silo_a_loss=1.0), self.folder / "made/pictures"
        write_restarts(first)
        result = self.moesaic("report", first, second, "-o", self.folder / "page.html", "--svg", pictures)
        page, *files = result.stdout.splitlines()
        self.assertEqual(page, f"{self.folder}/page.html")
        self.assertEqual(sorted(files), sorted(str(path) for path in pictures.iterdir()))
        roots = {path.name: xml.etree.ElementTree.parse(path).getroot() for path in pictures.iterdir()}
        for name in ("Loss.svg", "Gradient-norm.svg", "Loss-of-each-silo.svg", "Load-of-the-experts-of-first.svg",
                     "Load-of-the-experts-of-second.svg", "tokens.svg"):
            self.assertEqual(roots[name].tag, "{http://www.w3.org/2000/svg}svg")
        marks = [element.get("class") for element in roots["Loss.svg"].iter()]
        self.assertEqual([marks.count(kind) for kind in ("curve", "restart", "resumed")], [4, 2, 2])
        text = (pictures / "Loss.svg").read_text()
        self.assertNotIn("<script", text)
        self.assertNotIn("href", text)
        self.assertIn("/proc/pictures", self.moesaic("report", first, "--svg", "/proc/pictures", expect=7).stderr)
        self.assertIn(str(self.recipe), self.moesaic("report", first, "--svg", self.recipe, expect=7).stderr)


@unittest.skipUnless(browser.PROGRAM, browser.HOW_TO_GET)
class Page(RunFolders):
    def setUp(self):
        super().setUp()
        self.browser = browser.Browser()
        self.addCleanup(self.browser.close)

    def open(self, *runs):
        page = self.folder / "report.html"
        self.moesaic("report", *runs, "--output", page)
        return self.browser.open(page), page

    def count(self, selector, count):
        self.assertEqual(self.browser.value(f"document.querySelectorAll({json.dumps(selector)}).length"), count, selector)

    def assert_quiet(self):
        self.assertEqual(self.browser.complaints, [])
        self.assertEqual([url for url in self.browser.requests if not url.startswith(("data:", f"file://{self.folder}"))], [])

    def test_shows_runs_beside_each_other(self):
        tasks = {"tasks": ["law", "tax"], "metric": "accuracy", "matrix": [[0.1, 0.2], [0.9, 0.2], [0.5, 0.8]], "forgetting": 0.4}
        first, second = self.run_folder("first"), self.run_folder(HOSTILE.replace("/", "|"), silo_a_loss=1.0, silo_b_loss=None, epsilon=2.0)
        (first / "tasks.json").write_text(json.dumps(tasks))
        write_restarts(first)
        self.open(first, second)
        self.count(".charts path.curve", 2 * 7 + 2)  # loss, valid_loss and five others of both; epsilon and a silo of one
        self.count("image.panel", 4)
        self.count("line.resumed", 2 * 6 + 1)
        self.count("line.restart", 2 * 6)
        self.count("table.restarts", 1)
        self.count("table.restarts td", 2 * 6)
        self.count("table.matrix td", 6)
        self.count("table.matrix td.learned", 2)
        self.count("#summary tbody tr", 2)
        self.count("text.lost", 1)
        differing = self.browser.value("[...document.querySelectorAll('#differences td:first-child')].map(e => e.textContent)")
        self.assertEqual(differing, ["name", "train.clip_norm"])
        self.assertIn("forgetting 0.4", self.browser.value("document.body.textContent"))
        self.assertEqual(self.browser.value("typeof hacked"), "undefined")
        self.count("img", 0)
        self.assertIn(HOSTILE, self.browser.value("document.querySelector('pre').textContent"))
        self.assert_quiet()

    def test_zooms_shows_values_and_saves_svg(self):
        self.open(self.run_folder("only"))
        self.browser.value("window.chart = pictures.find(p => p.series); chart.figure.scrollIntoView()")
        left, top, width, height = self.browser.value(
            "(() => { const b = chart.svg.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()")
        middle = top + height / 2
        self.browser.mouse("mouseMoved", left + width / 2, middle)
        self.assertRegex(self.browser.value("chart.tip.textContent"), r"^loss: \d\.\d+ \(step \d+\)valid_loss: ")
        self.browser.drag((left + width * 0.5, middle), (left + width * 0.7, middle))
        low, high = self.browser.value("chart.range")
        self.assertTrue(70 < low < 100 and 110 < high < 150, (low, high))
        self.browser.value("chart.zoom(null)")
        self.assertEqual(self.browser.value("chart.range"), [1, 200])
        linear = self.browser.value("chart.svgText()")
        self.browser.value("chart.logButton.click()")
        logarithmic = self.browser.value("chart.svgText()")
        self.assertNotEqual(linear, logarithmic)
        for text in (linear, logarithmic, self.browser.value("pictures.find(p => p.loads).svgText()")):
            root = xml.etree.ElementTree.fromstring(text)
            self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        self.assert_quiet()

    def test_is_dark_light_and_on_paper(self):
        colors = "[getComputedStyle(document.body).backgroundColor, pictures.find(p => p.series).svg.querySelector('path.curve').getAttribute('stroke')]"
        run, seen = self.run_folder("only"), {}
        for scheme in ("light", "dark"):
            self.browser.look_as(scheme)
            self.open(run)
            seen[scheme] = self.browser.value(colors)
            self.browser.picture(self.folder / "page.png")
            self.assertGreater((self.folder / "page.png").stat().st_size, 20_000)
        self.assertEqual([seen["light"][0], seen["dark"][0]], ["rgb(255, 255, 255)", "rgb(20, 23, 27)"])
        self.assertNotEqual(seen["light"][1], seen["dark"][1])
        self.browser.value("document.querySelector('#controls button').click()")
        self.assertEqual(self.browser.value(colors), seen["light"])
        self.browser.value("setTheme('dark'); dispatchEvent(new Event('beforeprint'))")
        self.assertEqual(self.browser.value(colors), seen["light"])
        self.browser.value("dispatchEvent(new Event('afterprint'))")
        self.assertEqual(self.browser.value(colors), seen["dark"])
        self.assertTrue(self.browser.pdf().startswith(b"%PDF"))
        self.assert_quiet()

    def test_of_a_million_rows_opens_at_once(self):
        run = self.folder / "long"
        run.mkdir()
        draws = random.Random(1)
        with open(run / "metrics.jsonl", "w") as metrics:
            for step in range(1, 1_000_001):
                loss = 77.25 if step == 654_321 else draws.random()
                metrics.write(f'{{"step":{step},"loss":{loss},"grad_norm":{loss + 1},"expert_load.0":[0.5,0.5]}}\n')
        first, page = self.open(run)
        again = [self.browser.open(page) for _ in range(3)] if first > 3 else []  # another program may have been at work
        self.assertLess(min([first, *again]), 3)
        self.assertLess(page.stat().st_size, 10e6)
        self.assertEqual(self.browser.value("Math.max(...pictures.find(p => p.series).series[0].values)"), 77.25)
        self.assertEqual(self.browser.value("pictures.find(p => p.series).range"), [1, 1_000_000])
        self.assert_quiet()


class Terminal:
    """moesaic watch at a terminal of its own."""

    def __init__(self, run, rows=24, columns=80, **environment):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.seen = ""

        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.job = subprocess.Popen([MOESAIC, "watch", str(run), "--every", "0.1"], stdin=slave, stdout=slave, stderr=slave,
                                    preexec_fn=take_terminal, env={**os.environ, "TERM": "xterm", **environment})
        self.slave = slave

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_for(self, text, seconds=20):
        """What came since the last call until `text` has."""
        deadline, new = time.monotonic() + seconds, ""
        while text not in new and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.1)[0]:
                new += os.read(self.master, 1 << 16).decode(errors="replace")
        self.seen += new
        return new

    def type(self, keys):
        os.write(self.master, keys)

    def close(self):
        """Exit code; reads on meanwhile, since a full terminal would hold the program."""
        deadline = time.monotonic() + 20
        while self.job.poll() is None and time.monotonic() < deadline:
            self.wait_for("never", 0.1)
        self.wait_for("never", 0.2)
        same = termios.tcgetattr(self.slave) == self.before
        os.close(self.slave)
        os.close(self.master)
        return self.job.poll(), same


class Watch(RunFolders):
    def test_without_a_terminal_it_prints_one_picture(self):
        result = self.moesaic("watch", self.run_folder("run"))
        self.assertIn("run: finished, step 200/200 (100 %)", result.stdout)
        self.assertIn("load, layer 1", result.stdout)
        self.assertNotIn("\x1b", result.stdout)
        self.moesaic("watch", self.folder / "nowhere", expect=4)

    def test_ends_with_the_run(self):
        run = self.run_folder("run", steps=100)
        terminal = Terminal(run)
        self.assertIn("step 100/200", terminal.wait_for("q ends"))
        with open(run / "metrics.jsonl", "a") as metrics:
            metrics.write('{"step": 150, "loss": 1}\n')
        self.assertIn("150/200", terminal.wait_for("150/200"))
        with open(run / "metrics.jsonl", "a") as metrics:
            metrics.write('{"step": 200, "loss": 1}\n')
        self.assertEqual(terminal.close(), (0, True))
        self.assertEqual(terminal.seen.count("\x1b[?1049h"), 1)
        last_screen = terminal.seen.split("\x1b[?1049l")[1]
        self.assertIn("finished, step 200/200", last_screen)

    def test_follows_the_size_and_leaves_the_terminal_as_it_was(self):
        run = self.run_folder("run", steps=100)
        for keys, environment, colors in ((b"q", {}, True), (b"\x03", {"NO_COLOR": "1"}, False)):
            terminal = Terminal(run, **environment)
            terminal.wait_for("q ends")
            terminal.resize(6, 40)
            small = terminal.wait_for("q ends")
            frame = small[small.rfind("\x1b[H"):]
            self.assertLessEqual(frame.count("\n"), 5)
            terminal.type(keys)
            self.assertEqual(terminal.close(), (0, True))
            self.assertIn("\x1b[?25h\x1b[?1049l", terminal.seen)
            self.assertEqual("\x1b[34m" in terminal.seen, colors)

    def test_a_signal_ends_it_cleanly(self):
        terminal = Terminal(self.run_folder("run", steps=100))
        terminal.wait_for("q ends")
        terminal.job.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.close(), (0, True))
        self.assertIn("\x1b[?1049l", terminal.seen)


if __name__ == "__main__":
    unittest.main()
