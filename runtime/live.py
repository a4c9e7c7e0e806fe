"""What the user sees while a run works: a live picture on a terminal, plain lines elsewhere.

Everything on the picture comes from the log of events: products on their way, who owns each agent in which epoch and what it did last,
and every recovery with its times.
"""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, ConsoleRenderable, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from projections.run_summary import AgentProgress, Progress
from projections.views import Recovery

NEWS_KEPT = 8
LOW_NEWS_KEPT = 3
BAR_WIDTH = 34
PLAIN_EVERY_S = 1.0


class LiveView:
    """Progress of one run on stderr. Use as a context manager; `progress` and `say` are the callbacks of the runner."""

    def __init__(self, console: Console, title: str, quiet: bool = False) -> None:
        self._console = console
        self._title = title
        self._quiet = quiet
        self._begun = time.monotonic()
        self._news: list[str] = []
        self._last: Progress | None = None
        self._printed_at = 0.0
        self._recoveries = 0
        self._live = None if quiet or not console.is_terminal else Live(console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> LiveView:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            if self._last is not None:
                self._live.update(self._picture(self._last))
            self._live.stop()

    def progress(self, progress: Progress) -> None:
        """Take the newest progress in."""
        self._last = progress
        if self._live is not None:
            self._live.update(self._picture(progress))
            return
        now = time.monotonic()
        for recovery in progress.recoveries[self._recoveries :]:
            if recovery.resumed_ms is None:
                break
            self._recoveries += 1
            self.say(recovery_line(recovery))
        if now - self._printed_at >= PLAIN_EVERY_S:
            self._printed_at = now
            self._line(
                f"{self._elapsed()} {_status(progress)}: {progress.ended}/{progress.products} products, "
                f"{progress.steps_done}/{progress.steps_total} steps" + (f", {progress.failed} failed" if progress.failed else "")
            )

    def say(self, line: str) -> None:
        """Show a piece of news."""
        self._news.append(f"{self._elapsed()} {line}")
        if self._live is None:
            self._line(self._news[-1])
        elif self._last is not None:
            self._live.update(self._picture(self._last))

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _line(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._begun:6.2f} s"

    def _picture(self, progress: Progress) -> Panel:
        lines = [recovery_line(recovery) for recovery in progress.recoveries[-NEWS_KEPT:] if recovery.resumed_ms is not None]
        news = [*self._news[-NEWS_KEPT:], *lines]
        # What does not fit below is cut, so news stand above the agents, and a low terminal gets no bar for each step.
        is_low = self._console.height < len(progress.steps) + len(progress.agents) + 2 * len(news) + 9
        parts: list[ConsoleRenderable] = [self._bars(progress, with_steps=not is_low), Text()]
        if news:
            parts += [Text("\n".join(news[-LOW_NEWS_KEPT:] if is_low else news), style="yellow"), Text()]
        parts.append(self._agents(progress))
        subtitle = f"{_status(progress)} · {self._elapsed().strip()}"
        return Panel(Group(*parts), title=self._title, subtitle=subtitle, padding=(0 if is_low else 1, 2))

    @staticmethod
    def _bars(progress: Progress, *, with_steps: bool) -> Table:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right")
        grid.add_column()
        grid.add_column()
        failed = f", {progress.failed} failed" if progress.failed else ""
        rows = [("products", progress.ended, progress.products, f"{progress.ended} of {progress.products}{failed}")]
        if not with_steps:
            rows.append(("steps", progress.steps_done, progress.steps_total, f"{progress.steps_done} of {progress.steps_total}"))
        for step in progress.steps if with_steps else ():
            in_hand = f", {step.in_hand} in hand" if step.in_hand else ""
            rows.append((step.name.lower().replace("_", " "), step.done, step.total, f"{step.done} of {step.total}{in_hand}"))
        for name, done, total, text in rows:
            style = "bold" if name == "products" else ""
            grid.add_row(Text(name, style=style), ProgressBar(max(total, 1), done, width=BAR_WIDTH), Text(text, style=style))
        return grid

    @staticmethod
    def _agents(progress: Progress) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for name, justify in (
            ("agent", "left"),
            ("epoch", "right"),
            ("process", "right"),
            ("status", "left"),
            ("last event", "left"),
        ):
            table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=name != "last event")
        for agent in progress.agents:
            style = "" if agent.status == "ready" else "yellow"
            last = Text(_last(agent), no_wrap=True, overflow="ellipsis")  # the one column that may be cut where all is narrow
            epoch = Text(str(agent.epoch), style="bold yellow" if agent.epoch > 1 else "")
            table.add_row(agent.agent, epoch, str(agent.pid), Text(agent.status, style=style), last)
        return table


def _status(progress: Progress) -> str:
    return "starting" if progress.status == "requested" else progress.status


def _last(agent: AgentProgress) -> str:
    if agent.last_event is None or agent.last_stream is None:
        return ""
    return f"{agent.last_event.rpartition('.')[2]} · {'-'.join(agent.last_stream.split('-')[3:]) or agent.last_stream}"


def recovery_line(recovery: Recovery) -> str:
    """A recovery as a sentence."""
    found = f"found by {recovery.detected_by}" + (
        f" after {recovery.detected_ms:.0f} ms" if recovery.detected_ms is not None else ""
    )
    back = f", back at work after {recovery.resumed_ms:.0f} ms" if recovery.resumed_ms is not None else ""
    return f"{recovery.agent} recovered: epoch {recovery.old_epoch} → {recovery.new_epoch}, {found}{back}"
