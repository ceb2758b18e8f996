"""plot.py - the figures as an SVG: a panel for each workload, a bar for each queue, on a logarithmic scale.

Colours stand in a style sheet that follows the reader's light or dark mode; there is no background of its own.
"""
import math
from xml.sax.saxutils import escape

from .report import TITLES, figure, medians

WIDTH, COLUMNS, MARGIN = 980, 2, 12
ROW, BAR, TITLE, SCALE, GAP = 19, 12, 26, 18, 22
NAMES, VALUES = 150, 74  # what is kept free for the words on both sides of the bars
TOP = 52                 # the legend
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 13px } .small { font-size: 10.5px; fill: #59636e } .spool { font-weight: 600 }
.grid { stroke: #d1d9e0; stroke-width: 1 }
rect.ours { fill: #d9480f } rect.durable { fill: #5b7fa6 }
rect.loose { fill: #5b7fa6; fill-opacity: .12; stroke: #5b7fa6; stroke-width: 1; stroke-dasharray: 3 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d }
  rect.ours { fill: #ff8a4c } rect.durable { fill: #79a6d8 }
  rect.loose { fill: #79a6d8; stroke: #79a6d8 }
}
"""


class Panel:
    """One workload: its bars from the best down."""

    def __init__(self, workload, rows):
        found = medians(rows)
        self.workload = workload
        self.bars = [(row, found[row.name][workload]) for row in rows if workload in found[row.name]]
        self.bars.sort(key=lambda bar: bar[1], reverse=workload != "latency")
        values = [value for _, value in self.bars]
        # A bar begins a little below the decade of the smallest, so that the smallest is seen too.
        self.low = math.floor(math.log10(min(values)) - 0.15)
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)

    def height(self):
        return TITLE + len(self.bars) * ROW + SCALE + GAP

    def draw(self, left, top, width):
        scale = (width - NAMES - VALUES) / (self.high - self.low)
        start, bottom = left + NAMES, top + TITLE + len(self.bars) * ROW
        better = "less is better" if self.workload == "latency" else "jobs per second"
        yield words(left, top + 14, TITLES[self.workload].replace("`", ""), "title")
        yield words(left + width, top + 14, better, "small", "end")
        for decade in range(self.low, self.high + 1):
            x = start + (decade - self.low) * scale
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top + TITLE - 3}" y2="{bottom}"/>'
            yield words(x, bottom + 13, tick(self.workload, decade), "small", "middle")
        for index, (row, value) in enumerate(self.bars):
            y = top + TITLE + index * ROW
            ours = row.name == "Spool"
            length = (math.log10(value) - self.low) * scale
            kind = "ours" if ours else "durable" if row.durable else "loose"
            yield words(start - 8, y + BAR - 1, row.name, "spool" if ours else "", "end")
            yield f'<rect class="{kind}" x="{start}" y="{y}" width="{length:.1f}" height="{BAR}" rx="1.5"/>'
            yield words(start + length + 6, y + BAR - 1, figure(self.workload, value), "spool" if ours else "")


def words(x, y, text, kind="", anchor="start"):
    return f'<text class="{kind}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def tick(workload, decade):
    if workload == "latency":
        return f"{10 ** (decade + 3):g} ms"
    divisor, unit = (3, "k") if 4 <= decade < 6 else (6, "M") if decade >= 6 else (0, "")
    return f"{10 ** (decade - divisor):,}{unit}"


def legend():
    x = MARGIN
    for kind, text in (("ours", "Spool (durable)"), ("durable", "durable: synced before the answer"),
                       ("loose", "not durable: a power cut loses what was acknowledged")):
        yield f'<rect class="{kind}" x="{x}" y="14" width="22" height="{BAR}" rx="1.5"/>'
        yield words(x + 30, 24, text)
        x += 60 + 6.6 * len(text)
    yield words(MARGIN, 42, "Logarithmic scales, each panel its own.", "small")


def svg(rows):
    """The whole picture."""
    panels = [Panel(each, rows) for each in TITLES if any(each in row.seen for row in rows)]
    width = (WIDTH - MARGIN * (COLUMNS + 1)) / COLUMNS
    ends, parts = [TOP] * COLUMNS, []
    for panel in panels:
        column = ends.index(min(ends))
        parts += panel.draw(MARGIN + column * (width + MARGIN), ends[column], width)
        ends[column] += panel.height()
    size = f'width="{WIDTH}" height="{max(ends)}" viewBox="0 0 {WIDTH} {max(ends)}"'
    title = "Spool beside other job queues: jobs per second and waiting times"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *legend(), *parts, "</svg>", ""])
