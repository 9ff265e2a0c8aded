// How numbers, times and states are written. What Redis does not know is the empty string, and is shown as a dash.
const unknown = '–';
const has = (value) => value !== undefined && value !== null && value !== '';
const number = (value) => (has(value) ? Number(value) : NaN);
const grouped = (value) => (has(value) ? Math.round(number(value)).toLocaleString('en-US') : unknown);
const rate = (value) => (has(value) ? grouped(value) + '/s' : unknown);
// Rounded down: 100 % is said of all, not of nearly all.
const percent = (part) => {
  const digits = part > 0 && part < 0.001 ? 3 : 1;
  return (Math.floor(100 * part * 10 ** digits + 1e-6) / 10 ** digits).toFixed(digits) + ' %';
};

function duration(seconds) {
  if (!has(seconds) || Number.isNaN(Number(seconds))) return unknown;
  const s = Math.max(0, Math.round(Number(seconds)));
  if (s < 60) return s + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min ' + (s % 60) + ' s';
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor((s % 3600) / 60) + ' min';
  return Math.floor(s / 86400) + ' d ' + Math.floor((s % 86400) / 3600) + ' h';
}

const moment = (ms) => (has(ms) ? new Date(Number(ms)).toISOString().replace('T', ' ').slice(0, 19) + ' UTC' : unknown);
const clock = (ms) => new Date(Number(ms)).toISOString().slice(11, 19);

// An element with text or children; text never becomes markup.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

const byId = (id) => document.getElementById(id);
const setText = (id, text) => {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
};

// columns: [title, numeric]; rows: arrays of text or nodes.
function table(caption, columns, rows, cards = true) {
  const head = element('tr', {}, ...columns.map(([title, numeric]) =>
    element('th', { scope: 'col', ...(numeric && { class: 'number' }) }, title)));
  const body = rows.map((row) => element('tr', {}, ...row.map((cell, i) =>
    element('td', { 'data-label': columns[i][0], ...(columns[i][1] && { class: 'number' }) }, cell))));
  return element('table', cards ? { class: 'cards', 'aria-label': caption } : { 'aria-label': caption },
    element('thead', {}, head), element('tbody', {}, ...body));
}

const empty = (text) => element('p', { class: 'empty' }, text);

function bar(share, label, isDone) {
  const made = element('div', {
    class: 'bar small' + (isDone ? ' good' : ''), role: 'progressbar', 'aria-label': label,
    'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': String(Math.round(100 * share)),
  }, element('span'));
  made.firstChild.style.width = (100 * share).toFixed(1) + '%';
  return made;
}
