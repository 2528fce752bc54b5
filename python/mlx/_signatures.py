"""inspect.signature of functions of mlx.core, read off the text that their stubs have. Programs ask it which parameters there are."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any


def _default(node: ast.expr, objects: tuple[Any, ...]) -> Any:
    """A literal's value; the text of anything else, such as a dtype. Where the text has a number, the object of that number."""
    if isinstance(node, ast.Name) and (numbered := re.fullmatch(r"_object(\d+)", node.id)):
        return objects[int(numbered[1])]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def signature_of(function: Any) -> inspect.Signature:
    """The only signature of a function. AttributeError where it has several: inspect then says that it knows none."""
    # Defaults that are not written out are numbered.
    texts = [re.sub(r"\\(\d+)", lambda m: repr(rest[1][int(m[1])]), text) for text, *rest in function.__nb_signature__]
    if len(texts) != 1:
        raise AttributeError(f"{function.__name__} has {len(texts)} signatures: {'; '.join(texts)}")
    try:
        parsed = ast.parse(re.sub(r"\\(\d+)", r"_object\1", texts[0]) + ": ...").body[0]
    except SyntaxError as error:
        raise AttributeError(f"{function.__name__} has a signature that Python cannot read: {texts[0]}") from error
    objects = function.__nb_signature__[0][2:]
    assert isinstance(parsed, ast.FunctionDef)
    a = parsed.args
    kinds: list[tuple[Any, ast.arg]] = [(inspect.Parameter.POSITIONAL_ONLY, arg) for arg in a.posonlyargs]
    kinds += [(inspect.Parameter.POSITIONAL_OR_KEYWORD, arg) for arg in a.args]
    defaults: list[ast.expr | None] = [None] * (len(kinds) - len(a.defaults)) + [*a.defaults]
    if a.vararg:
        kinds.append((inspect.Parameter.VAR_POSITIONAL, a.vararg))
        defaults.append(None)
    kinds += [(inspect.Parameter.KEYWORD_ONLY, arg) for arg in a.kwonlyargs]
    defaults += a.kw_defaults
    if a.kwarg:
        kinds.append((inspect.Parameter.VAR_KEYWORD, a.kwarg))
        defaults.append(None)
    empty = inspect.Parameter.empty
    parameters = [
        inspect.Parameter(
            arg.arg,
            kind,
            default=empty if default is None else _default(default, objects),
            annotation=ast.unparse(arg.annotation) if arg.annotation else empty,
        )
        for (kind, arg), default in zip(kinds, defaults, strict=True)
    ]
    return inspect.Signature(parameters, return_annotation=ast.unparse(parsed.returns) if parsed.returns else empty)
