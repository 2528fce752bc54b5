"""Whether functions only leave something in a variable or attribute, such as a count of calls, and never look at it."""

import dis
from collections.abc import Iterable
from types import CodeType

_JUMPS = frozenset(dis.hasjrel + dis.hasjabs)
_ENDS = frozenset({"RETURN_VALUE", "RETURN_GENERATOR", "YIELD_VALUE", "RAISE_VARARGS"})
_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "LOAD_ATTR", "LOAD_METHOD")

# Methods of the built-in containers that give nothing back, whatever is in there.
_NOTHING = frozenset({"append", "appendleft", "extend", "extendleft", "rotate", "insert", "remove", "clear", "sort", "reverse", "add", "discard", "update"})


def only_left(codes: Iterable[CodeType], name: str) -> bool:
    """True when no use of `name` in these code objects lets its value out: ``n += 1``, ``calls.append(x) or x`` and
    ``seen["x"] = x`` do not, ``n > 3`` and ``f(calls)`` do."""
    return all(_leaves_it(code, name) for code in codes)


def _leaves_it(code: CodeType, name: str) -> bool:
    instructions = list(dis.get_instructions(code))
    for i, instruction in enumerate(instructions):
        if instruction.argval != name or instruction.opcode in dis.hasconst:
            continue
        if instruction.opname.startswith("DELETE_") or (instruction.opname in _LOADS and not _stays_inside(instructions, i, name)):
            return False
    return True


def _stays_inside(instructions: list[dis.Instruction], i: int, name: str) -> bool:
    """Follows the value loaded by instruction i until nothing of it is on the stack, which must be in a statement of
    its own or when it is put back where it came from."""
    first = instructions[i]
    depth = dis.stack_effect(first.opcode, first.arg, jump=False)
    if first.opname in ("LOAD_ATTR", "LOAD_METHOD"):
        depth += 1  # it took the place of the object
    method = instructions[i + 1] if i + 1 < len(instructions) else first
    gives_nothing = method.opname in ("LOAD_ATTR", "LOAD_METHOD") and method.argval in _NOTHING
    for instruction in instructions[i + 1 :]:
        if instruction.opcode in _JUMPS or instruction.opname in _ENDS:
            return False
        depth += dis.stack_effect(instruction.opcode, instruction.arg, jump=False)
        if gives_nothing and depth == 1 and instruction.opname.startswith("CALL"):
            return True
        if depth <= 0:
            kind = instruction.opname
            put_back = kind.startswith("STORE_") and kind != "STORE_FAST" and instruction.argval == name
            return put_back or kind in ("POP_TOP", "STORE_SUBSCR")
    return False
