"""The picture beside the tables: time against size for the rows that are a series, and ours against the best peer; log-log, as SVG."""

import html
import math

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 460, 330, 58, 34, 12, 40
COLOURS = {
    "ours eager": "#d62728", "ours compiled": "#ff7f0e", "jax": "#1f77b4", "torch": "#2ca02c", "numpy": "#7f7f7f", "mlx": "#9467bd",
}
NAMES = {"jax": "JAX jit", "torch": "PyTorch", "numpy": "NumPy", "mlx": "Apple's MLX"}


def series(summary, found):
    """{panel: {column: [(size, seconds)]}}"""
    panels = {}
    for name, row in summary.items():
        if found[name].series:
            title, size = found[name].series
            for column in COLOURS:
                if column in row:
                    panels.setdefault(title, {}).setdefault(column, []).append((size, row[column]))
    return {title: {c: sorted(points) for c, points in lines.items()} for title, lines in panels.items()}


def span(values):
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def seconds_text(power):
    unit, least = next((u, p) for u, p in (("s", 0), ("ms", -3), ("µs", -6), ("ns", -9)) if power >= p or u == "ns")
    return f"{10 ** (power - least)} {unit}"


class Panel:
    """One pair of axes; x and y are powers of ten apart."""

    def __init__(self, place, title, xs, ys, x_text):
        self.left, self.top = (place % 2) * WIDTH + LEFT, (place // 2) * HEIGHT + TOP
        self.across, self.down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        self.x_span, self.y_span = span(xs), span(ys)
        self.parts = [self.text(self.left, self.top - 12, title, "start", 13)]
        for axis, (low, high) in (("x", self.x_span), ("y", self.y_span)):
            for power in range(low, high + 1):
                self.tick(axis, power, x_text)

    @staticmethod
    def text(x, y, words, anchor="middle", size=11):
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{html.escape(words)}</text>'

    def x(self, value):
        low, high = self.x_span
        return self.left + (math.log10(value) - low) / (high - low) * self.across

    def y(self, value):
        low, high = self.y_span
        return self.top + self.down - (math.log10(value) - low) / (high - low) * self.down

    def tick(self, axis, power, x_text):
        if axis == "x":
            at = self.x(10.0**power)
            line, words = (at, self.top, at, self.top + self.down), self.text(at, self.top + self.down + 16, x_text(power))
        else:
            at = self.y(10.0**power)
            line, words = (self.left, at, self.left + self.across, at), self.text(self.left - 6, at + 4, seconds_text(power), "end")
        self.parts.append('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="#ddd"/>'.format(*line) + words)

    def line(self, points, colour, dash=""):
        path = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dash}"/>')

    def dot(self, a, b, colour, words):
        self.parts.append(f'<circle cx="{self.x(a):.1f}" cy="{self.y(b):.1f}" r="2.6" fill="{colour}"><title>{html.escape(words)}</title></circle>')


def picture(summary, found):
    panels = []
    for title, lines in series(summary, found).items():
        points = [p for line in lines.values() for p in line]
        panel = Panel(len(panels), title, [x for x, _ in points], [y for _, y in points], lambda power: f"1e{power}" if power > 3 else str(10**power))
        for column, line in lines.items():
            panel.line(line, COLOURS[column])
            for a, b in line:
                panel.dot(a, b, COLOURS[column], f"{NAMES.get(column, column)}, {a}: {b:.3g} s")
        panels.append(panel)
    rows = {name: row for name, row in summary.items() if found[name].unit == "s" and "peer" in row and "ours eager" in row}
    if rows:
        xs, ys = [r["peer"] for r in rows.values()], [min(r["ours eager"], r.get("ours compiled", math.inf)) for r in rows.values()]
        panel = Panel(len(panels), "ours against the best peer: below the line we are faster", xs + ys, xs + ys, seconds_text)
        low, high = panel.x_span
        panel.line([(10.0**low, 10.0**low), (10.0**high, 10.0**high)], "#555", "4 3")
        for (name, row), a, b in zip(rows.items(), xs, ys):
            panel.dot(a, b, COLOURS["ours eager"], f"{name}: {b / a:.2f}")
        panels.append(panel)
    height = (len(panels) + 1) // 2 * HEIGHT + 30
    legend = []
    for i, (column, colour) in enumerate(COLOURS.items()):
        x = LEFT + i * 140
        legend.append(f'<rect x="{x}" y="{height - 20}" width="14" height="4" fill="{colour}"/>')
        legend.append(Panel.text(x + 20, height - 14, NAMES.get(column, column), "start"))
    body = "\n".join([part for panel in panels for part in panel.parts] + legend)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {height}" font-family="sans-serif">\n'
            f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n')
