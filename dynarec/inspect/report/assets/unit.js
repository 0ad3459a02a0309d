// One unit: what is known of it, its ways in and out, and its code.

// -- facts --

const unitFacts = (app, unit) => {
  const { circumstances, death } = unit;
  const code = (text) => el('code', {}, text);
  const names = (list) => (list.length ? list.map(shown).join(', ') : null);
  return facts([
    ['Key', code(unit.key)],
    ['Guest bytes', unit.ranges.map(([start, size]) => [code(start), ` +${size} `])],
    ['Source', unit.place],
    ['Tier', unit.tier],
    ['Time', `${percent(unit.share)} of ${app.recording.basis}`],
    ['Rounds', count(unit.rounds)],
    ['Instructions', count(unit.instructions)],
    ['Samples', unit.samples ? count(unit.samples) : null],
    ['Code', `${unit.insns} guest \u2192 ${unit.ops} IR \u2192 ${unit.host_insns} host instructions`],
    [
      'Host bytes',
      `${count(unit.body)} body, ${count(unit.bytes - unit.body)} exits, at +0x${unit.offset.toString(16)}`,
    ],
    ['Host', shown(circumstances.host)],
    ['Features', names(circumstances.features)],
    ['Hardening', names(circumstances.harden)],
    ['Without passes', names(circumstances.without)],
    ['Checks its bytes', circumstances.checked ? 'yes: code and data share the page' : null],
    ['Born', `${duration(unit.born)}, at instruction ${count(unit.born_at)}`],
    ['W^X batch', unit.batch ? count(unit.batch) : null],
    [
      'Died',
      death && [
        stateText(unit),
        ` at ${duration(death.time)}, instruction ${count(death.instructions)}`,
        death.address ? [', by a write to ', code(app.recording.name(death.address))] : '',
        death.pc ? [', at ', code(app.recording.name(death.pc))] : '',
      ],
    ],
    ['Age', duration((death ? death.time : app.recording.data.taken.time) - unit.born)],
  ]);
};

const phaseBar = (unit) => {
  const phases = Object.entries(unit.phases).filter(([, time]) => time > 0);
  if (!phases.length) return null;
  return el(
    'div',
    { class: 'phases' },
    el('h3', {}, `Translation: ${duration(unit.seconds)}`),
    el(
      'div',
      { class: 'stack' },
      phases.map(([name, time], index) =>
        el(
          'span',
          { class: `tone-${index % 2}`, style: { flex: `${time} 1 0` }, title: `${shown(name)}: ${duration(time)}` },
          time / unit.seconds > 0.07 ? `${shown(name)} ${duration(time)}` : '',
        ),
      ),
    ),
  );
};

// -- ways in and out --

const exitTarget = (app, exit, edges, number) => {
  if (exit.linked !== null) return unitLink(app, exit.linked);
  const there = exit.kind === 'jump' && app.recording.units.find((unit) => unit.alive && unit.key === exit.target);
  if (there) return unitLink(app, there.serial);
  return exit.target === null ? 'computed' : el('code', {}, app.recording.name(exit.target));
};

const exitTable = (app, unit, onpick) =>
  el(
    'table',
    { class: 'exits' },
    el('caption', {}, 'Exits'),
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        ['', 'Kind', 'Leads to', 'After', 'Taken', 'Run loop asked', 'Linked'].map((name, index) =>
          el('th', { scope: 'col', class: index > 2 && index < 6 ? 'number' : null }, name),
        ),
      ),
    ),
    el(
      'tbody',
      {},
      unit.exits.map((exit, number) =>
        el(
          'tr',
          { 'data-exit': number },
          el(
            'td',
            {},
            button(String(number), () => onpick(number), { class: 'chip', title: 'Mark its code' }),
          ),
          el('td', {}, exit.kind),
          el('td', {}, exitTarget(app, exit)),
          el(
            'td',
            { class: 'number', title: 'Guest instructions that a round has retired when it is left here' },
            count(exit.executed),
          ),
          el('td', { class: 'number' }, count(exit.taken)),
          el('td', { class: 'number' }, count(exit.missed)),
          el('td', {}, exit.linked === null ? '' : 'yes'),
        ),
      ),
    ),
  );

const entryList = (app, unit) => {
  const edges = (app.recording.into.get(unit.serial) ?? []).filter((edge) => edge.source !== unit.serial);
  if (!edges.length) return el('p', { class: 'muted' }, 'No unit that is known leads here by a direct jump.');
  edges.sort((a, b) => (b.taken ?? 0) - (a.taken ?? 0));
  return el(
    'ul',
    { class: 'entries' },
    edges
      .slice(0, 12)
      .map((edge) =>
        el('li', {}, unitLink(app, edge.source), ` ${count(edge.taken)}`, edge.linked ? '' : ' (not linked)'),
      ),
    edges.length > 12 ? el('li', { class: 'muted' }, `and ${edges.length - 12} more`) : null,
  );
};

const unitView = {
  label: 'Unit',
  open(app) {
    const { recording, state } = app;
    const unit = recording.bySerial.get(state.unit) ?? recording.hottest[0];
    if (!unit) return { node: el('p', { class: 'note' }, 'There is no unit in this recording.') };
    if (!recording.bySerial.has(state.unit) && state.unit !== null)
      return { node: el('p', { class: 'note' }, `There is no unit ${state.unit} in this recording.`) };
    const rank = recording.hottest.indexOf(unit);
    const step = (by) => recording.hottest[rank + by];
    const go = (label, by) =>
      button(label, () => app.go({ unit: step(by).serial }), { disabled: !step(by), class: 'chip' });
    let listings = null;
    const code = el('div', {}, el('p', { class: 'muted' }, 'Reading its code\u2026'));
    const node = el(
      'section',
      { class: 'unit' },
      el(
        'div',
        { class: 'tools' },
        el('h2', {}, `Unit ${unit.serial}: `, el('code', {}, unit.name)),
        stateText(unit),
        el('span', { class: 'spacer' }),
        go('\u2190 hotter', -1),
        go('colder \u2192', 1),
        button('In the graph', () => app.go({ view: 'graph', unit: unit.serial }), { class: 'chip' }),
        button('In the cache', () => app.go({ view: 'cache', unit: unit.serial }), { class: 'chip' }),
      ),
      code,
      el(
        'div',
        { class: 'halves' },
        el(
          'div',
          { class: 'scroll' },
          exitTable(app, unit, (number) => listings?.pickExit(number)),
        ),
        el('div', {}, el('h3', {}, 'Entered from'), entryList(app, unit)),
      ),
      unitFacts(app, unit),
      phaseBar(unit),
    );
    const ready = recording.lines(unit).then((lines) => {
      if (lines === null)
        code.replaceChildren(
          el(
            'p',
            { class: 'note' },
            'The code of this unit is left out of this page, which holds that of the hottest ones.',
          ),
        );
      else if (lines.error) code.replaceChildren(el('p', { class: 'note' }, shown(lines.error)));
      else {
        listings = new Listings(app, unit, lines);
        listings.repaint();
        code.replaceChildren(
          listings.node,
          lines.verified === undefined
            ? ''
            : el('p', { class: 'note' }, lines.verified ? 'Verified: the verifier accepts this host code.' : 'Not verified.'),
          lines.again === false
            ? el(
                'p',
                { class: 'note' },
                'Translating it again gives other host code than was recorded, so marks may be off.',
              )
            : '',
        );
      }
    });
    return { node, ready, repaint: () => listings?.repaint() };
  },
};
