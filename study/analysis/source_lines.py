"""How much code a loss takes: lines of Python without comments, docstrings and blank lines."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

from study.training.fingerprint import modules_of

_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """How many lines of `source` hold code: not blank, not only a comment, no docstring."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            left_out.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - left_out)


def own_lines(file: Path, other: Path) -> int:
    """Code lines of `file` and the modules that it needs on a CPU, without those that `other` needs as well."""
    return sum(code_lines(path.read_text(encoding="utf-8")) for path in modules_of(file) - modules_of(other))
