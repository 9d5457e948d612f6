"""Links the first use of each word of the glossary on a page to its entry.

An entry's names are its English words, divided by commas: ``CAM, class activation map · 类激活图``;
what begins with "of" only explains. A name in one small word ("stroke", "seed") is too common to be
linked wherever it stands; abbreviations and names of several words are linked. The definition shows
under the mouse.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

PAGE = "book/glossary"
WITHOUT = (PAGE, "book/index", "book/changelog", "book/bibliography", "book/api/")
TECHNICAL = re.compile(r"(?!of ).*[A-Z\s]")


def entries_of(glossary: nodes.document) -> list[tuple[str, list[str], str]]:
    """(identifier, names to be linked, definition) of each entry."""
    found = []
    for item in glossary.findall(nodes.definition_list_item):
        term, definition = item.children[0], item.children[-1].astext()
        names = [name.strip() for name in term.astext().split(" · ")[0].split(",")]
        identifier = "term-" + nodes.make_id(names[0])
        text = definition.rpartition(" (")[0]  # without the link to the chapter
        found.append((identifier, [n for n in names if TECHNICAL.match(n)], text))
    return found


def give_entries_places(app: Sphinx, glossary: nodes.document) -> None:
    """Every entry of the glossary can be linked to."""
    if app.env.docname == PAGE:
        items = glossary.findall(nodes.definition_list_item)
        for item, (identifier, _, _) in zip(items, entries_of(glossary), strict=True):
            item.children[0]["ids"].append(identifier)


def pattern(names: list[str]) -> re.Pattern:
    """One of the names as a whole, or in the plural, its first letter small or not."""
    words = "|".join(
        rf"(?:{re.escape(n[0])}|{re.escape(n[0].upper())}){re.escape(n[1:])}"
        for n in sorted(names, key=len, reverse=True)
    )
    return re.compile(rf"(?<![\w-])(?:{words})(?:e?s)?(?![\w-])")


def link_first_uses(app: Sphinx, page: nodes.document, name: str) -> None:
    if name.startswith(WITHOUT) or PAGE not in app.env.all_docs:
        return
    address = app.builder.get_relative_uri(name, PAGE)
    for identifier, names, definition in entries_of(app.env.get_doctree(PAGE)):
        if not names:
            continue
        expected = pattern(names)
        for text in list(page.findall(nodes.Text)):
            if not isinstance(text.parent, nodes.paragraph) or within_table(text):
                continue
            if match := expected.search(text):
                link = nodes.reference(
                    "",
                    match[0],
                    internal=True,
                    refuri=f"{address}#{identifier}",
                    reftitle=definition,
                    classes=["course-term"],
                )
                before, after = text[: match.start()], text[match.end() :]
                pieces = [nodes.Text(before), link, nodes.Text(after)]
                text.parent.replace(text, pieces)
                break


def within_table(node: nodes.Node) -> bool:
    while node := node.parent:
        if isinstance(node, nodes.entry):
            return True
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", give_entries_places)
    app.connect("doctree-resolved", link_first_uses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
