// The block graph: units as boxes, ways between them as arrows as thick as they were taken often.

const SIZES = [30, 100, 300, 1000];
const DETAILED = 0.38;
const READABLE = 0.6;
const EDGE = 20;
const THICKEST = 7;
const ZOOM = { least: 0.02, most: 4, step: 1.25 };

const around = (recording, serial, steps) => {
  const found = new Set([serial]);
  for (let step = 0; step < steps; step += 1) {
    for (const id of [...found]) {
      for (const edge of recording.outOf.get(id) ?? []) found.add(edge.target);
      for (const edge of recording.into.get(id) ?? []) found.add(edge.source);
    }
  }
  return found;
};

const graphChoices = (app) => {
  const { recording, state } = app;
  const total = recording.units.length;
  const sizes = SIZES.filter((size) => size < total).map((size) => [String(size), `the ${count(size)} hottest`]);
  const near = recording.bySerial.has(state.unit) ? [['around', `around unit ${state.unit}`]] : [];
  return [...sizes, ['all', `all ${count(total)}`], ...near];
};

const chosenUnits = (app, size) => {
  const { recording, state } = app;
  if (size === 'around')
    return [...around(recording, state.unit, 2)].map((serial) => recording.bySerial.get(serial)).filter((unit) => unit);
  const found = size === 'all' ? recording.hottest : recording.hottest.slice(0, Number(size));
  const selected = recording.bySerial.get(state.unit);
  return selected && !found.includes(selected) ? [...found, selected] : found;
};

class GraphView {
  constructor(app) {
    this.app = app;
    const choices = graphChoices(app);
    const asked = app.state.size;
    this.size = choices.some(([key]) => key === asked) ? asked : choices[0][0];
    this.svg = draw('svg', { class: 'graph', tabindex: 0, role: 'group', 'aria-label': 'Block graph' });
    this.world = draw('g');
    this.svg.append(this.world);
    this.aside = el('aside', { class: 'card', 'aria-live': 'polite' });
    this.said = el('output', { class: 'muted' });
    this.node = el(
      'section',
      { class: 'graph-view' },
      el(
        'div',
        { class: 'tools' },
        choice('Show', choices, this.size, (value) => this.widen(value), { id: 'graph-size' }),
        button('\u2212', () => this.zoom(1 / ZOOM.step), { 'aria-label': 'Zoom out', class: 'chip' }),
        button('+', () => this.zoom(ZOOM.step), { 'aria-label': 'Zoom in', class: 'chip' }),
        button('Fit', () => this.fit(), { class: 'chip' }),
        this.said,
        el('span', { class: 'spacer' }),
        heatLegend('Time'),
      ),
      el('div', { class: 'graph-box' }, this.svg, this.aside),
      el(
        'p',
        { class: 'muted' },
        'Down: the way it is entered. Dashed: through the run loop, not linked. Blue: back to what came before. ',
        'Thickness: how often it was taken. ',
        'Wheel, drag or pinch to look around; keys: arrows, + \u2212 0, Tab from unit to unit, Enter opens.',
      ),
    );
    this.pointers = new Map();
    this.listen();
    this.watch = new ResizeObserver(() => this.fitOnce());
    this.watch.observe(this.svg);
  }

  close() {
    this.watch.disconnect();
  }

  widen(size) {
    this.size = size;
    this.app.remember({ size });
    this.build();
    this.fit();
  }

  build() {
    const { recording } = this.app;
    const units = chosenUnits(this.app, this.size).sort((a, b) => a.serial - b.serial);
    const among = new Set(units.map((unit) => unit.serial));
    const edges = units.flatMap((unit) =>
      (recording.outOf.get(unit.serial) ?? []).filter((edge) => among.has(edge.target)),
    );
    this.most = Math.max(1, ...edges.map((edge) => edge.taken ?? 0));
    edges.forEach((edge) => {
      edge.weight = edge.taken ?? 0;
    });
    this.layout = layered([...among], edges);
    this.nodes = new Map();
    this.edges = edges.map((edge) => ({ edge, shape: this.edgeShape(edge) }));
    this.world.replaceChildren(
      draw(
        'g',
        {},
        this.edges.map(({ shape }) => shape),
      ),
      draw(
        'g',
        {},
        units.map((unit) => this.nodeShape(unit)),
      ),
    );
    const known = `${plural(units.length, 'unit')}, ${plural(edges.length, 'way')}`;
    this.said.textContent = `${known}, ${percent(shareOf(units))} of the time`;
    this.select(this.app.state.unit);
  }

  // -- shapes --

  nodeShape(unit) {
    const { x, y } = this.layout.at.get(unit.serial);
    const heat = heatOf(unit.share, this.app.recording.hottestShare);
    const text = (dy, words, name) =>
      draw('text', { y: dy, class: name, 'text-anchor': 'middle', fill: theme.onHeat(heat) }, words);
    const node = draw(
      'g',
      {
        class: `node${unit.alive ? '' : ' was'}`,
        transform: `translate(${x} ${y})`,
        tabindex: 0,
        role: 'button',
        'data-unit': unit.serial,
        'aria-label': `Unit ${unit.serial}, ${unit.name}, ${percent(unit.share)} of the time`,
      },
      draw('rect', {
        x: -NODE.width / 2,
        y: -NODE.height / 2,
        width: NODE.width,
        height: NODE.height,
        rx: 7,
        fill: theme.heat(heat),
      }),
      text(-4, shortened(unit.name, 20), 'name'),
      text(13, `${percent(unit.share)} \u00b7 ${brief(unit.rounds)}\u00d7`, 'detail'),
    );
    this.nodes.set(unit.serial, node);
    return node;
  }

  edgeShape(edge) {
    const width = 1 + (THICKEST - 1) * Math.sqrt((edge.taken ?? 0) / this.most);
    const { path, tip: end, isBack, angle } = edge.source === edge.target ? this.loopPath(edge) : this.routePath(edge);
    const size = 4 + width;
    return draw(
      'g',
      {
        class: `edge${edge.linked ? '' : ' unlinked'}${isBack ? ' back' : ''}`,
        'data-source': edge.source,
        'data-target': edge.target,
      },
      draw('path', { d: path, 'stroke-width': width.toFixed(2) }),
      draw('path', { d: path, class: 'catch' }),
      draw('polygon', {
        points: `0,0 ${-size},${-size / 1.6} ${-size},${size / 1.6}`,
        transform: `translate(${end[0]} ${end[1]}) rotate(${angle})`,
      }),
    );
  }

  loopPath(edge) {
    const { x, y } = this.layout.at.get(edge.source);
    const right = x + NODE.width / 2;
    return {
      path: `M${right} ${y + 10}C${right + 24} ${y + 14} ${right + 24} ${y - 14} ${right + 3} ${y - 10}`,
      tip: [right, y - 10],
      angle: 180,
      isBack: true,
    };
  }

  routePath(edge) {
    const { points, isBack } = this.layout.routes.get(edge);
    const end = points[points.length - 1];
    const path = points.slice(1).reduce((text, [x, y], index) => {
      const [fromX, fromY] = points[index];
      const bend = (y - fromY) / 2;
      return `${text}C${fromX} ${fromY + bend} ${x} ${y - bend} ${x} ${y}`;
    }, `M${points[0][0]} ${points[0][1]}`);
    return { path, tip: end, angle: isBack ? -90 : 90, isBack };
  }

  // -- what is selected --

  select(serial) {
    this.selected = serial;
    for (const [id, node] of this.nodes) node.classList.toggle('selected', id === serial);
    const known = this.nodes.has(serial);
    this.world.classList.toggle('has-selected', known);
    for (const { edge, shape } of this.edges)
      shape.classList.toggle('near', edge.source === serial || edge.target === serial);
    this.aside.replaceChildren(
      ...(known ? this.about(serial) : [el('p', { class: 'muted' }, 'Select a unit to see its ways in and out.')]),
    );
  }

  about(serial) {
    const { recording } = this.app;
    const unit = recording.bySerial.get(serial);
    const ways = (title, edges, end) => [
      el('h3', {}, title),
      edges?.length
        ? el(
            'ul',
            { class: 'entries' },
            [...edges]
              .sort((a, b) => (b.taken ?? 0) - (a.taken ?? 0))
              .slice(0, 8)
              .map((edge) =>
                el('li', {}, this.pickLink(edge[end]), ` ${brief(edge.taken)}`, edge.linked ? '' : ' (not linked)'),
              ),
          )
        : el('p', { class: 'muted' }, 'none that is known'),
    ];
    const elsewhere = unit.exits.filter((exit) => exit.kind === 'indirect' || exit.kind === 'interpret');
    return [
      el('h2', {}, el('code', {}, unit.name)),
      facts([
        ['Unit', unit.serial],
        ['State', stateText(unit)],
        ['Time', percent(unit.share)],
        ['Rounds', count(unit.rounds)],
        ['Code', `${unit.insns} guest, ${unit.bytes} bytes`],
        ...elsewhere.map((exit) => [`Left (${exit.kind})`, count(exit.taken)]),
      ]),
      button('Open its code', () => this.app.go({ view: 'unit', unit: serial })),
      ...ways('Entered from', recording.into.get(serial), 'source'),
      ...ways('Leads to', recording.outOf.get(serial), 'target'),
    ];
  }

  pickLink(serial) {
    const unit = this.app.recording.bySerial.get(serial);
    return el(
      'a',
      {
        href: `#view=graph&unit=${serial}`,
        onclick: (event) => {
          event.preventDefault();
          this.pick(serial, true);
        },
      },
      unit ? unit.name : `unit ${serial}`,
    );
  }

  pick(serial, center = false) {
    this.app.remember({ unit: serial });
    if (!this.nodes.has(serial)) this.build();
    else this.select(serial);
    if (center) this.center(serial);
  }

  // -- looking around --

  get box() {
    return { width: this.svg.clientWidth || 800, height: this.svg.clientHeight || 500 };
  }

  fitOnce() {
    if (this.isFitted || !this.svg.clientWidth) return;
    this.isFitted = true;
    this.fit();
    if (this.nodes.has(this.selected)) this.center(this.selected);
    else if (this.at.k < READABLE && this.size === SIZES[0].toString())
      this.center(this.app.recording.hottest[0].serial);
  }

  fit() {
    const { width, height } = this.box;
    const k = Math.min(1, (width - 30) / (this.layout.width + 40), (height - 30) / this.layout.height);
    this.look({ k: Math.max(ZOOM.least, k), x: 0, y: 0 });
    this.look({
      ...this.at,
      x: (width - this.layout.width * this.at.k) / 2,
      y: (height - this.layout.height * this.at.k) / 2,
    });
  }

  center(serial) {
    const { x, y } = this.layout.at.get(serial);
    const k = Math.max(this.at.k, 0.8);
    this.look({
      k,
      x: inside(this.box.width / 2 - x * k, this.box.width, this.layout.width * k),
      y: inside(this.box.height / 2 - y * k, this.box.height, this.layout.height * k),
    });
  }

  look(at) {
    this.at = at;
    this.world.setAttribute('transform', `translate(${at.x.toFixed(2)} ${at.y.toFixed(2)}) scale(${at.k.toFixed(4)})`);
    this.svg.classList.toggle('far', at.k < DETAILED);
  }

  // Around a point of the screen, which stays where it is.
  zoom(factor, x = this.box.width / 2, y = this.box.height / 2) {
    const k = Math.max(ZOOM.least, Math.min(ZOOM.most, this.at.k * factor));
    const by = k / this.at.k;
    this.look({ k, x: x - (x - this.at.x) * by, y: y - (y - this.at.y) * by });
  }

  listen() {
    const on = (name, handler, options) => this.svg.addEventListener(name, handler, options);
    on(
      'wheel',
      (event) => {
        event.preventDefault();
        const { left, top } = this.svg.getBoundingClientRect();
        this.zoom(
          Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)),
          event.clientX - left,
          event.clientY - top,
        );
      },
      { passive: false },
    );
    on('pointerdown', (event) => this.down(event));
    on('pointermove', (event) => this.moved(event));
    on('pointerup', (event) => this.up(event));
    on('pointercancel', (event) => this.pointers.delete(event.pointerId));
    on('pointerleave', () => tip.hide());
    on('dblclick', (event) => this.opened(event.target));
    on('keydown', (event) => this.key(event));
    on('focusin', (event) => this.focused(event.target));
  }

  unitAt(target) {
    const node = target.closest?.('.node');
    return node ? Number(node.dataset.unit) : null;
  }

  down(event) {
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.traveled = this.pointers.size > 1 ? Infinity : 0;
    this.pressed = event.target;
  }

  moved(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return this.hover(event);
    const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
    this.traveled += Math.abs(dx) + Math.abs(dy);
    if (this.traveled < 4) return undefined;
    if (!this.svg.hasPointerCapture(event.pointerId)) this.svg.setPointerCapture(event.pointerId);
    const spread = this.spread();
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size === 1) this.look({ ...this.at, x: this.at.x + dx, y: this.at.y + dy });
    else if (spread) this.pinched(spread, this.spread());
    return undefined;
  }

  spread() {
    const [a, b] = [...this.pointers.values()];
    if (!b) return null;
    const { left, top } = this.svg.getBoundingClientRect();
    return { x: (a[0] + b[0]) / 2 - left, y: (a[1] + b[1]) / 2 - top, size: Math.hypot(a[0] - b[0], a[1] - b[1]) };
  }

  pinched(before, after) {
    this.look({ ...this.at, x: this.at.x + after.x - before.x, y: this.at.y + after.y - before.y });
    if (before.size > 0) this.zoom(after.size / before.size, after.x, after.y);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    const serial = this.unitAt(this.pressed);
    if (this.traveled < 4 && serial !== null) this.pick(serial);
  }

  opened(target) {
    const serial = this.unitAt(target);
    if (serial !== null) this.app.go({ view: 'unit', unit: serial });
  }

  hover(event) {
    const serial = this.unitAt(event.target);
    const edge = event.target.closest('.edge');
    if (serial !== null) {
      const unit = this.app.recording.bySerial.get(serial);
      tip.show(
        event,
        `${unit.name} (unit ${serial})`,
        unit.place,
        `${percent(unit.share)} of the time, ${count(unit.rounds)} rounds`,
        unit.alive ? '' : `died: ${unit.reason}`,
      );
    } else if (edge) {
      const found = this.edges.find(({ shape }) => shape === edge).edge;
      const name = (id) => this.app.recording.bySerial.get(id)?.name;
      tip.show(
        event,
        `${name(found.source)} \u2192 ${name(found.target)}`,
        `taken ${count(found.taken)} times${found.linked ? '' : ', through the run loop'}`,
      );
    } else tip.hide();
  }

  key(event) {
    const pan = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    const serial = this.unitAt(event.target);
    if (pan) this.look({ ...this.at, x: this.at.x + pan[0], y: this.at.y + pan[1] });
    else if (event.key === '+' || event.key === '=') this.zoom(ZOOM.step);
    else if (event.key === '-') this.zoom(1 / ZOOM.step);
    else if (event.key === '0') this.fit();
    else if (event.key === ' ' && serial !== null) this.pick(serial);
    else if (event.key === 'Enter' && serial !== null) this.app.go({ view: 'unit', unit: serial });
    else return;
    event.preventDefault();
  }

  // A unit that the keyboard comes to is brought into sight.
  focused(target) {
    const serial = this.unitAt(target);
    if (serial === null || !target.matches(':focus-visible')) return;
    const { x, y } = this.layout.at.get(serial);
    const [left, top] = [x * this.at.k + this.at.x, y * this.at.k + this.at.y];
    if (left < 0 || top < 0 || left > this.box.width || top > this.box.height) this.center(serial);
  }
}

const shortened = (text, most) => (text.length <= most ? text : `${text.slice(0, most - 8)}\u2026${text.slice(-7)}`);

// Where a drawing begins, so that it covers the window if it is larger than that, and lies in its middle if not.
const inside = (start, window, size) =>
  size + 2 * EDGE <= window ? (window - size) / 2 : Math.max(window - size - EDGE, Math.min(EDGE, start));

const graphView = {
  label: 'Graph',
  open(app) {
    if (!app.recording.units.length) return { node: el('p', { class: 'note' }, 'There is no unit in this recording.') };
    const view = new GraphView(app);
    return { node: view.node, close: () => view.close(), repaint: () => view.build() };
  },
};
