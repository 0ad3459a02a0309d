// Making elements, and writing numbers. Text is only ever put in as text, never as markup.

const SVG = 'http://www.w3.org/2000/svg';
// Controls and what changes the direction of writing, which would make a line say something else than it does.
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/g;

const shown = (text) =>
  text.replace(/[\ud800-\udbff][\udc00-\udfff]|[^]/g, (char) =>
    char.length === 2 ? char : char.replace(UNPRINTABLE, (one) => `\\u{${one.charCodeAt(0).toString(16)}}`),
  );

const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'style') Object.entries(value).forEach(([key, text]) => node.style.setProperty(key, text));
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
};
const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const button = (text, onclick, attributes = {}) => el('button', { type: 'button', onclick, ...attributes }, text);

const choice = (label, options, value, onchange, attributes = {}) =>
  el(
    'label',
    { class: 'choice' },
    `${label} `,
    el(
      'select',
      { onchange: (event) => onchange(event.target.value), ...attributes },
      options.map(([key, text]) => el('option', { value: key, selected: String(key) === String(value) }, text)),
    ),
  );

const facts = (pairs) =>
  el(
    'dl',
    { class: 'facts' },
    pairs
      .filter(([, value]) => value !== null && value !== undefined && value !== '')
      .map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
  );

// -- numbers --

const UNKNOWN = '\u2013';
const count = (value) => (value === null || value === undefined ? UNKNOWN : value.toLocaleString('en'));
const brief = (value) => {
  if (value === null || value === undefined) return UNKNOWN;
  const [divisor, unit] = [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e4, 'k'],
  ].find(([least]) => value >= least) ?? [1, ''];
  if (unit === '') return count(value);
  const scaled = value / (unit === 'k' ? 1e3 : divisor);
  return `${scaled.toPrecision(scaled >= 100 ? Math.ceil(Math.log10(scaled + 1)) : 3)} ${unit}`;
};
const bytes = (value) => {
  if (value < 1024) return `${count(value)} B`;
  const power = Math.min(3, Math.floor(Math.log2(value) / 10));
  const scaled = value / 1024 ** power;
  const digits = Number.isInteger(scaled) || scaled >= 100 ? 0 : 1;
  return `${scaled.toFixed(digits)} ${['', 'KiB', 'MiB', 'GiB'][power]}`;
};
const percent = (share) => {
  if (!share) return '0 %';
  return share < 0.0005 ? '< 0.1 %' : `${(share * 100).toFixed(share < 0.9995 ? 1 : 0)} %`;
};
const duration = (nanoseconds) => {
  if (nanoseconds < 1e3) return `${nanoseconds} ns`;
  if (nanoseconds < 1e6) return `${(nanoseconds / 1e3).toPrecision(3)} \u00b5s`;
  if (nanoseconds < 1e9) return `${(nanoseconds / 1e6).toPrecision(3)} ms`;
  return `${(nanoseconds / 1e9).toFixed(2)} s`;
};
const plural = (number, word) => `${count(number)} ${word}${number === 1 ? '' : 's'}`;

// -- what is said where the pointer is --

const tip = {
  show(event, ...lines) {
    const box = document.getElementById('tip');
    box.replaceChildren(
      ...lines
        .flat()
        .filter((line) => line)
        .map((line) => el('div', {}, line)),
    );
    box.hidden = false;
    const left = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8);
    const below = event.clientY + 16 + box.offsetHeight < innerHeight;
    box.style.left = `${Math.max(8, left)}px`;
    box.style.top = `${below ? event.clientY + 16 : Math.max(8, event.clientY - box.offsetHeight - 10)}px`;
  },
  hide() {
    document.getElementById('tip').hidden = true;
  },
};
