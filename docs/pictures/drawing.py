"""What the pictures are drawn with: a canvas that becomes SVG, readable on light and on dark pages."""

from __future__ import annotations

from html import escape
from pathlib import Path

_STYLE = """
    text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328; }
    .title { font-weight: 600; font-size: 15px; }
    .small { font-size: 11px; }
    .faint { fill: #59636e; }
    .onbar { fill: #ffffff; font-size: 11px; }
    .paper { fill: #ffffff; }
    .room { fill: #f6f8fa; stroke: #8c959f; }
    .strong { fill: #ddf4ff; stroke: #0969da; }
    .line { stroke: #8c959f; fill: none; }
    .grid { stroke: #d1d9e0; }
    .arrow { stroke: #59636e; fill: none; stroke-width: 1.5; }
    .head { fill: #59636e; }
    .work { fill: #0969da; }
    .fault { fill: #bc4c00; }
    .wait { fill: none; stroke: #8c959f; stroke-dasharray: 3 3; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; } .faint { fill: #9198a1; } .onbar { fill: #ffffff; } .paper { fill: #0d1117; }
      .room { fill: #151b23; stroke: #656c76; } .strong { fill: #10233f; stroke: #4493f8; }
      .grid { stroke: #3d444d; } .arrow { stroke: #9198a1; } .head { fill: #9198a1; }
      .work { fill: #1f6feb; } .fault { fill: #bb5e12; }
    }
"""


class Canvas:
    """A picture of ``width`` by ``height`` pixels. ``title`` and ``description`` are for those who cannot see it."""

    def __init__(self, width: int, height: int, title: str, description: str) -> None:
        self._size = (width, height)
        self._parts = [
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(description)}</desc>",
            f"<style>{_STYLE}</style>",
            '<rect class="paper" width="100%" height="100%"/>',
        ]

    def rect(self, x: float, y: float, width: float, height: float, kind: str, *, round_by: float = 3) -> None:
        """A box of the style ``kind``."""
        box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        self._parts.append(f'<rect class="{kind}" {box} rx="{round_by}"/>')

    def text(self, x: float, y: float, words: str, kind: str = "", *, anchor: str = "start") -> None:
        """One line of text; ``y`` is its base line, ``anchor`` start, middle or end."""
        self._parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "line") -> None:
        """A straight line."""
        self._parts.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def arrow(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """A straight line across or down, with a head at its second end."""
        self.line(x1, y1, x2, y2, "arrow")
        dx, dy = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
        left = (x2 - 8 * dx - 4 * dy, y2 - 8 * dy - 4 * dx)
        right = (x2 - 8 * dx + 4 * dy, y2 - 8 * dy + 4 * dx)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (left, (x2, y2), right))
        self._parts.append(f'<polygon class="head" points="{points}"/>')

    def svg(self) -> str:
        """The whole picture as a document."""
        width, height = self._size
        shape = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        return "\n".join(
            [f'<svg xmlns="http://www.w3.org/2000/svg" {shape} role="img">', *(f"  {part}" for part in self._parts), "</svg>", ""]
        )

    def save(self, path: Path) -> None:
        """Write it."""
        path.write_text(self.svg(), encoding="utf-8")
        print(path)
