"""A picture of the ratios: bars with least and most, as SVG without any library."""

from xml.sax.saxutils import escape

LABEL_WIDTH, PLOT_WIDTH, VALUE_WIDTH = 330, 430, 170
BAR, GAP, GROUP_GAP, TOP, BOTTOM = 16, 6, 26, 64, 34
TOOL, RIVAL, GRID, INK, MUTED = "#2f6f9f", "#b5651d", "#dddddd", "#222222", "#666666"


class BarChart:
    """`groups` holds `(title, bars)`, a bar `(label, median, least, most, text behind it, is a rival)`."""

    def __init__(self, title, subtitle, groups):
        self.title, self.subtitle, self.groups = title, subtitle, groups
        longest = max(bar[3] for _, bars in groups for bar in bars)
        self.most = max(1.0, longest) * 1.02

    def svg(self) -> str:
        bars = sum(len(group) for _, group in self.groups)
        height = TOP + bars * (BAR + GAP) + len(self.groups) * GROUP_GAP + BOTTOM
        width = LABEL_WIDTH + PLOT_WIDTH + VALUE_WIDTH
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            ' font-family="system-ui, sans-serif" font-size="12" role="img">',
            f"<title>{escape(self.title)}</title>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            f'<text x="12" y="24" font-size="16" font-weight="600" fill="{INK}">{escape(self.title)}</text>',
            f'<text x="12" y="43" fill="{MUTED}">{escape(self.subtitle)}</text>',
        ]
        parts += self._grid(height)
        y = TOP
        for title, group in self.groups:
            parts.append(f'<text x="12" y="{y + 14}" font-weight="600" fill="{INK}">{escape(title)}</text>')
            y += GROUP_GAP - GAP
            for bar in group:
                parts += self._bar(y, *bar)
                y += BAR + GAP
            y += GAP
        return "\n".join([*parts, "</svg>"]) + "\n"

    def _x(self, value) -> float:
        return round(LABEL_WIDTH + PLOT_WIDTH * value / self.most, 1)

    def _grid(self, height) -> list:
        parts = []
        for step in range(int(self.most / 0.2) + 1):
            x, is_floor = self._x(step * 0.2), step == 5
            dashes = "" if is_floor else ' stroke-dasharray="2 3"'
            parts.append(
                f'<line x1="{x}" x2="{x}" y1="{TOP - 8}" y2="{height - BOTTOM + 4}"'
                f' stroke="{MUTED if is_floor else GRID}"{dashes}/>'
            )
            text = "1.0: the floor" if is_floor else f"{step * 0.2:.1f}"
            parts.append(
                f'<text x="{x}" y="{height - BOTTOM + 20}" text-anchor="middle" fill="{MUTED}">{text}</text>'
            )
        return parts

    def _bar(self, y, label, median, least, most, text, is_rival) -> list:
        middle, color = y + BAR / 2, RIVAL if is_rival else TOOL
        left, right = self._x(least), self._x(most)
        return [
            f'<text x="{LABEL_WIDTH - 10}" y="{middle + 4}" text-anchor="end" fill="{INK}">{escape(label)}</text>',
            f'<rect x="{LABEL_WIDTH}" y="{y}" width="{max(1, self._x(median) - LABEL_WIDTH):.1f}" height="{BAR}"'
            f' fill="{color}"/>',
            f'<path d="M{left} {middle}H{right}M{left} {middle - 4}v8M{right} {middle - 4}v8" stroke="{INK}" fill="none"/>',
            f'<text x="{max(self._x(median), right) + 8}" y="{middle + 4}" fill="{INK}" stroke="#ffffff" stroke-width="4"'
            f' paint-order="stroke">{escape(text)}</text>',
        ]
