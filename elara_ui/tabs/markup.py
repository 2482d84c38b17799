"""Turning words into safe HTML.

Everything that a person or a model wrote passes through `escape` or `markdown` on its way to the page:
HTML in it shows as text, and images are never loaded (their address could carry data away).
"""

from functools import cache
from html import escape as escape_html
from uuid import uuid4

from markdown_it import MarkdownIt


@cache
def _parser() -> MarkdownIt:
    """Markdown without raw HTML and without images; links keep only safe schemes."""
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table").disable("image")


def escape(text: str) -> str:
    """Plain text for use in HTML, in attributes too."""
    return escape_html(text, quote=True)


def markdown(text: str) -> str:
    """A model's or person's Markdown as safe HTML."""
    rendered: str = _parser().render(text)
    return rendered.replace("<a href=", '<a target="_blank" rel="noopener noreferrer nofollow" href=')


def paragraphs(text: str) -> str:
    """Plain text as HTML that keeps its line breaks."""
    return escape(text.strip()).replace("\n", "<br>")


def notice(message: str, kind: str = "error") -> str:
    """A card that tells something.

    Args:
        message: plain text.
        kind: ``error``, ``info`` or ``good``.
    """
    role = "alert" if kind == "error" else "status"
    return f'<div class="el-notice el-{kind}" role="{role}">{paragraphs(message)}</div>'


def status_pill(status: str) -> str:
    """The status of a run or an adapter."""
    return f'<span class="el-status el-{escape(status)}">{escape(status)}</span>'


THUMB = (
    '<svg viewBox="0 0 18 18" width="15" height="15" fill="none" stroke="currentColor" stroke-width="1.4"'
    ' stroke-linejoin="round" aria-hidden="true"{turn}><path d="M2 8h3v8H2zM5 15.5V8l3.2-6c1.2 0 2 .8 2 2L9.6 7'
    'h5a1.6 1.6 0 0 1 1.5 2l-1.5 5.4a2 2 0 0 1-1.9 1.6H7z"/></svg>'
)
THUMB_UP = THUMB.format(turn="")
THUMB_DOWN = THUMB.format(turn=' style="transform:rotate(180deg)"')


def button(label: str, act: str, item: str = "", *, title: str = "") -> str:
    """A small button whose press reaches Python as an ``act`` event with ``act`` and ``item``."""
    return (
        f'<button type="button" class="el-act" data-act="{escape(act)}" data-item="{escape(item)}"'
        f' title="{escape(title or label)}">{escape(label)}</button>'
    )


def command_box(command: str) -> str:
    """A command to copy, for `ACT_SCRIPT`."""
    return (
        f'<div class="el-command" data-copy="{escape(command)}"><code>{escape(command)}</code>'
        f"{button('Copy', 'copy', title='Copy the command')}</div>"
    )


def thumb(act: str, item: str, *, pressed: bool) -> str:
    """A thumb ``up`` or ``down`` under an answer."""
    icon, title = (THUMB_UP, "Good answer") if act == "up" else (THUMB_DOWN, "Poor answer")
    return (
        f'<button type="button" class="el-act" data-act="{act}" data-item="{escape(item)}" title="{title}"'
        f' aria-label="{title}" aria-pressed="{str(pressed).lower()}">{icon}</button>'
    )


ACT_SCRIPT = """
element.addEventListener('click', async (event) => {
  const pressed = event.target.closest('[data-act]');
  if (!pressed || pressed.disabled) return;
  const act = pressed.dataset.act;
  if (act === 'copy') {
    const source = pressed.closest('[data-copy]');
    try { await navigator.clipboard.writeText(source.dataset.copy); }
    catch {
      const box = document.createElement('textarea');
      box.value = source.dataset.copy; document.body.append(box); box.select();
      document.execCommand('copy'); box.remove();
    }
    const label = pressed.textContent; pressed.textContent = 'Copied';
    setTimeout(() => { pressed.textContent = label; }, 1200);
    return;
  }
  if (act === 'edit' || act === 'undo' || pressed.closest('#caution')) document.querySelector('#question textarea')?.focus();
  trigger('act', {act: act, item: pressed.dataset.item});
});
"""


def download_link(name: str, text: str) -> str:
    """A file for `DOWNLOAD_SCRIPT` to hand to the browser; the same file again counts as a new one."""
    return f'<span data-nonce="{uuid4().hex}" data-name="{escape(name)}" data-text="{escape(text)}" hidden></span>'


# The file goes straight from the event's answer to the browser: nothing is written to the server's file
# cache, where every user of the page could read it.
DOWNLOAD_SCRIPT = """
watch('value', () => {
  const file = element.querySelector('[data-name]');
  if (!file) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([file.dataset.text], {type: 'text/plain;charset=utf-8'}));
  link.download = file.dataset.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
"""
