// When units were translated and when they died, and everything else that happened to the cache.

const BINS = 96;
const EVENT_KINDS = ['install', 'death', 'link', 'unlink', 'evict', 'flush', 'batch', 'mixed'];

// A chart of translations (up) and deaths by reason (down). axis: "time" or "instructions".
const timeChart = (app, { height, axis = 'time', onbin = null, chosen = null }) => {
  const { recording } = app;
  const end = Math.max(
    1,
    recording.data.taken[axis],
    ...recording.units.slice(-1).map((unit) => (axis === 'time' ? unit.born : unit.born_at)),
  );
  const bins = Array.from({ length: BINS }, () => ({ born: 0, died: {}, deaths: 0 }));
  const binOf = (at) => bins[Math.max(0, Math.min(BINS - 1, Math.floor((at / end) * BINS)))];
  for (const unit of recording.units) {
    binOf(axis === 'time' ? unit.born : unit.born_at).born += 1;
    if (unit.death) {
      const bin = binOf(unit.death[axis]);
      bin.died[unit.reason] = (bin.died[unit.reason] ?? 0) + 1;
      bin.deaths += 1;
    }
  }
  const reasons = reasonsOf(recording.units);
  const [up, down] = [Math.max(...bins.map((bin) => bin.born)), Math.max(...bins.map((bin) => bin.deaths))];
  const half = (height - 8) / (down ? 2 : 1);
  const zero = 4 + half;
  const scale = { up: half / Math.max(1, up), down: half / Math.max(1, down) };
  const written = (value) => (axis === 'time' ? duration(Math.round(value)) : brief(Math.round(value)));
  const svg = draw('svg', {
    class: 'time-chart',
    viewBox: `0 0 960 ${height}`,
    preserveAspectRatio: 'none',
    role: 'img',
    'aria-label': `Translations and deaths by ${axis}`,
    style: { height: `${height}px` },
  });
  bins.forEach((bin, index) =>
    svg.append(timeBin(bin, index, { height, zero, scale, reasons, end, written, onbin, chosen })),
  );
  svg.append(draw('line', { class: 'axis', x1: 0, x2: 960, y1: zero, y2: zero }));
  const labels = el(
    'div',
    { class: 'ticks' },
    [0, 0.25, 0.5, 0.75, 1].map((at) => el('span', {}, written(end * at))),
  );
  const legend = el(
    'div',
    { class: 'tools' },
    el(
      'span',
      { class: 'legend' },
      el('i', { class: 'swatch born' }),
      `translated, up: at most ${count(up)} a bar (${written(end / BINS)})`,
    ),
    reasons.length
      ? [el('span', { class: 'muted' }, `died, down: at most ${count(down)} a bar`), reasonLegend(reasons)]
      : el('span', { class: 'muted' }, 'nothing died'),
  );
  return { node: el('div', {}, svg, labels, legend), end };
};

const timeBin = (bin, index, { height, zero, scale, reasons, end, written, onbin, chosen }) => {
  const rect = (y, tall, name) =>
    draw('rect', { x: index * 10 + 0.75, width: 8.5, y: y.toFixed(2), height: tall.toFixed(2), class: name });
  const parts = [];
  if (bin.born) parts.push(rect(zero - bin.born * scale.up, bin.born * scale.up, 'born'));
  let y = zero;
  for (const reason of reasons) {
    if (!bin.died[reason]) continue;
    parts.push(rect(y, bin.died[reason] * scale.down, reasonClass(reason)));
    y += bin.died[reason] * scale.down;
  }
  const range = [(index / BINS) * end, ((index + 1) / BINS) * end];
  const lines = [
    `${written(range[0])} to ${written(range[1])}`,
    `${bin.born} translated`,
    ...Object.entries(bin.died).map(([reason, number]) => `${number} died: ${reason}`),
  ];
  return draw(
    'g',
    {
      class: `bin${chosen === index ? ' chosen' : ''}`,
      'data-bin': index,
      onpointermove: (event) => tip.show(event, lines),
      onpointerleave: () => tip.hide(),
      onclick: onbin && (() => onbin(index, range)),
    },
    draw('rect', { class: 'back', x: index * 10, width: 10, y: 0, height }),
    parts,
  );
};

// -- events --

const eventText = (app, event) => {
  const { recording } = app;
  const unit = (serial) => unitLink(app, serial);
  const said = {
    install: () => [
      unit(event.serial),
      `: ${count(event.value)} bytes${event.other ? `, in batch ${event.other}` : ''}`,
    ],
    death: () => [
      unit(event.serial),
      `: ${REASONS[event.other] ?? 'unknown'}`,
      event.value ? ` at 0x${event.value.toString(16)}` : '',
    ],
    link: () => [unit(event.serial), ' \u2192 ', unit(event.other), `, exit ${event.value}`],
    unlink: () => [unit(event.serial), ' \u21f8 ', unit(event.other), `, exit ${event.value}`],
    evict: () => `generation ${event.other}: ${bytes(event.value)}`,
    flush: () => `${plural(event.value, 'unit')} died`,
    batch: () =>
      `${plural(event.other, 'patch')}, region open for ${duration(event.value)}`.replace('patchs', 'patches'),
    mixed: () => `page 0x${event.value.toString(16)} is code and data alike`,
  }[event.kind];
  return said ? said() : shown(recording ? `${event.serial} ${event.other} ${event.value}` : '');
};

const eventColumns = (app) => [
  { name: 'time', label: 'Time', width: '6rem', cell: (event) => duration(event.time) },
  { name: 'instructions', label: 'Instruction', width: '8rem', wide: true, cell: (event) => count(event.instructions) },
  { name: 'kind', label: 'Event', width: '6rem', text: true, narrow: '4.5rem', cell: (event) => shown(event.kind) },
  {
    name: 'about',
    label: 'About',
    width: 'minmax(12rem, 1fr)',
    narrow: '1fr',
    text: true,
    cell: (event) => eventText(app, event),
  },
];

const allEvents = ({ data: { events } }) =>
  events.time.map((time, index) => ({
    time,
    instructions: events.instructions[index],
    kind: events.kind[index],
    serial: events.serial[index],
    other: events.other[index],
    value: events.value[index],
  }));

class TimeView {
  constructor(app) {
    this.app = app;
    Object.assign(this, { axis: 'time', range: null, bin: null, kind: '' });
    this.events = allEvents(app.recording);
    this.chart = el('div');
    this.said = el('output', { class: 'muted' });
    this.rows = new Rows({
      label: 'Events',
      columns: eventColumns(app),
      onopen: (event) => app.recording.bySerial.has(event.serial) && app.go({ unit: event.serial }),
      empty: 'No event fits.',
    });
    const kinds = EVENT_KINDS.filter((kind) => this.events.some((event) => event.kind === kind));
    this.node = el(
      'section',
      { class: 'time' },
      el(
        'div',
        { class: 'tools' },
        choice(
          'Along',
          [
            ['time', 'time'],
            ['instructions', 'guest instructions'],
          ],
          this.axis,
          (axis) => {
            this.axis = axis;
            this.pickBin(null, null);
          },
          { id: 'axis' },
        ),
        el('span', { class: 'muted' }, 'Select a bar to see its events.'),
      ),
      this.chart,
      el(
        'div',
        { class: 'tools' },
        el('h2', {}, 'Events'),
        choice(
          'Kind',
          [['', 'all'], ...kinds.map((kind) => [kind, kind])],
          '',
          (kind) => {
            this.kind = kind;
            this.list();
          },
          { id: 'kind' },
        ),
        button('Whole time', () => this.pickBin(null, null), { class: 'chip' }),
        this.said,
      ),
      this.rows.node,
      this.absent(),
    );
    this.pickBin(null, null);
  }

  absent() {
    const { lost, left_out: leftOut } = this.app.recording.data.events;
    if (!lost && !leftOut) return null;
    return el(
      'p',
      { class: 'muted' },
      `Older events are missing: ${count(lost)} that the log had no room for, `,
      `${count(leftOut)} that are left out of this page.`,
    );
  }

  pickBin(bin, range) {
    this.bin = bin === this.bin ? null : bin;
    this.range = this.bin === null ? null : range;
    this.chart.replaceChildren(
      timeChart(this.app, {
        height: 220,
        axis: this.axis,
        chosen: this.bin,
        onbin: (index, found) => this.pickBin(index, found),
      }).node,
    );
    this.list();
  }

  list() {
    const inRange = (event) => !this.range || (event[this.axis] >= this.range[0] && event[this.axis] <= this.range[1]);
    const found = this.events.filter((event) => (!this.kind || event.kind === this.kind) && inRange(event));
    this.said.textContent = `${count(found.length)} of ${plural(this.events.length, 'event')}`;
    this.rows.show(found);
  }
}

const timeView = {
  label: 'Time line',
  open(app) {
    const view = new TimeView(app);
    return {
      node: view.node,
      close: () => view.rows.close(),
      print: (isPrinted) => view.rows.print(isPrinted),
      repaint: () => {
        view.rows.painted = null;
        view.rows.paint();
      },
    };
  },
};
