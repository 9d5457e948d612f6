"""The API reference from the docstrings, and that of the command line from its help.

Docstrings are in Google's style (napoleon), and `one backtick` makes code, as in Markdown. A name
in backticks that has a place in the reference becomes a link to it.
"""

import re

import typer
from docutils import nodes
from docutils.parsers.rst.states import Inliner
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import inspect
from sphinx.util.docutils import SphinxDirective

from hccr_lib.characters import LEVEL1
from hccr_lib.cli import app as hccr

HEADER = re.compile(r"( *)(Returns|Yields):")


def code(
    name: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: Inliner,
    options: dict | None = None,
    content: list[str] | None = None,
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """The role of `one backtick`: code, which links to what it names if the book describes it."""
    env = inliner.document.settings.env
    text = re.sub(r"\x00(.)", r"\1", text)  # docutils marks what a backslash precedes
    reference = pending_xref("", nodes.literal(text, text), refdomain="py", reftype="obj")
    reference["reftarget"] = text
    reference["refdoc"] = env.docname
    reference["refwarn"] = reference["refexplicit"] = False
    reference["py:module"] = env.ref_context.get("py:module")
    reference["py:class"] = env.ref_context.get("py:class")
    reference["may_be_code"] = True
    return [reference], []


def only_code(
    app: Sphinx, env: BuildEnvironment, reference: pending_xref, content: nodes.Node
) -> nodes.Node | None:
    """What `code` marked becomes a link if it is a class of some other module, or stays code."""
    if "may_be_code" not in reference:
        return None
    target = reference["reftarget"]
    if target[:1].isupper():
        domain = env.get_domain("py")
        found = [name for name in domain.objects if name.rpartition(".")[2] == target]
        if len(found) == 1:
            role = domain.object_types[domain.objects[found[0]].objtype].roles[0]
            return domain.resolve_xref(
                env, reference["refdoc"], app.builder, role, found[0], reference, content
            )
    return content


def true_signature(
    app: Sphinx, what: str, name: str, obj, options, signature: str | None, returned: str | None
) -> tuple[str, str | None] | None:
    """Arguments of classes that hide them behind a `__new__` of Keras's or of a widget's."""
    if what == "class" and signature and signature.startswith("(*args"):
        true = inspect.signature(obj.__init__, bound_method=True)
        return inspect.stringify_signature(true, show_return_annotation=False), None
    # A default that is a text of 3,755 characters goes by its name.
    return signature and (signature.replace(repr(LEVEL1), "LEVEL1"), returned)


def whole_returns(app: Sphinx, what: str, name: str, obj, options, lines: list[str]) -> None:
    """Make fields of Returns and Yields: napoleon would take all before a colon for a type."""
    for number, line in enumerate(lines):
        if match := HEADER.fullmatch(line):
            lines[number] = ""
            lines[number + 1] = f"{match[1]}:{match[2].lower()}: {lines[number + 1].strip()}"


class Commands(SphinxDirective):
    """All commands of `hccr`, each with its description, its usage and its options."""

    def run(self) -> list[nodes.Node]:
        group = typer.main.get_command(hccr)
        context = group.make_context("hccr", [], resilient_parsing=True)
        sections = []
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            title = f"hccr {name}"
            section = nodes.section(ids=[nodes.make_id(title)], names=[title])
            section += nodes.title("", "", nodes.literal(title, title))
            section += self.of_command(
                command, command.make_context(name, [], parent=context, resilient_parsing=True)
            )
            sections.append(section)
        return sections

    def of_command(self, command, context) -> list[nodes.Node]:
        usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
        usage = re.sub("[{}]", "", usage)
        found = self.parsed(command.help)
        found.insert(0, nodes.literal_block(usage, usage, language="none", classes=["usage"]))
        options = nodes.definition_list()
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record is None or record[0].startswith("--help"):
                continue
            head, text = (" ".join(part.split()) for part in record)
            head = head.replace(" range>", ">")  # the text says which
            if parameter.param_type_name == "argument":
                head = head.partition(" <")[0]  # what it is follows from its name
            term = nodes.term("", "", nodes.literal(head, head))
            meaning = nodes.definition("", nodes.paragraph(text, text))
            options += nodes.definition_list_item("", term, meaning)
        return [*found, options]

    def parsed(self, markdown: str) -> list[nodes.Node]:
        holder = nodes.container()
        self.state.nested_parse(StringList(markdown.splitlines(), "hccr --help"), 0, holder)
        return holder.children


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_role("code-or-link", code)
    app.add_directive("hccr-commands", Commands)
    app.connect("missing-reference", only_code)
    app.connect("autodoc-process-signature", true_signature)
    app.connect("autodoc-process-docstring", whole_returns, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
