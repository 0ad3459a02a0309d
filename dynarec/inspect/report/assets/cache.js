// The code region: what lies where. A strip of all of it, and below it a part of it in lines, to be looked at closely.

const LINES = 20;
const LINE = { height: 20, gap: 5 };
const STRIP = 30;
const LEAST_PART = 256;

const usedEnd = (recording) =>
  Math.max(1, ...recording.units.filter((unit) => unit.there).map((unit) => unit.offset + unit.bytes));

class CacheView {
  constructor(app) {
    this.app = app;
    const { recording } = app;
    this.cache = recording.data.cache;
    this.units = recording.units.filter((unit) => unit.there).sort((a, b) => a.alive - b.alive || a.serial - b.serial);
    this.byOffset = [...this.units].sort((a, b) => a.offset - b.offset);
    this.size = Math.max(1, this.cache.size, usedEnd(recording));
    this.mode = 'heat';
    this.strip = el('canvas', {
      class: 'strip',
      role: 'img',
      'aria-label': 'The whole code region; drag to choose a part',
    });
    this.map = el('canvas', {
      class: 'map',
      tabindex: 0,
      role: 'application',
      'aria-label': 'A part of the code region; arrows go from unit to unit, Enter opens, + and - zoom',
    });
    this.said = el('output', { class: 'muted', id: 'cache-said' });
    this.legend = el('span');
    this.node = el('section', { class: 'cache' }, this.toolbar(), this.strip, this.map, this.said, this.numbers());
    this.part = this.usedPart();
    this.selected = recording.bySerial.get(app.state.unit);
    if (this.selected?.there && !this.isShown(this.selected)) this.part = this.partAround(this.selected);
    this.listen();
    this.watch = new ResizeObserver(() => this.paint());
    this.watch.observe(this.node);
  }

  close() {
    this.watch.disconnect();
  }

  toolbar() {
    return el(
      'div',
      { class: 'tools' },
      choice(
        'Colour',
        [
          ['heat', 'by time'],
          ['state', 'live and dead'],
        ],
        this.mode,
        (mode) => {
          this.mode = mode;
          this.paint();
        },
        { id: 'cache-mode' },
      ),
      button('\u2212', () => this.zoom(2), { 'aria-label': 'Show more of the region', class: 'chip' }),
      button('+', () => this.zoom(0.5), { 'aria-label': 'Show less of the region', class: 'chip' }),
      button('What is used', () => this.show(this.usedPart()), { class: 'chip' }),
      button('All', () => this.show([0, this.size]), { class: 'chip' }),
      el('span', { class: 'spacer' }),
      this.legend,
    );
  }

  usedPart() {
    const first = this.byOffset.length ? this.byOffset[0].offset : 0;
    return [Math.min(first, first & ~0xfff), Math.min(this.size, Math.max(usedEnd(this.app.recording), LEAST_PART))];
  }

  partAround(unit) {
    const width = Math.max(LEAST_PART, unit.bytes * 16);
    return this.within(unit.offset - width / 2, width);
  }

  within(start, width) {
    const whole = Math.min(this.size, Math.max(LEAST_PART, Math.round(width)));
    const first = Math.max(0, Math.min(this.size - whole, Math.round(start)));
    return [first, first + whole];
  }

  isShown(unit) {
    return unit.offset >= this.part[0] && unit.offset + unit.bytes <= this.part[1];
  }

  show(part) {
    this.part = part;
    this.paint();
  }

  zoom(factor, at = (this.part[0] + this.part[1]) / 2) {
    const width = this.part[1] - this.part[0];
    this.show(this.within(at - (at - this.part[0]) * factor, width * factor));
  }

  numbers() {
    const { generations, current, policy, size, stats } = this.cache;
    const live = this.units.filter((unit) => unit.alive);
    const sum = (units) => units.reduce((total, unit) => total + unit.bytes, 0);
    const [alive, dead] = [sum(live), sum(this.units) - sum(live)];
    return el(
      'div',
      { class: 'cards' },
      el(
        'div',
        { class: 'card' },
        el('h3', {}, 'Region'),
        facts([
          ['Size', bytes(size)],
          ['Live', `${bytes(alive)} (${percent(alive / size)})`],
          ['Dead', bytes(dead)],
          ['Of what is filled, dead', percent(dead / (alive + dead || 1))],
          ['W^X', shown(policy)],
          ['Opened', `${count(stats.toggles)} times`],
        ]),
      ),
      generations.map(([start, end, filled], number) => {
        const inside = this.units.filter((unit) => unit.offset >= start && unit.offset < end);
        const alive = inside.filter((unit) => unit.alive).length;
        return el(
          'div',
          { class: 'card' },
          el('h3', {}, `Generation ${number}`, number === current ? el('small', {}, ' being filled') : ''),
          facts([
            ['From', `+0x${start.toString(16)}, ${bytes(end - start)}`],
            ['Filled', percent((Math.max(filled, start) - start) / (end - start || 1))],
            ['Units', `${count(alive)} live, ${count(inside.length - alive)} dead`],
            ['Room left', bytes(Math.max(0, end - Math.max(filled, start)))],
          ]),
        );
      }),
    );
  }

  // -- painting --

  paint() {
    tip.hide();
    this.colors = Object.fromEntries(
      ['free', 'filled', 'live', 'line', 'edge', 'dead', 'accent', 'text'].map((name) => [name, theme.color(name)]),
    );
    this.reasons = new Map(REASONS.map((reason) => [reason, reasonColor(reason)]));
    this.paintLegend();
    this.paintStrip();
    this.paintMap();
  }

  paintLegend() {
    const swatch = (name, words) => el('li', {}, el('i', { class: `swatch ${name}` }), words);
    const dead = reasonsOf(this.units).map((reason) => swatch(reasonClass(reason), `dead: ${reason}`));
    const known =
      this.mode === 'heat'
        ? [el('li', {}, heatLegend('Time')), swatch('gone', 'dead')]
        : [swatch('live', 'live'), dead];
    const rest = [swatch('filled', 'between units'), swatch('free', 'free')];
    this.legend.replaceChildren(el('ul', { class: 'legend' }, known, rest));
  }

  context(canvas, height) {
    const width = Math.max(1, canvas.parentElement.clientWidth);
    const ratio = devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext('2d');
    context.scale(ratio, ratio);
    return [context, width];
  }

  colorOf(unit) {
    const isHeat = this.mode === 'heat';
    if (!unit.alive) return isHeat ? this.colors.dead : (this.reasons.get(unit.reason) ?? this.colors.line);
    return isHeat ? theme.heat(heatOf(unit.share, this.app.recording.hottestShare)) : this.colors.live;
  }

  paintStrip() {
    const [context, width] = this.context(this.strip, STRIP);
    const x = (offset) => (offset / this.size) * width;
    const bar = (start, end, color) => {
      context.fillStyle = color;
      context.fillRect(x(start), 6, Math.max(1, x(end) - x(start)), STRIP - 12);
    };
    bar(0, this.size, this.colors.free);
    for (const [start, , filled] of this.cache.generations) if (filled > start) bar(start, filled, this.colors.filled);
    for (const unit of this.units) bar(unit.offset, unit.offset + unit.bytes, this.colorOf(unit));
    context.fillStyle = this.colors.text;
    for (const [start] of this.cache.generations.slice(1)) context.fillRect(x(start) - 0.5, 0, 1, STRIP);
    context.strokeStyle = this.colors.accent;
    context.lineWidth = 2;
    context.strokeRect(x(this.part[0]) + 1, 1, Math.max(6, x(this.part[1]) - x(this.part[0]) - 2), STRIP - 2);
  }

  paintMap() {
    const [context, width] = this.context(this.map, LINES * (LINE.height + LINE.gap));
    this.perLine = (this.part[1] - this.part[0]) / LINES;
    this.width = width;
    const fillPart = (start, end, color, edge = null) =>
      this.pieces(start, end).forEach(([x, y, wide]) => {
        context.fillStyle = color;
        context.fillRect(x, y, Math.max(0.5, wide), LINE.height);
        context.fillStyle = this.colors.edge;
        if (edge && wide > 3) context.fillRect(x + wide - 1, y, 1, LINE.height);
      });
    fillPart(...this.part, this.colors.free);
    for (const [start, , filled] of this.cache.generations)
      if (filled > start) fillPart(start, filled, this.colors.filled);
    for (const unit of this.units) fillPart(unit.offset, unit.offset + unit.bytes, this.colorOf(unit), true);
    for (const [start] of this.cache.generations.slice(1))
      this.pieces(start, start + 1).forEach(([x, y]) => {
        context.fillStyle = this.colors.text;
        context.fillRect(x - 1, y - 2, 2, LINE.height + 4);
      });
    context.strokeStyle = this.colors.accent;
    context.lineWidth = 2.5;
    if (this.selected?.there)
      this.pieces(this.selected.offset, this.selected.offset + this.selected.bytes).forEach(([x, y, wide]) =>
        context.strokeRect(x - 1, y - 1, Math.max(3, wide + 1), LINE.height + 2),
      );
    this.said.replaceChildren(
      `${this.part.map((at) => `+0x${at.toString(16)}`).join(' to ')} (${bytes(this.part[1] - this.part[0])}), `,
      `${bytes(Math.round(this.perLine))} a line. `,
      ...(this.selected
        ? [
            'Selected: ',
            unitLink(this.app, this.selected.serial),
            this.selected.there
              ? `, ${bytes(this.selected.bytes)} at +0x${this.selected.offset.toString(16)}`
              : ', which is not in the region any more',
          ]
        : []),
    );
  }

  // Rectangles of the lines that a range of offsets lies in: x, y, width.
  pieces(start, end) {
    const [from, to] = [Math.max(start, this.part[0]) - this.part[0], Math.min(end, this.part[1]) - this.part[0]];
    const found = [];
    for (let line = Math.floor(from / this.perLine); line * this.perLine < to && line < LINES; line += 1) {
      const [left, right] = [Math.max(from, line * this.perLine), Math.min(to, (line + 1) * this.perLine)];
      const x = ((left - line * this.perLine) / this.perLine) * this.width;
      if (right > left)
        found.push([x, line * (LINE.height + LINE.gap) + LINE.gap / 2, ((right - left) / this.perLine) * this.width]);
    }
    return found;
  }

  // -- looking around --

  offsetAt(event) {
    const { left, top } = this.map.getBoundingClientRect();
    const line = Math.max(0, Math.min(LINES - 1, Math.floor((event.clientY - top) / (LINE.height + LINE.gap))));
    return this.part[0] + (line + Math.max(0, Math.min(0.9999, (event.clientX - left) / this.width))) * this.perLine;
  }

  // The youngest unit there; near misses count, as units may be narrower than a finger.
  unitAt(offset) {
    const near = (this.perLine / this.width) * 4;
    const distance = (unit) => Math.max(unit.offset - offset, offset - unit.offset - unit.bytes + 1, 0);
    const found = this.units.filter((unit) => distance(unit) <= near);
    return found.sort((a, b) => distance(a) - distance(b) || b.serial - a.serial)[0];
  }

  listen() {
    this.map.addEventListener('pointermove', (event) => this.hover(event));
    this.map.addEventListener('pointerleave', () => tip.hide());
    this.map.addEventListener('click', (event) => this.pick(this.unitAt(this.offsetAt(event))));
    this.map.addEventListener(
      'dblclick',
      () => this.selected && this.app.go({ view: 'unit', unit: this.selected.serial }),
    );
    this.map.addEventListener(
      'wheel',
      (event) => {
        event.preventDefault();
        this.zoom(event.deltaY > 0 ? 1.3 : 1 / 1.3, this.offsetAt(event));
      },
      { passive: false },
    );
    this.map.addEventListener('keydown', (event) => this.key(event));
    const move = (event) => {
      if (!event.buttons) return;
      const { left, width } = this.strip.getBoundingClientRect();
      const wide = this.part[1] - this.part[0];
      this.show(this.within(((event.clientX - left) / width) * this.size - wide / 2, wide));
    };
    this.strip.addEventListener('pointerdown', move);
    this.strip.addEventListener('pointermove', move);
  }

  hover(event) {
    const offset = this.offsetAt(event);
    const unit = this.unitAt(offset);
    if (!unit) return tip.show(event, `+0x${Math.floor(offset).toString(16)}: free`);
    return tip.show(
      event,
      `${unit.name} (unit ${unit.serial})`,
      `${bytes(unit.bytes)} at +0x${unit.offset.toString(16)}`,
      unit.alive ? `${percent(unit.share)} of the time` : `died: ${unit.reason}`,
    );
  }

  pick(unit) {
    if (!unit) return;
    this.selected = unit;
    this.app.remember({ unit: unit.serial });
    if (!this.isShown(unit))
      this.part = this.within(unit.offset - (this.part[1] - this.part[0]) / 2, this.part[1] - this.part[0]);
    this.paint();
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step)
      this.pick(
        this.byOffset[Math.max(0, Math.min(this.byOffset.length - 1, this.byOffset.indexOf(this.selected) + step))],
      );
    else if (event.key === '+' || event.key === '=') this.zoom(0.5, this.selected?.offset);
    else if (event.key === '-') this.zoom(2, this.selected?.offset);
    else if (event.key === 'Enter' && this.selected) this.app.go({ view: 'unit', unit: this.selected.serial });
    else return;
    event.preventDefault();
  }
}

const cacheView = {
  label: 'Cache',
  open(app) {
    const view = new CacheView(app);
    return { node: view.node, close: () => view.close(), repaint: () => view.paint() };
  },
};
