"""scripts/data/html_corpus.py on small pages: what is kept, what is left out, and how the split falls."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "data" / "html_corpus.py"
SHARED = "This paragraph stands on every page of the manual, word for word, and is kept once only."


def page(body):
    return ('<?xml version="1.0"?><html><head><title>T</title></head><body>'
            '<div class="navheader"><table><tr><td>Prev page</td><td>Home</td></tr></table></div>'
            f'{body}<div class="navfooter"><hr /><p>Next page</p></div></body></html>')


def prose(name):
    return "".join(f"<p>Sentence {i} of the page {name} says\n   something that no other page says.</p>" for i in range(8))


class HtmlCorpus(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.pages = pathlib.Path(self.folder.name, "html")
        self.output = pathlib.Path(self.folder.name, "corpus")
        self.pages.mkdir()

    def write(self, name, body):
        (self.pages / f"{name}.html").write_text(page(body), encoding="utf-8")

    def write_many(self):
        for i in range(200):
            self.write(f"page-{i}", prose(f"page-{i}") + f"<p>{SHARED}</p>")

    def run_script(self, *arguments):
        return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True)

    def build(self):
        done = self.run_script("build", self.pages, self.output, "--source", "test 1", "--sha256", "0")
        self.assertEqual(done.returncode, 0, done.stderr)
        return {split: self.read(split) for split in ("train", "valid")}

    def read(self, split):
        lines = (self.output / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        return {row["id"]: row["text"] for row in map(json.loads, lines)}

    def text_of(self, body):
        """The text of one page, beside enough others to fill both splits."""
        self.write_many()
        self.write("the-page", body + prose("the-page"))
        corpora = self.build()
        return (corpora["train"] | corpora["valid"])["the-page"]

    def test_split_is_by_document_and_about_five_percent(self):
        self.write_many()
        corpora = self.build()
        self.assertFalse(corpora["train"].keys() & corpora["valid"].keys())
        self.assertEqual(len(corpora["train"]) + len(corpora["valid"]), 200)
        self.assertTrue(3 <= len(corpora["valid"]) <= 20, len(corpora["valid"]))

    def test_no_validation_paragraph_is_in_training_text(self):
        self.write_many()
        corpora = self.build()
        paragraphs = {split: [p for text in texts.values() for p in text.strip().split("\n\n")] for split, texts in corpora.items()}
        self.assertFalse(set(paragraphs["train"]) & set(paragraphs["valid"]))
        self.assertEqual(paragraphs["train"].count(SHARED), 1)
        self.assertNotIn(SHARED, paragraphs["valid"])

    def test_furniture_and_index_pages_are_left_out(self):
        self.write("bookindex", prose("bookindex"))
        text = self.text_of('<div class="toc"><dl><dt>1.1. A chapter</dt></dl></div>')
        for furniture in ("Prev page", "Next page", "Home", "A chapter"):
            self.assertNotIn(furniture, text)
        self.assertNotIn("bookindex", self.read("train") | self.read("valid"))

    def test_spacing_is_normalised_but_in_listings(self):
        text = self.text_of("<p>One\n   line with&#160;a <code>word</code>,\n and &lt;more&gt;.</p><pre>\nif x:\n    y  \n</pre>")
        self.assertIn("One line with a word, and <more>.\n\nif x:\n    y\n\n", text)

    def test_lists_and_tables_become_lines(self):
        text = self.text_of("<ul><li><p>first</p></li><li>second</li></ul>"
                            "<table><tr><th>Name</th><th>Use</th></tr><tr><td>a</td><td>to try</td></tr></table>")
        self.assertIn("- first\n\n- second\n\nName | Use\na | to try\n", text)

    def test_the_same_pages_give_the_same_bytes_and_check_sees_damage(self):
        self.write_many()
        self.build()
        first = (self.output / "train.jsonl").read_bytes()
        self.build()
        self.assertEqual((self.output / "train.jsonl").read_bytes(), first)
        self.assertEqual(self.run_script("check", self.output).returncode, 0)
        (self.output / "train.jsonl").write_bytes(first[:-1])
        self.assertEqual(self.run_script("check", self.output).returncode, 1)

    def test_a_folder_without_pages_is_an_error(self):
        done = self.run_script("build", self.pages, self.output, "--source", "test 1", "--sha256", "0")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no HTML page", done.stderr)
        self.assertEqual(self.run_script("check", self.output).returncode, 1)


if __name__ == "__main__":
    unittest.main()
