// The reviewer's desk: keys, drafts and verdicts. Runs in the rubric's gr.HTML (`element`, `trigger`, `watch`).
//
// The page's words come from Python; this file only reads and fills fields, moves the focus, and sends
// {act, item, content} to Python. It never decides what a valid judgement is: the service does, and says so.

window.elaraDesk?.abort();  // a desk that Gradio mounted before
const listening = new AbortController();
window.elaraDesk = listening;

const TEXT = 'textarea, select, [contenteditable="true"], input:not([type="radio"]):not([type="checkbox"])';
const VERDICTS = {a: 'accept', e: 'accept_with_edit', r: 'reject', o: 'out_of_scope'};
const ACTS = {s: 'skip', u: 'undo', b: 'back', f: 'flags', c: 'comment', x: 'correct', '?': 'keys'};
const HARMLESS = ['', 'none'];
const TYPING_PAUSE = 500, PATIENCE = 5000;  // ms

let last = '';      // the axis that was in use
let timer = null;   // of the draft that waits to be sent
let sent = 0;       // number of the draft sent last
let waiting = 0;    // until when a verdict may be under way, ms since 1970
let judged = '';    // whose draft this browser may forget once the next item is shown

const root = () => document.querySelector('#review-queue');
const find = (selector) => root()?.querySelector(selector);
const all = (selector) => [...(root()?.querySelectorAll(selector) ?? [])];
const form = () => find('.el-rubric');
const rows = () => all('.el-rubric [data-axis]').filter((row) => !row.hasAttribute('data-off'));
const chosen = (row) => row?.querySelector('input:checked')?.value ?? '';
const field = (name) => find(`textarea[name="${name}"]`);
const key = () => `elara-draft ${form().dataset.reviewer} ${form().dataset.item}`;

// Reading and filling

function read() {
  const content = {};
  for (const row of all('.el-rubric [data-axis]')) {
    const values = [...row.querySelectorAll('input:checked')].map((input) => input.value);
    content[row.dataset.axis] = row.dataset.many ? values : values[0] ?? null;
  }
  for (const text of all('textarea[name]')) content[text.name] = text.value;
  return content;
}

function fill(content) {
  for (const row of all('.el-rubric [data-axis]')) {
    const values = [content[row.dataset.axis] ?? []].flat();
    for (const input of row.querySelectorAll('input')) input.checked = values.includes(input.value);
  }
  for (const text of all('textarea[name]')) {
    text.value = content[text.name] ?? text.dataset.original ?? '';
    grow(text);
  }
  askLikelihood();
}

function askLikelihood() {
  const row = find('[data-axis="harm_likelihood"]');
  if (!row) return;
  const off = HARMLESS.includes(chosen(find('[data-axis="harm"]')));
  row.toggleAttribute('data-off', off);
  for (const input of row.querySelectorAll('input')) {
    input.disabled = off;
    if (off) input.checked = false;
  }
}

function grow(text) {
  text.style.height = 'auto';
  if (text.scrollHeight) text.style.height = `${text.scrollHeight + 2}px`;
}

const isCorrected = () => {
  const text = field('correction');
  return Boolean(text) && text.value.trim() !== '' && text.value.trim() !== text.dataset.original.trim();
};

// Drafts: kept in this browser at once, at the server a moment later, and forgotten here when it has them

function keep(pause) {
  if (!form() || isWaiting()) return;
  store(key(), JSON.stringify(read()));
  say('Saving…');
  clearTimeout(timer);
  timer = setTimeout(save, pause);
}

function save() {
  clearTimeout(timer);
  timer = null;
  if (!form()) return;
  sent = Date.now();
  send('draft', {content: read(), number: sent});
}

function stored(name) {
  try { return localStorage.getItem(name); } catch { return null; }
}

function store(name, text) {
  try { text === null ? localStorage.removeItem(name) : localStorage.setItem(name, text); } catch { /* full or forbidden */ }
}

const say = (words) => { const line = find('.el-saved'); if (line) line.textContent = words; };

const send = (act, more = {}) => trigger('act', {act, item: form()?.dataset.item ?? '', ...more});

// Moving about

function mark(row) {
  for (const other of rows()) other.toggleAttribute('data-current', other === row);
  if (row) last = row.dataset.axis;
  const ask = find('.el-ask');
  if (ask) ask.textContent = row?.querySelector('.el-line-head span')?.textContent ?? '';
}

function go(row) {
  mark(row);
  (row?.querySelector('input:checked') ?? row?.querySelector('input'))?.focus({preventScroll: true});
  row?.scrollIntoView({block: 'nearest'});
}

function rest() {
  mark(null);
  last = '';
  find('.el-verdicts')?.focus({preventScroll: true});
}

function current() {
  const active = document.activeElement?.closest('[data-axis]');
  if (active) return active;
  return rows().find((row) => row.dataset.axis === last) ?? null;
}

function step(by) {
  const among = rows(), row = current();
  const next = row ? among.indexOf(row) + by : by > 0 ? 0 : among.length - 1;
  if (among[next]) go(among[next]);
}

const unanswered = () => rows().find((row) => !row.dataset.many && !chosen(row));

function answer(digit) {
  const row = current(), input = row?.querySelectorAll('input')[digit - 1];
  if (!input) return;
  input.checked = row.dataset.many ? !input.checked : true;
  input.dispatchEvent(new Event('change', {bubbles: true}));
  if (row.dataset.many || form().dataset.kind === 'pair') return go(row);
  const among = rows(), next = among[among.indexOf(row) + 1];
  if (next && !next.dataset.many) return go(next);
  unanswered() ? go(unanswered()) : rest();
}

function slide(by) {
  const row = current();
  if (!row || row.dataset.many) return;
  const inputs = [...row.querySelectorAll('input')];
  const at = inputs.findIndex((input) => input.checked);
  const input = inputs[at < 0 ? (by > 0 ? 0 : inputs.length - 1) : at + by];
  if (!input) return;
  input.checked = true;
  input.dispatchEvent(new Event('change', {bubbles: true}));
  go(row);
}

// What can be done. Until Python has answered, nothing else is: keys meant for the next task don't change this one

function wait() {
  waiting = Date.now() + PATIENCE;
  find('#review-desk')?.setAttribute('aria-busy', 'true');
}

function stopWaiting() {
  waiting = 0;
  find('#review-desk')?.removeAttribute('aria-busy');
}

const isWaiting = () => Date.now() < waiting;

function submit(disposition) {
  if (!form() || isWaiting()) return;
  if (disposition === 'accept_with_edit' && !isCorrected()) return correct();
  wait();
  judged = key();
  clearTimeout(timer);
  timer = null;
  send('submit', {disposition, content: read()});
  if (disposition !== 'out_of_scope' && unanswered()) go(unanswered());
}

function leave(act) {
  if (isWaiting()) return;
  if (timer) save();
  wait();
  send(act);
}

function correct() {
  const text = field('correction');
  if (!text) return;
  find('.el-exam').setAttribute('data-editing', '');
  grow(text);
  text.focus();
}

function act(name) {
  if (name === 'keys') return find('.el-keys')?.showModal();
  if (name === 'close') return find('.el-keys')?.close();
  if (name === 'flags') return go(find('[data-axis="flags"]'));
  if (name === 'comment') return (field('comment') ?? field('reason'))?.focus();
  if (name === 'correct') return correct();
  if (name === 'restore') {
    const text = field('correction');
    text.value = text.dataset.original;
    find('.el-exam').removeAttribute('data-editing');
    return keep(0);
  }
  if (['skip', 'undo', 'back', 'look'].includes(name)) return leave(name);
}

// Listening

const on = (event, listen) => document.addEventListener(event, listen, {signal: listening.signal});
const isOurs = (target) => target instanceof Element && root()?.contains(target);

on('click', (event) => {
  if (!isOurs(event.target)) return;
  const pressed = event.target.closest('[data-act], [data-verdict]');
  if (!pressed || pressed.disabled) return;
  pressed.dataset.verdict ? submit(pressed.dataset.verdict) : act(pressed.dataset.act);
});

on('change', (event) => {
  if (!isOurs(event.target)) return;
  if (event.target.matches('.el-keys-on')) return store('elara-keys', event.target.checked ? null : 'off');
  if (!event.target.closest('[data-axis]')) return;
  if (event.target.closest('[data-axis="harm"]')) askLikelihood();
  keep(0);
});

on('input', (event) => {
  if (!isOurs(event.target) || !event.target.matches('textarea[name]')) return;
  grow(event.target);
  keep(TYPING_PAUSE);
});

on('focusin', (event) => {
  if (isOurs(event.target)) { const row = event.target.closest('[data-axis]'); if (row) mark(row); }
});

on('focusout', (event) => {
  if (!isOurs(event.target) || !event.target.matches('textarea[name]')) return;
  if (event.target.name === 'correction') find('.el-exam')?.removeAttribute('data-editing');
  if (timer) save();
});

on('visibilitychange', () => { if (document.hidden && timer) save(); });

on('keydown', (event) => {
  const queue = root();
  if (!queue?.offsetParent || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.defaultPrevented || document.querySelector('dialog[open]')) return;
  if (event.target.closest?.(TEXT)) {
    if (event.key !== 'Escape' || !isOurs(event.target)) return;
    event.preventDefault();
    event.target.blur();
    return last && current() ? go(current()) : rest();
  }
  if (isWaiting() || handle(event)) event.preventDefault();
});

function handle(event) {
  const ours = event.target === document.body || isOurs(event.target), moves = {ArrowDown: 1, ArrowUp: -1};
  if (ours && event.key in moves) return step(moves[event.key]), true;
  if (ours && ['ArrowLeft', 'ArrowRight'].includes(event.key)) return slide(event.key === 'ArrowRight' ? 1 : -1), true;
  if (event.repeat || stored('elara-keys') === 'off') return false;
  if (ours && event.key === 'Enter' && form()?.dataset.kind === 'pair' && !event.target.closest('button, summary, a'))
    return submit('choose'), true;
  const pressed = event.key.toLowerCase();
  if (/^[1-4]$/.test(pressed) && form()) return answer(Number(pressed)), true;
  if (pressed in VERDICTS && form()?.dataset.kind === 'rating') return submit(VERDICTS[pressed]), true;
  if (pressed in ACTS) return act(ACTS[pressed]), true;
  return false;
}

// Python has answered

function paint() {
  const shown = form();
  clearTimeout(timer);
  timer = null;
  stopWaiting();
  const keys = find('.el-keys-on');
  if (keys) keys.checked = stored('elara-keys') !== 'off';
  if (judged && !find('#review-trouble [role="alert"]')) store(judged, null);
  judged = '';
  if (!shown) return;
  const kept = JSON.parse(stored(key()));
  find('.el-exam')?.removeAttribute('data-editing');
  fill(kept ?? JSON.parse(shown.dataset.draft));
  say('');
  if (kept) keep(0);
  const elsewhere = document.activeElement?.closest(TEXT);
  if (!root().offsetParent || (elsewhere && !isOurs(elsewhere))) return;
  last = '';
  unanswered() ? go(unanswered()) : rest();
  const exam = find('.el-exam');
  // Reading begins at the question: the marked line may lie a screen or two beneath it.
  exam?.scrollIntoView({block: exam.getBoundingClientRect().top < 0 ? 'start' : 'nearest'});
}

watch('value', () => setTimeout(paint));
on('elara:answered', () => {
  if (find('#review-trouble [role="alert"]')) {
    stopWaiting();
    judged = '';
  }
  const saved = find('[data-saved]')?.dataset.saved;
  if (saved !== String(sent) || timer || !form()) return;
  store(key(), null);
  say('Draft saved');
});
setTimeout(paint);
