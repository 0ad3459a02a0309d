// The first view: what ran, what the cache holds, what is striking, and where the time went.

const HOT_LIST = 15;

const tile = (label, value, note) =>
  el('div', { class: 'tile' }, el('span', {}, label), el('strong', {}, value), el('small', {}, note ?? ''));

const unitLink = (app, serial, text = null) => {
  const unit = app.recording.bySerial.get(serial);
  return el(
    'a',
    { href: `#unit=${serial}`, class: 'unit-link', title: unit ? `${unit.name}, unit ${serial}` : null },
    text ?? (unit ? unit.name : `unit ${serial}`),
  );
};

const tiles = (recording) => {
  const { cache, totals, taken } = recording.data;
  const live = recording.units.filter((unit) => unit.alive);
  const there = recording.units.filter((unit) => unit.there);
  const used = there.reduce((sum, unit) => sum + unit.bytes, 0);
  const liveBytes = live.reduce((sum, unit) => sum + unit.bytes, 0);
  const translating = recording.units.reduce((sum, unit) => sum + unit.seconds, 0);
  const dead = recording.units.length - live.length + totals.forgotten.units;
  const lookups = cache.stats.lookups;
  return el(
    'div',
    { class: 'tiles' },
    tile(
      'Guest instructions',
      brief(totals.instructions),
      `${percent(totals.interpreted / (totals.instructions || 1))} interpreted`,
    ),
    tile('Units alive', count(live.length), `${count(dead)} died`),
    tile(
      'Cache in use',
      bytes(liveBytes),
      `${percent(liveBytes / (cache.size || 1))} of ${bytes(cache.size)}, ${bytes(used - liveBytes)} dead`,
    ),
    tile('Links', brief(cache.stats.links), `${brief(cache.stats.unlinks)} taken back`),
    tile(
      'Translating',
      duration(translating),
      `${percent(translating / (taken.time || 1))} of ${duration(taken.time)}`,
    ),
    lookups === undefined
      ? tile('Region opened', brief(cache.stats.toggles), `W^X: ${cache.policy}`)
      : tile('Lookups', brief(lookups), `${percent(cache.stats.misses / (lookups || 1))} found nothing`),
  );
};

const hintList = (app) => {
  const hints = app.recording.data.hints;
  if (!hints.length) return el('p', { class: 'muted' }, 'Nothing strikes the eye.');
  return el(
    'ul',
    { class: 'hints' },
    hints.map((hint) =>
      el(
        'li',
        { class: hint.severity },
        el('div', {}, el('b', { class: 'severity' }, hint.severity), shown(hint.text)),
        hint.advice ? el('div', { class: 'muted' }, shown(hint.advice)) : null,
        hint.serials.length
          ? el(
              'div',
              { class: 'muted links' },
              hint.serials.slice(0, 6).map((serial) => [unitLink(app, serial), ' ']),
              hint.serials.length > 6 ? `and ${plural(hint.serials.length - 6, 'other')}` : '',
            )
          : null,
      ),
    ),
  );
};

const hotList = (app) => {
  const { recording } = app;
  const hot = recording.hottest.slice(0, HOT_LIST).filter((unit) => unit.share > 0);
  if (!hot.length)
    return el('p', { class: 'muted' }, 'Nothing was counted: run with --inspect or --dump to count executions.');
  let sum = 0;
  return el(
    'table',
    { class: 'hot' },
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        ['Unit', 'Time', 'Sum', 'Rounds'].map((name, index) =>
          el('th', { scope: 'col', class: index ? 'number' : '' }, name),
        ),
      ),
    ),
    el(
      'tbody',
      {},
      hot.map((unit) => {
        sum += unit.share;
        return el(
          'tr',
          { class: unit.alive ? '' : 'was' },
          el('th', { scope: 'row' }, unitLink(app, unit.serial), ' ', unit.alive ? null : stateText(unit)),
          el('td', {}, heatBar(unit.share, recording.hottestShare)),
          el('td', { class: 'number muted' }, percent(Math.min(1, sum))),
          el('td', { class: 'number' }, brief(unit.rounds)),
        );
      }),
    ),
  );
};

const numbers = (recording) => {
  const { cache, totals } = recording.data;
  const labels = (values) =>
    Object.entries(values)
      .filter(([, value]) => value)
      .map(([name, value]) => [shown(name.replaceAll('_', ' ')), count(value)]);
  const block = (title, pairs) =>
    pairs.length ? el('div', { class: 'card' }, el('h3', {}, title), facts(pairs)) : null;
  return el(
    'div',
    { class: 'cards' },
    block('Counters of the core', labels(cache.stats)),
    block('Deaths by reason', labels(cache.deaths)),
    block('Returns to the run loop', labels(cache.exits)),
    block(
      'Instructions',
      labels({
        'in units': recording.units.reduce((sum, unit) => sum + (unit.instructions ?? 0), 0),
        'in forgotten units': totals.forgotten.instructions,
        interpreted: totals.interpreted,
        'system calls': totals.answered,
        'before the recorder': totals.first,
      }),
    ),
    block('Samples elsewhere', labels(totals.elsewhere)),
  );
};

const leftOut = ({ data }) => {
  const said = [
    data.absent.lines && `the code of the ${plural(data.absent.lines, 'coldest unit')}`,
    data.absent.ir && `the IR of ${plural(data.absent.ir, 'cold unit')}`,
    data.events.left_out && `the ${plural(data.events.left_out, 'oldest event')}`,
    data.events.lost && `${plural(data.events.lost, 'event')} that the log had no room for`,
    data.totals.forgotten.units && `${plural(data.totals.forgotten.units, 'dead unit')} of which only sums were kept`,
  ].filter((text) => text);
  return said.length ? el('p', { class: 'muted', id: 'left-out' }, `Not on this page: ${said.join('; ')}.`) : null;
};

const summaryView = {
  label: 'Summary',
  open(app) {
    const { recording } = app;
    const { subject, taken, counted } = recording.data;
    const node = el(
      'section',
      { class: 'summary' },
      facts([
        ['Program', shown(subject.program)],
        ['Guest', shown(subject.guest)],
        ['Machine', shown(subject.machine)],
        ['Host', shown(subject.host)],
        ['Tier', shown(subject.tier)],
        ['Entry', el('code', {}, recording.name(subject.entry))],
        ['Recorded for', duration(taken.time)],
        ['SHA-256', el('code', { title: shown(subject.digest) }, shown(subject.digest).slice(0, 12))],
      ]),
      counted ? null : el('p', { class: 'note' }, 'Executions were not counted, so there is no heat here.'),
      tiles(recording),
      el(
        'div',
        { class: 'halves' },
        el(
          'div',
          { class: 'card' },
          el('h2', {}, 'Hottest units'),
          el('p', { class: 'muted' }, `Time: share of all ${recording.basis}.`),
          hotList(app),
        ),
        el(
          'div',
          {},
          el('div', { class: 'card' }, el('h2', {}, 'Hints'), hintList(app)),
          el('div', { class: 'card' }, el('h2', {}, 'Translations and deaths'), timeChart(app, { height: 120 }).node),
        ),
      ),
      el('h2', {}, 'Numbers'),
      numbers(recording),
      leftOut(recording),
    );
    return { node };
  },
};
