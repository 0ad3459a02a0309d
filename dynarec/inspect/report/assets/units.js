// The table of units.

const heatBar = (share, most) =>
  el(
    'span',
    { class: 'heatbar' },
    el('i', {
      class: share > 0 ? null : 'none',
      style: { width: `${most ? (100 * share) / most : 0}%`, background: theme.heat(heatOf(share, most)) },
    }),
    el('b', {}, percent(share)),
  );

const stateText = (unit) =>
  unit.alive
    ? el('span', { class: 'alive' }, 'live')
    : el('span', { class: 'dead' }, el('i', { class: `swatch ${reasonClass(unit.reason)}` }), unit.reason);

const unitColumns = (recording) => {
  const number = (
    name,
    label,
    width,
    hint,
    value = (unit) => unit[name],
    cell = (unit) => count(value(unit)),
    more = {},
  ) => ({ name, label, width, hint, value, cell, wide: true, ...more });
  const text = (name, label, width, hint, value, cell, more = {}) => ({
    name,
    label,
    width,
    hint,
    value,
    cell,
    text: true,
    ...more,
  });
  return [
    number(
      'serial',
      '#',
      '3.6rem',
      'Number of the unit, in the order of installation',
      undefined,
      (unit) => String(unit.serial),
      { narrow: '2.6rem', wide: false },
    ),
    text(
      'start',
      'Address',
      '6.6rem',
      'Guest address it begins at',
      (unit) => unit.start,
      (unit) => el('code', {}, unit.key),
      { wide: true },
    ),
    text(
      'name',
      'Symbol',
      'minmax(9rem, 2fr)',
      'Symbol and source line',
      (unit) => unit.name.toLowerCase(),
      (unit) => [el('code', {}, unit.name), unit.place ? el('small', {}, ` ${unit.place}`) : null],
      { narrow: 'minmax(6rem, 1fr)' },
    ),
    number(
      'share',
      'Time',
      '7.5rem',
      `Share of the time: of all ${recording.basis}`,
      undefined,
      (unit) => heatBar(unit.share, recording.hottestShare),
      { wide: false, narrow: '6rem' },
    ),
    number('rounds', 'Rounds', '5.4rem', 'How often its head was executed', undefined, (unit) => brief(unit.rounds), {
      wide: false,
      narrow: '4rem',
    }),
    number('instructions', 'Instructions', '6rem', 'Guest instructions retired in it', undefined, (unit) =>
      brief(unit.instructions),
    ),
    number('insns', 'Guest', '4rem', 'Guest instructions in the trace'),
    number('ops', 'IR', '4rem', 'Ops after the last pass'),
    number('host_insns', 'Host', '4rem', 'Host instructions'),
    number('bytes', 'Bytes', '4.4rem', 'Bytes of host code, exits included'),
    number('linksIn', 'In', '3rem', 'Exits of living units that jump here by themselves'),
    number('linksOut', 'Out', '3rem', 'Its exits that jump to another unit by themselves'),
    number('seconds', 'Made in', '5rem', 'What its translation took', undefined, (unit) => duration(unit.seconds)),
    text('state', 'State', '6.4rem', 'Alive, or why it died', (unit) => unit.reason, stateText, { narrow: '4.6rem' }),
  ];
};

const unitsView = {
  label: 'Units',
  open(app) {
    const { recording, state } = app;
    const said = el('output', { class: 'muted' });
    const columns = unitColumns(recording);
    const rows = new Rows({
      label: 'Units',
      columns,
      empty: 'No unit fits this filter.',
      sort: sortFrom(state.sort, columns),
      onopen: (unit) => app.go({ unit: unit.serial }),
      onsort: (sort) => app.remember({ sort: `${sort.descending ? '-' : ''}${sort.name}` }),
    });
    const apply = (query) => {
      const found = filtered(recording, query);
      const known = `${count(found.length)} of ${plural(recording.units.length, 'unit')}`;
      said.textContent = `${known}, ${percent(shareOf(found))} of the time`;
      rows.show(found);
      app.remember({ q: query });
    };
    const input = el('input', {
      type: 'search',
      id: 'filter',
      value: state.q ?? '',
      spellcheck: 'false',
      autocomplete: 'off',
      'aria-label': 'Filter units',
      placeholder: 'draw  0x101f2  hot  dead  reason:evicted',
      oninput: () => apply(input.value),
    });
    const quick = ['hot', 'live', 'dead'].map((word) =>
      button(
        word,
        () => {
          input.value = toggledWord(input.value, word);
          apply(input.value);
        },
        { class: 'chip' },
      ),
    );
    const node = el(
      'section',
      { class: 'units' },
      el('div', { class: 'tools' }, input, quick, said),
      el(
        'p',
        { class: 'muted hint' },
        'Words narrow it down together: part of a symbol or a file; an address, ',
        el('code', {}, 'main+0x10'),
        ' or ',
        el('code', {}, 'file.c:12'),
        ' (the units that hold it); ',
        el('code', {}, 'hot'),
        ', ',
        el('code', {}, 'live'),
        ', ',
        el('code', {}, 'dead'),
        ', ',
        el('code', {}, 'reason:store'),
        '. Press / to filter, arrows and Enter to open.',
      ),
      rows.node,
    );
    apply(input.value);
    return {
      node,
      close: () => rows.close(),
      print: (isPrinted) => rows.print(isPrinted),
      repaint: () => {
        rows.painted = null;
        rows.paint();
      },
    };
  },
};

const sortFrom = (text, columns) => {
  const name = (text ?? '').replace(/^-/, '');
  if (!columns.some((column) => column.name === name)) return { name: 'share', descending: true };
  return { name, descending: text.startsWith('-') };
};

const toggledWord = (query, word) => {
  const words = query.split(/\s+/).filter((each) => each);
  return words.includes(word) ? words.filter((each) => each !== word).join(' ') : [...words, word].join(' ');
};
