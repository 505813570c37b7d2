"""log.profile_steps: a Chrome trace with all ranks, its numbers, and a run that is the same with and without it."""
import json
import unittest

from moesaic import RunTest

MOE_OPERATIONS = {"embedding", "linear", "rms_norm", "rotate", "attention", "router", "dispatch", "grouped_linear",
                  "weighted_swiglu", "combine", "cross_entropy"}
NODES = {"embedding", "linear", "rms_norm", "rotate", "attention", "dispatch", "grouped_linear", "weighted_swiglu",
         "combine", "cross_entropy"}


class Trace:
    def __init__(self, path):
        self.content = json.loads(path.read_text())
        self.events = self.content["traceEvents"]

    def spans(self, pid, category=None):
        return [e for e in self.events if e["ph"] == "X" and e["pid"] == pid and category in (None, e["cat"])]

    def names(self, pid, category=None):
        return {e["name"] for e in self.spans(pid, category)}

    def paths(self, pid):
        """Each span's name below those of the spans around it, by the times alone."""
        paths, around = [], []
        for span in sorted(self.spans(pid), key=lambda e: (e["ts"], -e["dur"])):
            end = round(span["ts"] + span["dur"], 3)
            while around and around[-1][1] <= span["ts"]:
                around.pop()
            if around:
                assert end <= around[-1][1], f"{span} does not nest in {around[-1]}"
            around.append((span["name"], end))
            paths.append("/".join(name for name, _ in around))
        return paths


class Profile(RunTest):
    def trace(self, first, run="run"):
        return Trace(self.folder / run / f"trace-{first}.json")

    def test_shows_both_ranks_with_nested_spans_of_everything_in_a_step(self):
        done = self.train("train.max_steps=6", "log.profile_steps=[4, 5]", run="run", ranks=2, expert=2)
        trace = self.trace(4)
        about = trace.content["otherData"]
        self.assertEqual((about["first_step"], about["last_step"], about["ranks"], about["dropped_events"]), (4, 5, 2, 0))
        processes = {e["pid"]: e["args"]["name"] for e in trace.events if e["name"] == "process_name"}
        self.assertEqual({pid: name.split(" on ")[0] for pid, name in processes.items()}, {0: "rank 0", 1: "rank 1"})
        for pid in (0, 1):
            paths = trace.paths(pid)
            roots = [path for path in paths if "/" not in path]
            self.assertEqual(roots, ["step 4", "step 5"])  # everything else is inside of them
            for part in ("round 0/data", "round 0/forward/layer 1/linear", "round 0/forward/layer 0/dispatch/wait dispatch",
                         "round 0/loss/loss/cross_entropy", "round 0/backward/layer 1/grouped_linear", "round 0/backward/layer 0",
                         "round 2/backward", "gradient sync", "clip_by_global_norm(0.5)", "optimizer"):
                self.assertIn(f"step 4/{part}", paths)
            self.assertTrue(MOE_OPERATIONS <= trace.names(pid), MOE_OPERATIONS - trace.names(pid))
            self.assertTrue(NODES <= trace.names(pid, "backward"), NODES - trace.names(pid, "backward"))
            waits = trace.names(pid, "wait")
            for label in ("dispatch.counts", "dispatch", "dispatch.backward", "combine", "combine.backward",
                          "step.sums"):
                self.assertIn(f"wait {label}", waits)
            self.assertTrue([wait for wait in waits if wait.startswith("wait dense gradients")], waits)
            self.assertIn("step 4/log", paths)
            self.assertIn("step 5/checkpoint", paths)
            begun = [e for e in trace.events if e["ph"] == "b" and e["pid"] == pid]
            ended = {e["id"]: e for e in trace.events if e["ph"] == "e"}
            self.assertIn("dispatch", {e["name"] for e in begun})
            for event in begun:
                self.assertGreaterEqual(ended[event["id"]]["ts"], event["ts"])
        self.assertIn("profile   steps 4 to 5:", done.stderr)
        self.assertIn("wait", done.stderr)

    def test_leaves_the_numbers_of_a_run_as_they_are(self):
        self.train("train.max_steps=8", run="plain", ranks=2, expert=2)
        self.train("train.max_steps=8", "log.profile_steps=[2, 3, 8]", run="profiled", ranks=2, expert=2)
        self.assertEqual(self.rows("profiled"), self.rows("plain"))
        self.assertEqual(self.weight_difference("profiled", "plain"), 0)
        self.assertEqual(sorted(p.name for p in (self.folder / "profiled").glob("trace-*")), ["trace-2.json", "trace-8.json"])
        rows = [json.loads(line) for line in (self.folder / "profiled/metrics.jsonl").read_text().splitlines()]
        measured = [row for row in rows if "profile_wait_s" in row]
        self.assertEqual([row["step"] for row in measured], [4])  # the row after the window
        for part in ("wait", "data", "log"):
            self.assertTrue(0 < measured[0][f"profile_{part}_s"] < measured[0]["profile_step_s"], measured[0])

    def test_goes_with_a_resumed_run_and_with_one_rank_without_experts_elsewhere(self):
        self.train("train.max_steps=5", "log.profile_steps=[2]", run="run")
        first = self.trace(2)
        self.assertEqual({e["pid"] for e in first.events}, {0})
        self.assertFalse(first.names(0, "wait"))  # alone: nobody to wait for
        done = self.train("--resume", "auto", "train.max_steps=10", "log.profile_steps=[2, 7]", run="run", ranks=2, expert=2)
        self.assertIn("log.profile_steps: step 2 is not profiled, this job runs steps 6 to 10", done.stderr)
        self.assertEqual({e["pid"] for e in self.trace(7).events}, {0, 1})
        self.train("--overwrite", "train.max_steps=1", run="run")
        self.assertFalse(list((self.folder / "run").glob("trace-*")))

    def test_refuses_what_is_no_list_of_steps_and_warns_of_steps_that_never_come(self):
        for setting, told in (("5", "expected a list of integers"), ("[0]", "expected an integer >= 1"),
                              ("[1.5]", "expected an integer"), ("[a]", "expected an integer")):
            done = self.moesaic("validate", self.recipe, f"log.profile_steps={setting}", expect=3)
            self.assertIn(told, done.stdout + done.stderr)
        done = self.moesaic("validate", self.recipe, "log.profile_steps=[21]")
        self.assertIn("step 21 has no effect: the run ends with step 20", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
