"""A question that any manual answers: under which title does a paragraph stand? The wrong choices are titles of other pages."""
import re

import domain_corpus

PARAGRAPHS = 4  # of a page that become questions
SHORTEST, LONGEST = 120, 400  # characters of such a paragraph


def plain(title):
    """Without its number: 'Chapter 3. Accounts' and '13.2. Isolation' are 'Accounts' and 'Isolation'."""
    return re.sub(r"^((Chapter|Appendix|Part) )?[\dA-Z]+(\.\d+)*\. ", "", title)


def question(title, titles):
    def ask(text):
        prose = [block for block in text.strip().split("\n\n")[1:] if len(block) >= SHORTEST and "\n" not in block]
        for block in [b for b in prose if title.casefold() not in b.casefold()][:PARAGRAPHS]:
            excerpt = block if len(block) <= LONGEST else block[:LONGEST].rsplit(" ", 1)[0]
            choices, answer = domain_corpus.choices_with(title, titles, domain_corpus.number_of(excerpt))
            yield f"Paragraph: {excerpt}\nTitle:", [f" {choice}" for choice in choices], answer
    return ask


def titled(pages):
    """[(id, blocks)], the first block the title -> documents."""
    pages = [(name, [plain(blocks[0]), *blocks[1:]]) for name, blocks in pages if len(blocks) > 1]
    titles = sorted({blocks[0] for _, blocks in pages})
    return [domain_corpus.Document(name, blocks, question(blocks[0], titles)) for name, blocks in pages]
