// The code of a unit in its three forms; selecting a line marks what it came from and what it became.

const HEAD = -1;
const EXITS = -2;
const MOST_COMPARED = 4e6;

// -- what a pass changed --

const blurred = (stage) => stage.text.map((text, index) => `${stage.insn[index]} ${text.replace(/%\d+/g, '%')}`);

// Lines in order: { index } of the later stage, `isNew` where the pass made it; { gone } of the earlier, where it took
// it away.
const changes = (before, after) => {
  const [a, b] = [blurred(before), blurred(after)];
  const all = b.map((_, index) => ({ index, isNew: false }));
  if (a.length * b.length > MOST_COMPARED) return all;
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] =
        a[i] === b[j]
          ? longest[(i + 1) * width + j + 1] + 1
          : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) (found.push({ index: j++, isNew: false }), (i += 1));
    else if (j >= b.length || (i < a.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1]))
      found.push({ gone: i++ });
    else found.push({ index: j++, isNew: true });
  }
  return found;
};

// -- the three listings --

class Listings {
  constructor(app, unit, lines) {
    Object.assign(this, {
      app,
      unit,
      lines,
      stage: Math.max(0, lines.ir.length - 1),
      showsChanges: false,
      picked: null,
    });
    this.mostExecuted = Math.max(1, ...(unit.executed ?? [0]));
    this.panes = { guest: this.pane('guest', 'Guest'), ir: this.pane('ir', 'IR'), host: this.pane('host', 'Host') };
    this.said = el(
      'output',
      { class: 'said', id: 'said' },
      'Select a line: what it came from and what it became is marked.',
    );
    this.stages = el('div', { class: 'stages', role: 'radiogroup', 'aria-label': 'Stage of the IR' });
    this.panes.ir.head.append(this.stages);
    this.node = el(
      'div',
      { onkeydown: (event) => this.stageKey(event) },
      this.said,
      el(
        'div',
        { class: 'panes' },
        Object.values(this.panes).map((pane) => pane.node),
      ),
    );
  }

  // Puts the lines in anew, in the colours of now.
  repaint() {
    this.fillGuest();
    this.fillHost();
    this.fillIr();
    this.mark();
  }

  get last() {
    return this.lines.ir.length - 1;
  }

  get opInsns() {
    return this.last >= 0 ? this.lines.ir[this.last].insn : [];
  }

  pane(name, title) {
    const list = el('ol', {
      class: 'listing',
      role: 'listbox',
      tabindex: 0,
      'aria-label': `${title} code`,
      'data-pane': name,
      onkeydown: (event) => this.key(event, name),
      onclick: (event) => this.clicked(event, name),
    });
    const head = el('div', { class: 'pane-head' }, el('h3', {}, title));
    return { node: el('div', { class: `pane ${name}` }, head, list), head, list };
  }

  line(index, data, heat, ...children) {
    const { class: kind, ...more } = data;
    const classes = [kind, heat === 0 ? 'never' : null].filter((name) => name).join(' ');
    return el(
      'li',
      {
        role: 'option',
        'data-index': index,
        class: classes || null,
        ...more,
        style: heat ? { 'border-left-color': theme.heat(heat) } : {},
      },
      ...children,
    );
  }

  heat(insn) {
    const executed = this.unit.executed?.[insn];
    return executed === undefined ? null : heatOf(executed, this.mostExecuted);
  }

  fillGuest() {
    const { pc, data, text } = this.lines.guest;
    const sources = new Map(
      this.lines.source.map(([index, file, line, words]) => [index, [shown(file), line, shown(words)]]),
    );
    this.panes.guest.list.replaceChildren(
      ...pc.flatMap((address, index) => {
        const [file, line, words] = sources.get(index) ?? [];
        const row = this.line(
          index,
          { 'data-insn': index },
          this.heat(index),
          el('span', { class: 'at' }, address.toString(16).padStart(8, '0')),
          el('span', { class: 'raw' }, data[index]),
          el('span', { class: 'text' }, shown(text[index])),
          el('span', { class: 'times' }, this.unit.executed ? brief(this.unit.executed[index]) : ''),
        );
        return file
          ? [
              el(
                'li',
                { class: 'source', role: 'presentation' },
                el('span', {}, `${file.split('/').pop()}:${line}`),
                ` ${words}`,
              ),
              row,
            ]
          : [row];
      }),
    );
  }

  fillHost() {
    const { offset, data, text, op } = this.lines.host;
    let before = null;
    this.panes.host.list.replaceChildren(
      ...offset.flatMap((at, index) => {
        const part = op[index] === HEAD ? 'head' : op[index] === EXITS ? 'exits' : 'body';
        const heading =
          part !== before && part !== 'body' ? [el('li', { class: 'source', role: 'presentation' }, part)] : [];
        before = part;
        const insn = op[index] >= 0 ? this.opInsns[op[index]] : null;
        return [
          ...heading,
          this.line(
            index,
            { 'data-op': op[index], 'data-insn': insn, 'data-exit': part === 'exits' ? this.exitAt(at) : null },
            insn === null ? null : this.heat(insn),
            el('span', { class: 'at' }, at.toString(16).padStart(4, '0')),
            el('span', { class: 'raw', title: data[index] }, data[index]),
            el('span', { class: 'text' }, shown(text[index])),
          ),
        ];
      }),
    );
  }

  // An exit's offset is where its call of the exit stub ends.
  exitAt(offset) {
    const found = this.unit.exits
      .map((exit, number) => [exit.offset, number])
      .filter(([end]) => end > offset)
      .sort(([a], [b]) => a - b);
    return found.length ? found[0][1] : null;
  }

  fillIr() {
    const stages = this.lines.ir;
    this.stages.replaceChildren(
      ...stages.map((stage, index) =>
        button(`${shown(stage.name)} ${stage.text.length}`, () => this.choose(index), {
          role: 'radio',
          'aria-checked': String(index === this.stage),
          'data-stage': stage.name,
          class: 'chip',
          title: index
            ? `The IR after the pass "${shown(stage.name)}": ${stage.text.length} lines`
            : 'The IR as lifted from guest code',
        }),
      ),
      this.stage > 0 &&
        el(
          'label',
          { class: 'choice' },
          el('input', {
            type: 'checkbox',
            id: 'changes',
            checked: this.showsChanges,
            onchange: (event) => {
              this.showsChanges = event.target.checked;
              this.choose(this.stage);
            },
          }),
          ' changes',
        ),
    );
    if (!stages.length) {
      this.panes.ir.list.replaceChildren(
        el(
          'li',
          { class: 'source', role: 'presentation' },
          'The IR of cold units is left out of this page: dynarec inspect --unit shows it.',
        ),
      );
      return;
    }
    const stage = stages[this.stage];
    const compared = this.showsChanges && this.stage > 0;
    const rows = compared ? changes(stages[this.stage - 1], stage) : stage.text.map((_, index) => ({ index }));
    this.panes.ir.list.replaceChildren(
      ...rows.map((row) =>
        row.gone === undefined ? this.irLine(stage, row) : this.goneLine(stages[this.stage - 1], row.gone),
      ),
    );
  }

  irLine(stage, { index, isNew }) {
    const insn = stage.insn[index];
    return this.line(
      index,
      { 'data-insn': insn, 'data-op': this.stage === this.last ? index : null, class: isNew ? 'made' : null },
      this.heat(insn),
      el('span', { class: 'at' }, String(insn)),
      el('span', { class: 'text' }, shown(stage.text[index])),
    );
  }

  goneLine(stage, index) {
    return el(
      'li',
      { class: 'gone', role: 'presentation' },
      el('span', { class: 'at' }, String(stage.insn[index])),
      el('span', { class: 'text' }, shown(stage.text[index])),
    );
  }

  choose(stage) {
    this.stage = Math.max(0, Math.min(this.last, stage));
    const wasIn = this.stages.contains(document.activeElement);
    this.fillIr();
    if (wasIn) this.stages.querySelector('[aria-checked=true]')?.focus();
    if (this.picked?.pane === 'ir') this.picked = null;
    this.mark();
  }

  stageKey(event) {
    const step = { '[': -1, ']': 1 }[event.key];
    if (step) this.choose(this.stage + step);
  }

  clicked(event, pane) {
    const line = event.target.closest('[role=option]');
    if (line) this.pick(pane, Number(line.dataset.index));
  }

  key(event, pane) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !this.panes[pane].list.querySelector('[role=option]')) return;
    event.preventDefault();
    const index = this.picked?.pane === pane ? this.picked.index + step : 0;
    if (this.at(pane, index)) this.pick(pane, index);
  }

  at(pane, index) {
    return this.panes[pane].list.querySelector(`[role=option][data-index="${index}"]`);
  }

  pick(pane, index) {
    this.picked = { pane, index };
    this.mark();
  }

  pickExit(number) {
    this.picked = { pane: 'exit', index: number };
    this.mark();
  }

  // What a picked line stands for: an op of the last stage, a guest instruction, an exit, the head.
  get meaning() {
    const { pane, index } = this.picked;
    if (pane === 'guest') return { insn: index };
    if (pane === 'exit') return this.exitMeaning(index);
    const { dataset } = this.at(pane, index);
    const op = dataset.op === undefined ? null : Number(dataset.op);
    if (op === HEAD) return { head: true };
    if (op === EXITS) return dataset.exit === undefined ? {} : this.exitMeaning(Number(dataset.exit));
    return { op, insn: dataset.insn === undefined ? null : Number(dataset.insn) };
  }

  exitMeaning(number) {
    return { exit: number, insn: Math.max(0, this.unit.exits[number].executed - 1) };
  }

  mark() {
    for (const line of this.node.querySelectorAll('.chosen, .marked, .kin'))
      line.classList.remove('chosen', 'marked', 'kin');
    for (const row of document.querySelectorAll('tr[data-exit]')) row.classList.remove('marked');
    if (!this.picked) return;
    const meaning = this.meaning;
    for (const [pane, { list }] of Object.entries(this.panes)) {
      const lines = [...list.querySelectorAll('[role=option]')];
      lines.forEach((line) => this.markLine(line, pane, meaning));
      const first =
        lines.find((line) => line.matches('.chosen, .marked')) ?? lines.find((line) => line.matches('.kin'));
      if (first) showIn(list, first);
    }
    if (meaning.exit !== undefined) document.querySelector(`tr[data-exit="${meaning.exit}"]`)?.classList.add('marked');
    this.said.textContent = this.explained(meaning);
  }

  markLine(line, pane, { op, insn, exit, head }) {
    const isPicked = pane === this.picked.pane && Number(line.dataset.index) === this.picked.index;
    const sameOp = op !== null && op !== undefined && op >= 0 && line.dataset.op === String(op);
    const sameInsn = insn !== null && insn !== undefined && line.dataset.insn === String(insn);
    const samePart =
      (head && line.dataset.op === String(HEAD)) || (exit !== undefined && line.dataset.exit === String(exit));
    const isExact =
      sameOp ||
      samePart ||
      (sameInsn && (pane === 'guest' || ((op === null || op === undefined) && exit === undefined)));
    line.classList.toggle('chosen', isPicked);
    line.classList.toggle('marked', !isPicked && isExact);
    line.classList.toggle('kin', !isPicked && !isExact && sameInsn);
    line.setAttribute('aria-selected', String(isPicked));
  }

  explained({ op, insn, exit, head }) {
    if (head) return 'The head takes the guest instructions of a round from the budget; it comes from no instruction.';
    if (exit !== undefined)
      return `Exit ${exit} (${this.unit.exits[exit].kind}): left behind guest instruction ${insn}.`;
    if (insn === null || insn === undefined) return 'This comes from no instruction.';
    const { pc, text } = this.lines.guest;
    const marked = (pane) => this.panes[pane].list.querySelectorAll('.chosen, .marked, .kin').length;
    const became = `${plural(marked('ir'), 'IR line')}, ${plural(marked('host'), 'host instruction')}`;
    return `${pc[insn].toString(16)} ${shown(text[insn])}: ${became}`;
  }
}

const showIn = (list, line) => {
  const [box, at] = [list.getBoundingClientRect(), line.getBoundingClientRect()];
  if (at.top < box.top + 30 || at.bottom > box.bottom - 10) list.scrollTop += at.top - box.top - box.height / 3;
};
