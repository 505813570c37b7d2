#!/usr/bin/env python3
"""`moesaic eval --predictions` beside sacrebleu, rouge-score and scikit-learn: 1,000 generated pairs of hard texts, and labels."""
import json
import pathlib
import random
import sys
import unittest
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import WORDS, RunTest  # noqa: E402

try:
    import sacrebleu
    import sklearn.metrics
    from rouge_score import rouge_scorer
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --peers installs it)")
    sys.exit(77)

PAIRS = 1000
TOLERANCE = 1e-9
SIGNS = [".", ",", "...", "-", "--", "\n", "\t", " ", "'", '"', "&amp;", "&quot;", "&lt;", "<skipped>", "-\n", "/", ":", "{", "~", "`", "$1,000.50", "2-3",
         "3.", ".5", "é", "Größe", "İx", "\u212a2", "中文。", "，", "\u3000", "\u00a0", "\u2028", "\x1c", "\u200b", "🙂", "e\u0301"]


def text(r, length):
    return "".join(r.choice(WORDS if r.random() < 0.7 else SIGNS) + r.choice(["", " ", " ", " "]) for _ in range(length))


def changed(r, reference):
    """A reference as a model might have written it."""
    words = reference.split(" ")
    for _ in range(r.randrange(0, 6)):
        place = r.randrange(len(words) + 1)
        words[place:place + r.randrange(0, 3)] = r.choices(WORDS + SIGNS, k=r.randrange(0, 3))
    return r.choice([str, str, str.upper, str.title])(" ".join(words))


def pairs(seed):
    r = random.Random(seed)
    for _ in range(PAIRS):
        references = [text(r, r.choice([0, 1, 3, 10, 40, 120])) for _ in range(r.randrange(1, 5))]
        prediction = changed(r, r.choice(references)) if r.random() < 0.9 else text(r, r.randrange(0, 30))
        yield {"prediction": prediction, "references": references}


class Metrics(RunTest):
    def judged(self, task, items, *options):
        path = self.folder / "predictions.jsonl"
        path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
        shown = self.moesaic("eval", "--task", task, "--predictions", path, "--json", "--bootstrap", 0, *options)
        return json.loads(shown.stdout)

    def assert_close(self, got, wanted, name):
        self.assertLessEqual(abs(got - wanted), TOLERANCE * max(1, abs(wanted)), name)

    def check_texts(self, items):
        predictions = [item["prediction"] for item in items]
        most = max(len(item["references"]) for item in items)
        columns = [[item["references"][i] if i < len(item["references"]) else None for item in items] for i in range(most)]
        scorer = rouge_scorer.RougeScorer(["rougeL"])
        rouge = [scorer.score_multi(item["references"], item["prediction"])["rougeL"].fmeasure for item in items]
        wanted = {"bleu": sacrebleu.BLEU().corpus_score(predictions, columns).score,
                  "chrf": sacrebleu.CHRF().corpus_score(predictions, columns).score,
                  "rouge_l": sum(rouge) / len(rouge),
                  "exact_match": sum(item["prediction"] in item["references"] for item in items) / len(items)}
        got = self.judged("generation", items)
        self.assertEqual(got["items"], len(items))
        self.assertEqual(set(got["metrics"]), set(wanted))
        for name, value in wanted.items():
            self.assert_close(got["metrics"][name]["value"], value, name)

    def test_texts(self):
        self.check_texts(list(pairs(1)))

    def test_one_reference(self):
        self.check_texts([{**item, "references": item["references"][:1]} for item in pairs(2)])

    def test_few_short_texts(self):
        """Where orders of n-grams are empty or have no match."""
        for items in (["a b c", ["a b c"]],), (["a b c d", ["a b x d"]],), (["", [""]],), (["x", ["y"]], ["a b c d e", ["a"]]), (["é", ["é", "e"]],):
            with self.subTest(items):
                self.check_texts([{"prediction": prediction, "references": references} for prediction, references in items])

    def test_labels(self):
        r = random.Random(3)
        labels = ["permissive", "copyleft", "free text, with a comma", "größe", "", " blank"]
        answers = r.choices(labels[:5], weights=[50, 20, 10, 5, 1], k=PAIRS)
        predicted = [answer if r.random() < 0.6 else r.choice(labels) for answer in answers]
        got = self.judged("classification", [{"predicted": p, "answer": a} for p, a in zip(predicted, answers)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = sklearn.metrics.classification_report(answers, predicted, output_dict=True, zero_division=0)
        self.assert_close(got["metrics"]["accuracy"]["value"], report["accuracy"], "accuracy")
        for ours, theirs in ("precision", "precision"), ("recall", "recall"), ("f1", "f1-score"):
            self.assert_close(got["metrics"][ours]["value"], report["macro avg"][theirs], ours)
            for label, scores in got["per_class"].items():
                self.assert_close(scores[ours], report[label][theirs], f"{label}: {ours}")
        self.assertEqual(set(got["per_class"]), set(answers) | set(predicted))
        for label, scores in got["per_class"].items():
            self.assertEqual(scores["support"], answers.count(label))


if __name__ == "__main__":
    unittest.main()
