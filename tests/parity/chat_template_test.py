"""Chat templates against Transformers (Jinja2): templates in the manner of each family, and random expressions."""
import copy
import itertools
import json
import pathlib
import random
import subprocess
import sys
import unittest
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import BIN  # noqa: E402

try:
    from transformers.utils.chat_template_utils import _compile_jinja_template
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --parity installs it)")
    sys.exit(77)

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "fuzz/corpus/chat_template"
TEMPLATES = {path.stem: path.read_text() for path in sorted(CORPUS.glob("*.jinja"))}  # in the manner of each family
TALKS = [
    [{"role": "user", "content": "Hello"}],
    [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "2 < 3 & 'so'?\n\n  "},
     {"role": "assistant", "content": "<think>\nhm\n</think>\n\nYes \"quite\"."}, {"role": "user", "content": "gr\u00fc\u00df \u4f60\u597d \U0001f600"}],
    [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}, {"role": "user", "content": "x"},
     {"role": "assistant", "content": "y", "reasoning_content": "\nwhy\n"}],
    [{"role": "system", "content": "a"}, {"role": "system", "content": "b"}, {"role": "user", "content": "c"}],
    [{"role": "user", "content": "weather?"},
     {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "get", "arguments": {"city": "K\u00f6ln", "n": 1.5, "l": [True, None]}}},
                                                        {"name": "raw", "arguments": "{\"a\": 1}"}]},
     {"role": "tool", "content": "sun"}, {"role": "tool", "content": "rain"}, {"role": "assistant", "content": "Both."}],
]
TOOLS = [{"type": "function", "function": {"name": "get", "description": "caf\u00e9 <b>", "parameters": {"x": {"type": "int", "d": 1e-7}}}}]


def ask(template, messages, add_generation_prompt=False, **variables):
    return {"template": template, "messages": messages, "add_generation_prompt": add_generation_prompt, "variables": variables}


def wanted(question):
    """Transformers' text, or None where it raises."""
    variables = copy.deepcopy({"tools": None, "documents": None, **question["variables"]})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of the Python that Jinja makes
            return _compile_jinja_template(question["template"]).render(
                messages=copy.deepcopy(question["messages"]), add_generation_prompt=question["add_generation_prompt"],
                **variables)
    except Exception:
        return None


class Expressions:
    """Random expressions over a few values, most of them valid."""

    ATOMS = ["1", "0", "-3", "2.5", "'abc'", "' x y '", "''", "true", "false", "none", "[1, 2, 3]", "['b', 'a', 'B']", "{'k': 1, 'l': 'v'}",
             "messages", "messages[0]", "messages[0].role", "messages[-1]['content']", "missing", "word", "number", "items", "[]", "{}"]
    BINARY = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "and", "or", "in", "not in"]
    FILTERS = ["trim", "upper", "lower", "length", "first", "last", "list", "string", "int", "float", "join(',')", "default('d')", "title",
               "default('d', true)", "reverse | list", "sort", "unique | list", "tojson", "tojson(indent=2)", "sum", "max", "min", "abs",
               "capitalize", "map('upper') | list", "map(attribute='role', default='-') | list", "select('string') | list", "reject('none') | list",
               "selectattr('role', 'equalto', 'user') | list | length", "replace('a', 'o')", "round", "indent(2)", "items | map('last') | list",
               "dictsort | map('first') | list", "wordcount", "count"]
    TESTS = ["defined", "undefined", "none", "string", "mapping", "iterable", "number", "boolean", "integer", "float", "true", "false", "odd",
             "even", "sequence", "equalto 1", "in [1, 'abc']", "divisibleby 3", "lower", "upper"]
    METHODS = ["strip()", "upper()", "split(' ')", "split()", "startswith('a')", "endswith(('c', 'y '))", "replace('b', '')", "title()",
               "lower().capitalize()", "keys() | list", "items() | map('first') | list", "values() | list", "get('k')", "get('z', 9)", "rstrip('c')", "find('c')",
               "count('a')", "index(2)"]
    SUFFIXES = ["[0]", "[-1]", "[1:]", "[:-1]", "[::-1]", "[::2]", "[-2:]", "['k']", ".k", ".role", "[5]"]

    def __init__(self, seed):
        self.random = random.Random(seed)

    def make(self, depth):
        choose = self.random.choice
        if depth == 0:
            return choose(self.ATOMS)
        kind = self.random.randrange(9)
        inner = self.make(depth - 1)
        if kind < 2:
            return f"({inner} {choose(self.BINARY)} {self.make(depth - 1)})"
        if kind == 2:
            return f"({inner} | {choose(self.FILTERS)})"
        if kind == 3:
            return f"({inner} is {choose(['', 'not '])}{choose(self.TESTS)})"
        if kind == 4:
            return f"({inner}).{choose(self.METHODS)}"
        if kind == 5:
            return f"({inner}){choose(self.SUFFIXES)}"
        if kind == 6:
            return f"({inner} if {self.make(depth - 1)} else {self.make(depth - 1)})"
        if kind == 7:
            return f"not {inner}" if self.random.random() < 0.5 else f"{inner} {choose(self.BINARY)} {self.make(depth - 1)} | string"
        return f"[{inner}, {self.make(depth - 1)}]"


def answers(test, questions):
    """What the library makes of them: [{"text"} or {"error"}]."""
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    result = subprocess.run([BIN / "chat_template_probe"], input=lines, capture_output=True, text=True, timeout=300)
    test.assertEqual(result.returncode, 0, result.stderr)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    test.assertEqual(len(found), len(questions))
    return found


class ChatTemplates(unittest.TestCase):
    def test_families(self):
        questions = [ask(TEMPLATES[name], talk, prompt, bos_token="<s>", eos_token="</s>", **extra)
                     for name, talk, prompt in itertools.product(TEMPLATES, TALKS, (False, True))
                     for extra in ({}, {"tools": TOOLS, "enable_thinking": False})]
        written = 0
        for question, answer in zip(questions, answers(self, questions)):
            text = wanted(question)
            written += text is not None
            self.assertEqual(answer.get("text"), text, (question, answer))
        self.assertGreater(written, len(questions) * 3 // 4)

    def test_white_space(self):
        pieces = ["a", " ", "\n", "\t", "{% if true %}", "{%- if true %}", "{% if true -%}", "{%+ if true %}", "{% if true +%}", "{{ 'v' }}",
                  "{{- 'v' }}", "{{ 'v' -}}", "{# c #}", "{#- c -#}", "b\n"]
        draw = random.Random(3)
        questions = []
        for _ in range(1500):
            parts = [draw.choice(pieces) for _ in range(draw.randrange(1, 9))]
            opened = sum("if" in part for part in parts)
            questions.append(ask("".join(parts) + "".join(draw.choice(["{% endif %}", " {%- endif %}", "\n  {% endif %}\n"]) for _ in range(opened)), []))
        for question, answer in zip(questions, answers(self, questions)):
            self.assertEqual(answer.get("text"), wanted(question), question["template"])

    def test_expressions(self):
        """The same text wherever both write one (a tuple is a list here, so none is printed)."""
        expressions, questions = Expressions(11), []
        for _ in range(6000):
            questions.append(ask("{{ " + expressions.make(expressions.random.randrange(1, 4)) + " }}", TALKS[1], word="token", number=7,
                                 items=[{"role": "user", "n": 2}, {"role": "tool", "n": 3}]))
        both = only_one = 0
        for question, answer in zip(questions, answers(self, questions)):
            text = wanted(question)
            if text is None or "Undefined" in text or "<generator" in text or "<bound method" in text or "<built-in" in text or " object at 0x" in text:
                continue
            if "text" in answer:
                self.assertEqual(answer["text"], text, question["template"])
                both += 1
            else:
                only_one += 1
                self.assertIn("template, line 1", answer["error"])
        print(f"\n{both} expressions equal, {only_one} that only Jinja computes", end=" ")
        self.assertGreater(both, 1500)
        self.assertLess(only_one, both // 10)


if __name__ == "__main__":
    unittest.main()
