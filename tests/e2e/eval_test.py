#!/usr/bin/env python3
"""moesaic eval: answers that a model writes, labels that it chooses, answers that are there already, tables of before and after."""
import json
import unittest

from moesaic import RunTest

QUESTIONS = ("the rank of a", "a token goes", "the expert that", "it learns nothing from the day and")


class Eval(RunTest):
    def lines(self, name, records):
        path = self.folder / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    def result(self, task, *arguments):
        return json.loads(self.moesaic("eval", "--task", task, "--json", "--bootstrap", 50, *arguments).stdout)

    def test_answers_of_a_model(self):
        """Judged alike on every layout, and again from the file of answers."""
        self.train()
        run, answers = self.folder / "run", self.folder / "answers.jsonl"
        data = self.lines("questions.jsonl", [{"prompt": q, "references": ["matrix", "where the router"]} for q in QUESTIONS])
        written = ("--model", run, "--data", data, "--max-new-tokens", 12, "--stop", "zz")
        one = self.result("generation", *written, "--output", answers)
        self.assertEqual(one["items"], len(QUESTIONS))
        self.assertEqual(list(one["metrics"]), ["exact_match", "bleu", "rouge_l", "chrf"])
        self.assertLessEqual(one["metrics"]["chrf"]["low"], one["metrics"]["chrf"]["high"])
        self.assertEqual(self.result("generation", *written, "-n", 2, "--expert", 2), one)
        self.assertEqual(self.result("generation", "--predictions", answers), one)
        prompt = json.loads(self.moesaic("generate", "--model", run, "--prompt", QUESTIONS[0], "--max-new-tokens", 12, "--stop", "zz", "--json").stdout)
        self.assertEqual(json.loads(answers.read_text().splitlines()[0])["prediction"], prompt["text"])

        self.check_prompts_of_a_file(run, prompt["prompt_ids"])

        cases = self.lines("cases.jsonl", [{"prompt": QUESTIONS[0], "required": [item]} for item in (prompt["text"][:3], "never written")])
        self.assertEqual(self.result("cases", *written[:2], "--data", cases, *written[4:])["metrics"]["case_accuracy"]["value"], 0.5)

        items = self.lines("labels.jsonl", [{"context": q, "choices": [" matrix", " day"], "answer": i % 2} for i, q in enumerate(QUESTIONS)])
        labels = self.result("classification", "--model", run, "--data", items, "--output", answers, "-n", 2)
        chosen = self.result("multiple_choice", "--model", run, "--data", items)
        self.assertEqual(labels["metrics"]["accuracy"]["value"], chosen["acc"])
        self.assertEqual(set(labels["per_class"]), {" matrix", " day"})
        self.assertEqual(self.result("classification", "--predictions", answers), labels)

        empty = self.lines("empty.jsonl", [{"prompt": QUESTIONS[0], "reference": "a"}, {"prompt": "", "reference": "a"}])
        refused = self.moesaic("eval", "--task", "generation", "--model", run, "--data", empty, "-n", 2, expect=4)
        self.assertIn("empty.jsonl:2: the prompt has no tokens", refused.stderr)

    def check_prompts_of_a_file(self, run, ids):
        """generate --input: the texts that each prompt gets alone, on every layout, in the order of the lines."""
        generate = ("generate", "--model", run, "--max-new-tokens", 9, "--temperature", 1, "--seed", 3)
        prompts = self.lines("prompts.jsonl", [{"prompt": q} for q in QUESTIONS] + [{"text": QUESTIONS[1]}, {"ids": ids}])
        shown = self.moesaic(*generate, "--input", prompts, "--together", 4, "--threads", 2).stdout
        texts = [json.loads(line) for line in shown.splitlines()]
        for question, text in list(zip(QUESTIONS, texts))[:2]:
            alone = json.loads(self.moesaic(*generate, "--prompt", question, "--threads", 1, "--json").stdout)
            self.assertEqual(text, {key: alone[key] for key in ("text", "ids", "finish_reason")})
        self.assertEqual(texts[4:], [texts[1], texts[0]])
        self.assertGreater(len({text["text"] for text in texts}), 1)
        file = self.folder / "texts.jsonl"
        self.moesaic(*generate, "--input", prompts, "--output", file, "--together", 2, "-n", 2, "--expert", 2)
        self.assertEqual(file.read_text(), shown)
        wrong = self.lines("wrong.jsonl", [{"prompt": "a"}, {"prompt": "a", "ids": [1]}])
        self.assertIn("wrong.jsonl:2: must be", self.moesaic(*generate, "--input", wrong, "-n", 2, expect=4).stderr)
        self.assertIn("--prompt excludes --input", self.moesaic(*generate, "--input", wrong, "--prompt", "a", expect=2).stderr)

    def test_answers_that_are_there(self):
        before = self.lines("before.jsonl", [{"prediction": "a b c d", "references": ["a b x d"]}, {"prediction": "x", "references": ["y", "z"]}])
        after = self.lines("after.jsonl", [{"prediction": "a b x d", "references": ["a b x d"]}, {"prediction": "x", "references": ["y", "z"]}])
        table = self.moesaic("eval", "--task", "generation", "--predictions", before, "--metrics", "exact_match,rouge_l").stdout
        self.assertEqual([line.split()[:2] for line in table.splitlines()],
                         [["task", "generation"], ["items", "2"], ["exact_match", "0"], ["rouge_l", "0.375"]])
        for path in (before, after):
            shown = self.moesaic("eval", "--task", "generation", "--predictions", path, "--json", "--metrics", "exact_match,rouge_l")
            path.with_suffix(".json").write_text(shown.stdout)
        compare = ("eval", "--compare", before.with_suffix(".json"), after.with_suffix(".json"))
        rows = json.loads(self.moesaic(*compare, "--json").stdout)["rows"]
        self.assertEqual([(row["metric"], row["before"]["value"], row["change"]) for row in rows],
                         [("exact_match", 0, 0.5), ("rouge_l", 0.375, 0.125)])
        self.assertIn("|  | generation | rouge_l | 0.375 (", self.moesaic(*compare).stdout)

    def test_two_models_are_compared_item_by_item(self):
        self.train("train.max_steps=2", run="before")
        self.train("train.max_steps=12", run="after")
        pair = [self.folder / "before", self.folder / "after"]
        text = self.folder / "text/valid.txt"
        result = [json.loads(self.moesaic("eval", "--model", run, "--data", text, "--context", 64, "--json").stdout) for run in pair]
        compare = ("eval", "--data", text, "--context", 64, "--compare", *pair)
        rows = {row["metric"]: row for row in json.loads(self.moesaic(*compare, "--json", "-n", 2).stdout)["rows"]}
        loss = rows["loss"]
        self.assertEqual(loss["name"], "valid")
        for side, one in zip(("before", "after"), result):
            self.assertAlmostEqual(loss[side]["value"], one["loss"], places=6)
            self.assertLess(loss[side]["low"], one["loss"])
            self.assertGreater(loss[side]["high"], one["loss"])
        self.assertLess(loss["change_high"], 0)
        self.assertLess(loss["change_low"], loss["change"])
        self.assertIn("| valid | perplexity | loss |", self.moesaic(*compare).stdout)
        gone = self.folder / "gone"
        self.assertIn(str(gone), self.moesaic("eval", "--data", text, "--compare", pair[0], gone, expect=7).stderr)
        self.assertIn("needs --data", self.moesaic("eval", "--compare", *pair, expect=2).stderr)

    def test_what_does_not_fit_is_refused(self):
        answers = self.lines("a.jsonl", [{"prediction": "a", "references": ["a"]}, {"prediction": "a"}])
        judged = ("--predictions", answers)
        for code, arguments, message in ((2, (), "--model is required"),
                                         (2, ("--model", "x"), "--data is required"),
                                         (2, judged, "--predictions has no meaning with --task perplexity"),
                                         (2, ("--task", "generation", *judged, "--model", "x"), "excludes"),
                                         (2, ("--task", "generation", *judged, "--metrics", "f1"), "it has exact_match, bleu"),
                                         (2, ("--compare", answers), "--compare"),
                                         (4, ("--task", "generation", *judged), "a.jsonl:2: must have either \"reference\""),
                                         (4, ("--compare", answers, answers), "a.jsonl"),
                                         (4, ("--task", "cases", "--predictions", self.folder / "none"), "cannot read")):
            with self.subTest(arguments):
                self.assertIn(message, self.moesaic("eval", *arguments, expect=code).stderr)


if __name__ == "__main__":
    unittest.main()
