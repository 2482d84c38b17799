"""How runs look: pure functions from services' values to HTML."""

from collections.abc import Collection, Sequence

from db.vocabulary import RunFailure, RunStatus
from elara_ui.services.run_views import Comparison, Remedy, RunView, SampleAnswer
from elara_ui.tabs.markup import button, command_box, escape, notice, status_pill
from elara_ui.tabs.run_charts import LETTERS

MIB, GIB = 2**20, 2**30
OTHER_LOSSES = (
    "These runs have different objectives, so their losses measure different things: don't compare them."
)
BETTER_CHANGED = (RunFailure.OUT_OF_MEMORY, RunFailure.NOT_A_NUMBER)  # they come again with the same settings


def render_runs(
    runs: Sequence[RunView], shown_id: str | None, picked: Collection[str] = (), removing: str | None = None
) -> str:
    """Every run, newest first; the one looked at is marked.

    Args:
        runs: what to list.
        shown_id: the run looked at.
        picked: chosen for comparison.
        removing: the run whose removal has to be confirmed.
    """
    if not runs:
        return '<p class="el-muted">No runs yet. Start one on the left; it takes minutes on a laptop.</p>'
    rows = "".join(_render_row(run, run.run_id == shown_id, run.run_id in picked, removing) for run in runs)
    return f'<div class="el-runs">{rows}</div>'


def _render_row(run: RunView, shown: bool, picked: bool, removing: str | None) -> str:
    name = f"{escape(run.audience)} · {escape(run.adapter or run.run_id)}"
    place = f"place {run.place} in the queue · " if run.place else ""
    return (
        f'<div class="el-run-row"{" data-shown" if shown else ""}>'
        f'<button type="button" role="checkbox" class="el-pick" data-act="pick" data-item="{run.run_id}"'
        f' aria-checked="{str(picked).lower()}" aria-label="Compare run {run.run_id}" title="Compare"></button>'
        f'<button type="button" class="el-row el-run" data-act="open" data-item="{run.run_id}"'
        f"{' aria-current=true' if shown else ''}>"
        f'<span><span class="el-row-title">{name}</span>'
        f'<span class="el-row-sub">{place}{run.created_at:%Y-%m-%d %H:%M} UTC · {run.rows} rows from '
        f"{escape(run.source)}</span></span>{status_pill(run.status)}</button>"
        f'<span class="el-run-acts">{_render_acts(run, removing)}</span></div>'
    )


def _render_acts(run: RunView, removing: str | None) -> str:
    """What can be done with a run from the list: arrange it while it waits, remove what made no adapter."""
    if run.run_id == removing:
        return button("Remove for good", "remove", run.run_id) + button("Keep", "keep", run.run_id)
    acts = ""
    if run.place:
        if run.place > 1:
            acts += button("1st", "first", run.run_id, title="Next in the queue")
            acts += button("↑", "up", run.run_id, title="Up in the queue")
        acts += button("↓", "down", run.run_id, title="Down in the queue")
    if run.adapter is None and run.status is not RunStatus.RUNNING:
        acts += button("✕", "ask_remove", run.run_id, title="Remove this run and its folder")
    return acts


def render_run(run: RunView) -> str:
    """The state of one run and its figures."""
    total = run.total_steps or 0
    share = 100 if run.status is RunStatus.SUCCEEDED else round(100 * run.step / total) if total else 0
    memory = run.last("memory_bytes")
    figures = [
        ("step", f"{run.step}{f' / {total}' if total else ''}"),
        ("epoch", f"{run.epoch:.2f}"),
        ("training loss", _number(run.train_loss)),
        ("held-out loss", _number(run.eval_loss)),
        ("learning rate", _short(run.last("learning_rate"))),
        ("gradient norm", _short(run.last("grad_norm"))),
        ("tokens/s, padded", _pace(run.tokens_per_second, run.last("padded_tokens_per_second"))),
        ("memory", "–" if memory is None else _size(memory)),
        *_list_rewards(run),
        ("time taken", _duration(run.seconds)),
        ("time left", _duration(run.remaining_seconds)),
    ]
    cells = "".join(
        f'<div class="el-figure"><b>{value}</b><span>{name}</span></div>' for name, value in figures
    )
    result = f" · made <strong>{escape(run.adapter)}</strong>" if run.adapter else ""
    return (
        f'<div class="el-card" role="status"><h3>{escape(run.audience)} · run {run.run_id} '
        f'{status_pill(run.status)}</h3><p class="el-muted">{escape(run.stage)}{result} · '
        f"on {escape(run.base_model)} · stored set {escape(run.snapshot)}</p>"
        f'<div class="el-figures">{cells}</div><div class="el-progress"><span style="width:{share}%"></span></div>'
        f"{_render_trouble(run)}{_render_advice(run)}{_render_command(run)}</div>"
    )


def _list_rewards(run: RunView) -> list[tuple[str, str]]:
    """Of runs by preferences, the latest held-out figures; before there are any, those of training."""
    found = []
    for name, label in (("reward_accuracy", "reward accuracy"), ("reward_margin", "reward margin")):
        held_out = run.last(f"eval_{name}")
        value = run.last(name) if held_out is None else held_out
        if value is not None:
            found.append((f"{label}, {'training' if held_out is None else 'held-out'}", _number(value)))
    return found


def _render_command(run: RunView) -> str:
    if not run.command:
        return ""
    return f'<p class="el-muted el-same">The same from a terminal:</p>{command_box(run.command)}'


def _render_trouble(run: RunView) -> str:
    if not run.error:
        return _render_ways_on(run)
    named = f'<p class="el-failure">{escape(run.failure.replace("_", " "))}</p>' if run.failure else ""
    tail = (
        f'<details class="el-last-words" open><summary>Last lines of the log</summary>'
        f'<pre class="el-log" tabindex="0">{escape(run.log_tail)}</pre></details>'
        if run.log_tail
        else ""
    )
    return f"{named}{notice(run.error)}{_render_ways_on(run)}{tail}"


def _render_ways_on(run: RunView) -> str:
    """What a run that has stopped can do, what helps most first: go on, or start again with a remedy."""
    if not run.resumable:
        return ""
    step = run.checkpoint_step
    label = f"Resume from step {step}" if step else "Resume from the beginning"
    told = (
        f"as it was set, from its checkpoint at step {step}"
        if step
        else "as it was set; it kept no checkpoint"
    )
    resume = (
        f'<button type="button" class="el-remedy" data-act="resume" data-item="{run.run_id}" '
        f'title="{told}">{label}</button>'
    )
    changed = _render_remedies(run, run.remedies)
    if changed and run.failure in BETTER_CHANGED:
        return (
            f'{changed}<div class="el-remedies"><span class="el-muted">Or as it was set</span>{resume}</div>'
        )
    return f'<div class="el-remedies">{resume}</div>{changed}'


def _render_advice(run: RunView) -> str:
    if run.status.ended and run.status is not RunStatus.SUCCEEDED:
        return ""
    return "".join(
        notice(advice.message, "info") + _render_remedies(run, advice.remedies) for advice in run.advice
    )


def _render_remedies(run: RunView, remedies: Sequence[Remedy]) -> str:
    """A button each, that starts the run again with the remedy's settings."""
    if not remedies:
        return ""
    lead = "Start again with" if run.status.ended else "Stop and start again with"
    if run.failure is RunFailure.INTERRUPTED:
        lead = "If memory ran out, start again with"
    buttons = "".join(
        f'<button type="button" class="el-remedy" data-act="retry" '
        f'data-item="{run.run_id} {escape(remedy.label)}" '
        f'title="{escape(_settings(remedy))}">{escape(remedy.label)}</button>'
        for remedy in remedies
    )
    return f'<div class="el-remedies"><span class="el-muted">{lead}</span>{buttons}</div>'


def _settings(remedy: Remedy) -> str:
    return ", ".join(f"{name} = {value}" for name, value in remedy.values.items())


def render_samples(samples: Sequence[SampleAnswer]) -> str:
    """What the model answered to the fixed questions: the base model beside the latest, and all between."""
    if not samples:
        return ""
    probes = dict.fromkeys(sample.probe for sample in samples)
    blocks = "".join(
        _render_probe(probe, [sample for sample in samples if sample.probe == probe]) for probe in probes
    )
    return f'<div class="el-card el-probes"><h3>Sample answers</h3>{blocks}</div>'


def _render_probe(probe: str, answers: Sequence[SampleAnswer]) -> str:
    first, last = answers[0], answers[-1]
    pair = [first] if first is last else [first, last]
    between = answers[1:-1]
    more = (
        f"<details><summary>{len(between)} between</summary>"
        f'<div class="el-answers">{"".join(map(_render_sample, between))}</div></details>'
        if between
        else ""
    )
    return (
        f'<div class="el-probe"><p class="el-probe-question">{escape(probe)}</p>'
        f'<div class="el-answers">{"".join(map(_render_sample, pair))}</div>{more}</div>'
    )


def _render_sample(sample: SampleAnswer) -> str:
    when = f"step {sample.step}" if sample.step else "before training"
    return f"<div><span>{when}</span><p>{escape(sample.text) or '(nothing)'}</p></div>"


def render_comparison(comparison: Comparison) -> str:
    """Final figures of the runs, and the choices in which they differ."""
    names = list(zip(LETTERS, comparison.runs, strict=False))
    figures = "".join(_render_compared(letter, run) for letter, run in names)
    titles = (
        "Run", "Status", "Steps", "Training loss", "Held-out loss", "Best held-out", "Before training", "Tokens/s",
        "Peak memory", "Time", "Adapter",
    )  # fmt: skip
    heads = "".join(f'<th><button type="button" data-sort>{title}</button></th>' for title in titles)
    differences = "".join(
        f"<tr><td>{escape(row.name)}</td>{''.join(f'<td>{escape(value)}</td>' for value in row.values)}</tr>"
        for row in comparison.differences
    )
    letters = "".join(f"<th>{_letter(letter)}</th>" for letter, _ in names)
    objectives = {str(run.hyperparameters.get("objective", "sft")) for _, run in names}
    warned = notice(OTHER_LOSSES, "info") if len(objectives) > 1 else ""
    chosen = (
        f'<h3>What was chosen differently</h3><div class="el-table-box"><table class="el-table"><thead><tr>'
        f"<th>Setting</th>{letters}</tr></thead><tbody>{differences}</tbody></table></div>"
        if differences
        else '<p class="el-muted">Same audience, base model, stored set and settings.</p>'
    )
    return (
        f'{warned}<div class="el-compared"><div class="el-table-box"><table class="el-table el-sortable"><thead><tr>{heads}'
        f"</tr></thead><tbody>{figures}</tbody></table></div>{chosen}</div>"
    )


def _render_compared(letter: str, run: RunView) -> str:
    def cell(shown: str, value: float | None) -> str:
        return f'<td data-value="{"" if value is None else value}">{shown}</td>'

    memory = run.peak_memory
    return (
        f"<tr><td>{_letter(letter)} {escape(run.audience)} {run.run_id}</td><td>{status_pill(run.status)}</td>"
        + cell(f"{run.step}{f' / {run.total_steps}' if run.total_steps else ''}", run.step)
        + cell(_number(run.train_loss), run.train_loss)
        + cell(_number(run.eval_loss), run.eval_loss)
        + cell(_number(run.best_loss), run.best_loss)
        + cell(_number(run.base_loss), run.base_loss)
        + cell(_whole(run.tokens_per_second), run.tokens_per_second)
        + cell("–" if memory is None else _size(memory), memory)
        + cell(_duration(run.seconds), run.seconds)
        + f"<td>{escape(run.adapter or '–')}</td></tr>"
    )


def _letter(letter: str) -> str:
    return f'<b class="el-letter el-letter-{letter.lower()}">{letter}</b>'


def render_log(text: str) -> str:
    """The last lines of the run's own log."""
    return f'<pre class="el-log" tabindex="0">{escape(text) or "Nothing written yet."}</pre>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _pace(useful: float | None, padded: float | None) -> str:
    """Useful tokens a second, and those with padding where they are known."""
    return _whole(useful) if padded is None else f"{_whole(useful)}, {padded:.0f}"


def _size(value: float) -> str:
    return f"{value / GIB:.1f} GiB" if value >= GIB else f"{value / MIB:.0f} MiB"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    )


SORT_SCRIPT = """
element.addEventListener('click', (event) => {
  const pressed = event.target.closest('[data-sort]');
  if (!pressed) return;
  const head = pressed.closest('th'), table = head.closest('table'), column = head.cellIndex;
  const down = head.getAttribute('aria-sort') === 'ascending';
  table.querySelectorAll('th').forEach((each) => each.removeAttribute('aria-sort'));
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === '' || y === '') return (x === '') - (y === '');
    const [p, q] = [Number(x), Number(y)];
    const found = Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y) : p - q;
    return down ? -found : found;
  };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
});
"""
