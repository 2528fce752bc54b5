"""Special values of elementwise functions, as the Array API standard lists them: a row is operands -> result.

An operand is a class of numbers: `0 -0 1 -1 inf -inf nan` stand for themselves; `fin`, `nzfin`, `pos`, `neg` are finite
numbers (any, nonzero, above, below zero), `any` is everything, `>1` and `<-1` are what they say. A complex operand has two,
of the real and the imaginary part. A result may also be `x` or `y`, an operand; `~0` or `~inf`, of either sign; or a number
times `cis(b)`. sqrt is as in C's annex G: in the standard the lines for -inf + yj and inf + yj are swapped."""

import math

FINITE = [0.25, 1.0, 1.5, 2.0, 3.0, 100.0, 1e-3]
INF, NAN = math.inf, math.nan

CLASSES = {
    "0": [0.0], "-0": [-0.0], "1": [1.0], "-1": [-1.0], "inf": [INF], "-inf": [-INF], "nan": [NAN],
    "±0": [0.0, -0.0], "±inf": [INF, -INF], "±1": [1.0, -1.0],
    "pos": FINITE, "neg": [-v for v in FINITE],
    "fin": [0.0, -0.0, *FINITE, *[-v for v in FINITE]], "nzfin": [*FINITE, *[-v for v in FINITE]],
    ">1": [1.5, 3.0, 100.0, INF], "<-1": [-1.5, -100.0, -INF], "|x|>1": [1.5, -3.0, INF, -INF], "|x|<1": [0.25, -0.5, 0.0, -0.0],
    ">0": [*FINITE, INF], "<0": [*[-v for v in FINITE], -INF],
    "any": [0.0, -0.0, *FINITE, *[-v for v in FINITE], INF, -INF, NAN],
    "num": [0.0, -0.0, *FINITE, *[-v for v in FINITE], INF, -INF],
    "not1": [0.0, -0.0, 0.5, 2.0, -1.0, INF, -INF, NAN],
    "not0": [1.0, -1.0, 0.5, INF, -INF, NAN],
    "odd>0": [1.0, 3.0, 7.0], "odd<0": [-1.0, -3.0], "notodd>0": [0.5, 2.0, 4.0, 1.5, INF], "notodd<0": [-0.5, -2.0, -INF],
    "frac": [0.5, -0.5, 2.5, -1.25],
}

UNARY = {
    "abs": "nan: nan | -0: 0 | -inf: inf | inf: inf",
    "acos": "nan: nan | >1: nan | <-1: nan | 1: 0",
    "acosh": "nan: nan | |x|<1: nan | <-1: nan | -1: nan | 1: 0 | inf: inf",
    "asin": "nan: nan | >1: nan | <-1: nan | 0: 0 | -0: -0",
    "asinh": "nan: nan | 0: 0 | -0: -0 | inf: inf | -inf: -inf",
    "atan": "nan: nan | 0: 0 | -0: -0 | inf: pi/2 | -inf: -pi/2",
    "atanh": "nan: nan | >1: nan | <-1: nan | 1: inf | -1: -inf | 0: 0 | -0: -0",
    "ceil": "inf: inf | -inf: -inf | 0: 0 | -0: -0 | nan: nan",
    "cos": "nan: nan | ±0: 1 | ±inf: nan",
    "cosh": "nan: nan | ±0: 1 | ±inf: inf",
    "exp": "nan: nan | ±0: 1 | inf: inf | -inf: 0",
    "expm1": "nan: nan | 0: 0 | -0: -0 | inf: inf | -inf: -1",
    "floor": "inf: inf | -inf: -inf | 0: 0 | -0: -0 | nan: nan",
    "log": "nan: nan | <0: nan | ±0: -inf | 1: 0 | inf: inf",
    "log1p": "nan: nan | <-1: nan | -1: -inf | 0: 0 | -0: -0 | inf: inf",
    "log2": "nan: nan | <0: nan | ±0: -inf | 1: 0 | inf: inf",
    "log10": "nan: nan | <0: nan | ±0: -inf | 1: 0 | inf: inf",
    "negative": "0: -0 | -0: 0 | inf: -inf | nan: nan",
    "reciprocal": "nan: nan | 0: inf | -0: -inf | inf: 0 | -inf: -0",
    "round": "inf: inf | -inf: -inf | 0: 0 | -0: -0 | nan: nan",
    "sign": "<0: -1 | ±0: ~0 | >0: 1 | nan: nan",
    "sin": "nan: nan | 0: 0 | -0: -0 | ±inf: nan",
    "sinh": "nan: nan | 0: 0 | -0: -0 | inf: inf | -inf: -inf",
    "square": "nan: nan | ±0: 0 | ±inf: inf",
    "sqrt": "nan: nan | <0: nan | 0: 0 | -0: -0 | inf: inf",
    "tan": "nan: nan | 0: 0 | -0: -0 | ±inf: nan",
    "tanh": "nan: nan | 0: 0 | -0: -0 | inf: 1 | -inf: -1",
    "trunc": "inf: inf | -inf: -inf | 0: 0 | -0: -0 | nan: nan",
}

BINARY = {
    "add": """nan any: nan | any nan: nan | inf -inf: nan | -inf inf: nan | inf inf: inf | -inf -inf: -inf | inf fin: inf
              -inf fin: -inf | fin inf: inf | fin -inf: -inf | -0 -0: -0 | -0 0: 0 | 0 -0: 0 | 0 0: 0 | ±0 nzfin: y
              nzfin ±0: x""",
    "atan2": """nan any: nan | any nan: nan | >0 ±0: pi/2 | 0 >0: 0 | 0 0: 0 | 0 -0: pi | 0 <0: pi | -0 >0: -0 | -0 0: -0
                -0 -0: -pi | -0 <0: -pi | <0 ±0: -pi/2 | pos inf: 0 | pos -inf: pi | neg inf: -0 | neg -inf: -pi
                inf fin: pi/2 | -inf fin: -pi/2 | inf inf: pi/4 | inf -inf: 3pi/4 | -inf inf: -pi/4 | -inf -inf: -3pi/4""",
    "divide": """nan any: nan | any nan: nan | ±inf ±inf: nan | ±0 ±0: nan | 0 >0: 0 | -0 >0: -0 | 0 <0: -0 | -0 <0: 0
                 >0 0: inf | >0 -0: -inf | <0 0: -inf | <0 -0: inf | inf pos: inf | inf neg: -inf | -inf pos: -inf
                 -inf neg: inf | pos inf: 0 | pos -inf: -0 | neg inf: -0 | neg -inf: 0""",
    "floor_divide": """nan any: nan | any nan: nan | ±inf ±inf: nan | ±0 ±0: nan | 0 >0: 0 | -0 >0: -0 | 0 <0: -0 | -0 <0: 0
                 >0 0: inf | >0 -0: -inf | <0 0: -inf | <0 -0: inf | inf pos: inf | inf neg: -inf | -inf pos: -inf
                 -inf neg: inf | pos inf: 0 | pos -inf: -0 | neg inf: -0 | neg -inf: 0""",
    "hypot": """±inf any: inf | any ±inf: inf | ±0 num: |y| | num ±0: |x| | fin nan: nan | nan nan: nan | nan fin: nan""",
    "logaddexp": "nan any: nan | any nan: nan | inf num: inf | num inf: inf | -inf -inf: -inf | -inf nzfin: y",
    "maximum": "nan any: nan | any nan: nan | inf num: inf | -inf num: y",
    "minimum": "nan any: nan | any nan: nan | inf num: y | -inf num: -inf",
    "multiply": "nan any: nan | any nan: nan | ±inf ±0: nan | ±0 ±inf: nan | inf >0: inf | inf <0: -inf | <0 inf: -inf | 0 neg: -0 | -0 neg: 0",
    "nextafter": "nan any: nan | any nan: nan | -0 0: 0 | 0 -0: -0",
    "pow": """not1 nan: nan | any ±0: 1 | nan not0: nan | |x|>1 inf: inf | |x|>1 -inf: 0 | ±1 ±inf: 1 | 1 num: 1
              |x|<1 inf: 0 | |x|<1 -inf: inf | inf >0: inf | inf <0: 0 | -inf odd>0: -inf | -inf notodd>0: inf | -inf odd<0: -0
              -inf notodd<0: 0 | 0 >0: 0 | 0 <0: inf | -0 odd>0: -0 | -0 notodd>0: 0 | -0 odd<0: -inf | -0 notodd<0: inf
              neg frac: nan""",
    "remainder": """nan any: nan | any nan: nan | ±inf ±inf: nan | ±0 ±0: nan | ±0 >0: 0 | ±0 <0: -0 | num ±0: nan
                    ±inf fin: nan | pos inf: x | pos -inf: y | neg inf: y | neg -inf: x""",
    "subtract": "inf inf: nan | -inf -inf: nan | 0 0: 0 | -0 0: -0 | 0 -0: 0 | -0 -0: 0 | nan any: nan | any nan: nan | inf -inf: inf",
}

COMPLEX = {
    "abs": "±inf any: inf | any ±inf: inf | ±0 any: |y| | any ±0: |x| | nan fin: nan | fin nan: nan | nan nan: nan",
    "acos": """±0 0: pi/2 -0 | ±0 nan: pi/2 nan | fin inf: pi/2 -inf | nzfin nan: nan nan | -inf pos: pi -inf | inf pos: 0 -inf
               -inf inf: 3pi/4 -inf | inf inf: pi/4 -inf | ±inf nan: nan ~inf | nan fin: nan nan | nan inf: nan -inf
               nan nan: nan nan""",
    "acosh": """±0 0: 0 pi/2 | fin inf: inf pi/2 | nzfin nan: nan nan | 0 nan: nan ~pi/2 | -inf pos: inf pi | inf pos: inf 0
                -inf inf: inf 3pi/4 | inf inf: inf pi/4 | ±inf nan: inf nan | nan fin: nan nan | nan inf: inf nan
                nan nan: nan nan""",
    "asinh": """0 0: 0 0 | pos inf: inf pi/2 | fin nan: nan nan | inf pos: inf 0 | inf inf: inf pi/4 | nan 0: nan 0
                nan nzfin: nan nan | nan inf: ~inf nan | nan nan: nan nan""",
    "atanh": """0 0: 0 0 | 0 nan: 0 nan | 1 0: inf 0 | pos inf: 0 pi/2 | nzfin nan: nan nan | inf pos: 0 pi/2 | inf inf: 0 pi/2
                inf nan: 0 nan | nan fin: nan nan | nan inf: ~0 pi/2 | nan nan: nan nan""",
    "conj": "0 0: 0 -0 | nan inf: nan -inf | inf -0: inf 0",
    "cosh": """0 0: 1 0 | 0 inf: nan ~0 | 0 nan: nan ~0 | nzfin inf: nan nan | nzfin nan: nan nan | inf 0: inf 0
               inf nzfin: infcis | inf inf: ~inf nan | inf nan: inf nan | nan ±0: nan ~0 | nan nzfin: nan nan
               nan nan: nan nan""",
    "exp": """±0 0: 1 0 | fin inf: nan nan | fin nan: nan nan | inf 0: inf 0 | -inf fin: 0cis | inf nzfin: infcis
              -inf inf: ~0 ~0 | inf inf: ~inf nan | -inf nan: ~0 ~0 | inf nan: ~inf nan | nan 0: nan 0 | nan nzfin: nan nan
              nan nan: nan nan""",
    "expm1": """±0 0: ~0 0 | fin inf: nan nan | fin nan: nan nan | inf 0: inf 0 | -inf fin: 0cis-1 | inf nzfin: infcis
                -inf inf: -1 ~0 | inf inf: ~inf nan | -inf nan: -1 ~0 | inf nan: ~inf nan | nan 0: nan 0 | nan nzfin: nan nan
                nan nan: nan nan""",
    "log": """-0 0: -inf pi | 0 0: -inf 0 | fin inf: inf pi/2 | fin nan: nan nan | -inf pos: inf pi | inf pos: inf 0
              -inf inf: inf 3pi/4 | inf inf: inf pi/4 | ±inf nan: inf nan | nan fin: nan nan | nan inf: inf nan
              nan nan: nan nan""",
    "log1p": """-1 0: -inf 0 | fin inf: inf pi/2 | fin nan: nan nan | -inf pos: inf pi | inf pos: inf 0 | -inf inf: inf 3pi/4
                inf inf: inf pi/4 | ±inf nan: inf nan | nan fin: nan nan | nan inf: inf nan | nan nan: nan nan""",
    "log2": """-0 0: -inf pi/ln2 | 0 0: -inf 0 | fin inf: inf pi/2/ln2 | fin nan: nan nan | inf pos: inf 0 | ±inf nan: inf nan
               nan inf: inf nan""",
    "log10": """-0 0: -inf pi/ln10 | 0 0: -inf 0 | fin inf: inf pi/2/ln10 | fin nan: nan nan | inf pos: inf 0 | ±inf nan: inf nan
                nan inf: inf nan""",
    "negative": "0 -0: -0 0 | inf nan: -inf nan",
    "round": "0 -0: 0 -0 | inf nan: inf nan | -0 -inf: -0 -inf",
    "sign": "±0 ±0: ~0 ~0 | nan any: nan nan | any nan: nan nan | pos 0: 1 0 | neg 0: -1 0",
    "sinh": """0 0: 0 0 | 0 inf: ~0 nan | 0 nan: ~0 nan | pos inf: nan nan | pos nan: nan nan | inf 0: inf 0 | inf pos: infcis
               inf inf: ~inf nan | inf nan: ~inf nan | nan 0: nan 0 | nan nzfin: nan nan | nan nan: nan nan""",
    "sqrt": """±0 0: 0 0 | any inf: inf inf | fin nan: nan nan | inf pos: inf 0 | -inf pos: 0 inf | -inf nan: nan ~inf
               inf nan: inf nan | nan fin: nan nan | nan nan: nan nan""",
    "tanh": """0 0: 0 0 | nzfin inf: nan nan | 0 inf: 0 nan | nzfin nan: nan nan | 0 nan: 0 nan | inf pos: 1 ~0
               inf inf: 1 ~0 | inf nan: 1 ~0 | nan 0: nan 0 | nan nzfin: nan nan | nan nan: nan nan""",
}

# Functions whose special cases are another's, along the imaginary axis: f(z) = factor * g(z * 1j).
ROTATED = {"asin": ("asinh", -1), "atan": ("atanh", -1), "sin": ("sinh", -1), "tan": ("tanh", -1), "cos": ("cosh", 0)}
# g(conj z) = conj g(z) of all; of these also g(-z) = -g(z), or g(z) of cosh.
ODD = ["asinh", "atanh", "sinh", "tanh"]

NUMBERS = {"pi": math.pi, "ln2": math.log(2), "ln10": math.log(10)}


def rows(table):
    """(operands, result) of each row, both lists of words."""
    for row in table.replace("\n", " | ").replace("| |x|", "| |x|").split(" | "):
        if row.strip():
            operands, result = row.strip().rsplit(": ", 1)
            yield operands.split(), result.split()


def number(word, *operands):
    """The value that a word of a result stands for."""
    if word in ("x", "y", "|x|", "|y|"):
        value = operands["xy".index(word.strip("|"))]
        return abs(value) if "|" in word else value
    sign, word = (-1.0, word[1:]) if word.startswith("-") else (1.0, word)
    if word in ("inf", "nan", "0", "1"):
        return sign * float(word)
    parts = word.split("/")
    head = parts[0].removesuffix("pi") or "1"
    value = float(head) * math.pi
    for part in parts[1:]:
        value /= NUMBERS.get(part) or float(part)
    return sign * value


def is_same(got, word, tolerance, *operands):
    """Whether a real result is what its word says, zeros with their signs."""
    if word == "*":
        return True
    either = word.startswith("~")
    value = number(word.lstrip("~"), *operands)
    if math.isnan(value):
        return math.isnan(got)
    if either:
        got, value = abs(got), abs(value)
    if value == 0 or math.isinf(value):
        return got == value and math.copysign(1, got) == math.copysign(1, value)
    return abs(got - value) <= tolerance * abs(value)
