"""Which calls of the pages hand text to Streamlit's Markdown, and whether all of it is ours or was made plain.

Text is ours where it is written in the code: literals, constants, numbers that are formatted, and what is put together
of such. Foreign text becomes plain in one place, `samkit.ui.parts.markdown_text.plain_text`.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UI = Path(__file__).parents[2] / "samkit" / "ui"
FIRST = {
    "markdown", "caption", "title", "header", "subheader", "error", "warning", "info", "success", "toast", "button",
    "download_button", "link_button", "checkbox", "toggle", "radio", "selectbox", "multiselect", "slider",
    "select_slider", "text_input", "text_area", "number_input", "date_input", "file_uploader", "metric", "expander",
    "popover", "dialog", "spinner", "status", "pills", "segmented_control", "form_submit_button", "color_picker",
    "camera_input", "write", "badge", "progress", "feedback", "menu_button", "chat_message",
}  # fmt: skip
"""Calls whose first argument is Markdown."""
NAMED = {"help", "label", "text", "caption", "captions", "body", "title"}
SHOWN_OPTIONS = {"radio", "pills", "segmented_control", "tabs"}
"""Calls whose options are Markdown."""
PLAIN_CALLS = {"plain_text", "plain_lines", "len", "round", "int", "format_bytes", "number_text", "runs_text"}
HANDS_ON = {"with_key", "list"}
NUMBERS = {"length", "width", "height", "size", "shape", "days", "entries", "frame", "film_frame", "index", "seconds"}


@dataclass(frozen=True)
class Site:
    file: str
    line: int
    call: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.call}: {self.text}"


def sites() -> Iterator[Site]:
    """Every place where text that may be foreign reaches Markdown."""
    for file in sorted(UI.rglob("*.py")):
        tree = ast.parse(file.read_text())
        yield from _Walk(file.relative_to(UI).as_posix(), tree).found()


class _Walk:
    def __init__(self, file: str, tree: ast.Module):
        self.file, self.tree = file, tree
        self.functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]

    def found(self) -> Iterator[Site]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                for text in self._texts(node, node.func.attr):
                    for foreign in self._foreign(text, node):
                        yield Site(self.file, text.lineno, node.func.attr, foreign)

    def _texts(self, call: ast.Call, name: str) -> Iterator[ast.expr]:
        if name in FIRST and call.args and name != "progress":
            yield call.args[0]
        if name == "tabs" and call.args:
            yield call.args[0]
        if name in SHOWN_OPTIONS and len(call.args) > 1:
            yield call.args[1]
        for keyword in call.keywords:
            if keyword.arg in NAMED:
                yield keyword.value

    def _foreign(self, node: ast.AST, at: ast.AST, depth: int = 0) -> list[str]:
        """The parts of an expression that are neither ours nor made plain."""
        parts: list[ast.expr]
        match node:
            case ast.Constant():
                parts = []
            case ast.FormattedValue(value):
                parts = [] if _is_number(node) else [value]
            case ast.JoinedStr(values) | ast.BoolOp(_, values) | ast.Dict(_, values):
                parts = values
            case ast.BinOp(left, _, right):
                parts = [left, right]
            case ast.IfExp(_, body, orelse):
                parts = [body, orelse]
            case ast.List(elts) | ast.Tuple(elts):
                parts = elts
            case ast.Starred(value) | ast.Subscript(value, _):
                parts = [value]
            case ast.Call(ast.Name(name), arguments, _) if name in HANDS_ON:
                parts = arguments
            case ast.Call(ast.Name(name), _, _) if name in PLAIN_CALLS:
                parts = []
            case ast.Call(ast.Attribute(value, "join"), [joined], _):
                parts = [value, joined]
            case ast.Call(ast.Attribute(value, "sum" | "count" | "capitalize" | "lower"), _, _):
                parts = [value]
            case ast.GeneratorExp(elt, _) | ast.ListComp(elt, _):
                parts = [elt]
            case ast.Name(name) | ast.Attribute(_, name) if name.isupper():
                parts = []
            case ast.Attribute(_, name) if name in NUMBERS:
                parts = []
            case ast.Name(name) if (assigned := self._assigned(name, at)) and depth < 12:
                parts = assigned
            case _:
                return [ast.unparse(node)]
        return [foreign for part in parts for foreign in self._foreign(part, at, depth + 1)]

    def _assigned(self, name: str, at: ast.AST) -> list[ast.expr]:
        """What the innermost function around gives to that name; none where it is not known."""
        for function in reversed([each for each in self.functions if each.lineno <= at.lineno <= each.end_lineno]):
            values: list[ast.expr] = []
            for node in ast.walk(function):
                if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
                    values.append(node.value)
                for target in node.targets if isinstance(node, ast.Assign) else ():
                    if isinstance(target, ast.Name) and target.id == name:
                        values.append(node.value)
                    elif isinstance(target, ast.Tuple):
                        places = [
                            i for i, each in enumerate(target.elts) if isinstance(each, ast.Name) and each.id == name
                        ]
                        if places and not isinstance(node.value, ast.Tuple):
                            return []
                        values += [node.value.elts[place] for place in places]
            if values:
                return values
        return []


def _is_number(part: ast.FormattedValue) -> bool:
    """Whether it is formatted as a number, such as `:.3f`, `:g`, `:,`."""
    spec = part.format_spec
    if not isinstance(spec, ast.JoinedStr) or len(spec.values) != 1 or not isinstance(spec.values[0], ast.Constant):
        return False
    return str(spec.values[0].value)[-1:] in "dfge,%"
