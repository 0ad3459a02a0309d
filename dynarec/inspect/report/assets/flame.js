// Where the time went by guest symbol: the program, its symbols, their units.
// These are no call stacks: a cache does not know who called whom.

const LEAST_WIDTH = 0.0008;

const flameTree = (recording) => {
  const symbols = new Map();
  for (const unit of recording.units) {
    if (!(unit.share > 0)) continue;
    const name = unit.symbol || 'no symbol';
    if (!symbols.has(name)) symbols.set(name, { name, share: 0, children: [] });
    const symbol = symbols.get(name);
    symbol.share += unit.share;
    symbol.children.push({ name: unit.name, share: unit.share, unit, children: [] });
  }
  const children = [...symbols.values(), ...elsewhere(recording)];
  for (const each of children) each.children.sort((a, b) => b.share - a.share);
  children.sort((a, b) => b.share - a.share);
  return { name: shown(recording.data.subject.program), share: 1, children };
};

const elsewhere = ({ measure, data: { totals } }) => {
  const all = totals[measure] || 1;
  const parts =
    measure === 'samples'
      ? { ...totals.elsewhere, 'forgotten units': totals.forgotten.samples }
      : {
          interpreter: totals.interpreted,
          'system calls': totals.answered,
          'forgotten units': totals.forgotten.instructions,
        };
  return Object.entries(parts)
    .filter(([, value]) => value > 0)
    .map(([name, value]) => ({ name: `(${shown(name)})`, share: value / all, children: [], isOutside: true }));
};

// The children of a node, those that are too narrow to be seen as one.
const drawn = ({ children }, least) => {
  const wide = children.filter((child) => child.share >= least);
  const share = children.reduce((sum, child) => sum + (child.share < least ? child.share : 0), 0);
  const rest = { name: `(${count(children.length - wide.length)} narrower)`, share, children: [], isOutside: true };
  return share >= least ? [...wide, rest] : wide;
};

class Flame {
  constructor(app) {
    this.app = app;
    this.root = flameTree(app.recording);
    this.most = Math.max(0, ...this.root.children.map((child) => child.share));
    this.box = el('div', { class: 'flame', role: 'group', 'aria-label': 'Time by symbol' });
    this.way = el('div', { class: 'tools' });
    const { basis } = app.recording;
    this.node = el(
      'section',
      {},
      this.way,
      this.box,
      el(
        'p',
        { class: 'muted' },
        `Width: share of the time (of all ${basis}). Rows: the program, its symbols, the units that begin in them. `,
        'A code cache does not know who called whom, so these are no call stacks: ',
        'a symbol has the time of its own units, without that of what it calls. ',
        'A trace that runs on into another function counts for the symbol it begins in.',
      ),
    );
    this.zoom(this.root);
  }

  zoom(to) {
    this.top = to;
    this.way.replaceChildren(
      button('Whole program', () => this.zoom(this.root), { class: 'chip', disabled: to === this.root }),
      el(
        'span',
        { class: 'muted' },
        to === this.root
          ? 'Select a symbol to widen it, a unit to open it.'
          : `${to.name}: ${percent(to.share)} of the time`,
      ),
    );
    this.box.replaceChildren(
      ...(to === this.root ? [] : [this.bar(this.root, 0, 1, 0)]),
      ...this.bars(to, to === this.root ? 0 : 1),
    );
  }

  bars(top, level) {
    const found = [this.bar(top, 0, 1, level)];
    let levels = [[top, 0]];
    for (let depth = level + 1; levels.length; depth += 1) {
      const next = [];
      for (const [node, start] of levels) {
        let left = start;
        for (const child of drawn(node, LEAST_WIDTH * (top.share || 1))) {
          const width = child.share / (top.share || 1);
          found.push(this.bar(child, left, width, depth));
          next.push([child, left]);
          left += width;
        }
      }
      levels = next;
    }
    return found;
  }

  bar(node, left, width, level) {
    const heat = node === this.root || node.isOutside ? null : heatOf(node.share, this.most);
    const act = () => (node.unit ? this.app.go({ unit: node.unit.serial }) : node.isOutside ? null : this.zoom(node));
    return button(width > 0.02 ? node.name : '', act, {
      class: `flame-bar${heat === null ? ' plain' : ''}`,
      'aria-label': `${node.name}: ${percent(node.share)}`,
      'data-level': level,
      'data-unit': node.unit?.serial,
      style: {
        left: `${left * 100}%`,
        width: `${width * 100}%`,
        top: `${level * 34}px`,
        ...(heat === null ? {} : { background: theme.heat(heat), color: theme.onHeat(heat) }),
      },
      onpointermove: (event) =>
        tip.show(
          event,
          node.name,
          `${percent(node.share)} of the time`,
          node.children.length ? plural(node.children.length, node === this.root ? 'symbol' : 'unit') : '',
        ),
      onpointerleave: () => tip.hide(),
    });
  }
}

const flameView = {
  label: 'Flame graph',
  open(app) {
    if (!app.recording.hottestShare)
      return { node: el('p', { class: 'note' }, 'Nothing was counted, so there is no time to divide.') };
    const flame = new Flame(app);
    return { node: flame.node, repaint: () => flame.zoom(flame.top) };
  },
};
