// The recording: unpacked, with each unit as an object, and what can be asked of them.

const unpack = async (text) => {
  const binary = atob(text);
  const data = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) data[index] = binary.charCodeAt(index);
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream('gzip'));
  return JSON.parse(await new Response(stream).text());
};

class Recording {
  constructor(data) {
    this.data = data;
    this.texts = data.texts.map(shown);
    this.symbols = new Map(Object.entries(data.symbols));
    this.units = this.makeUnits(data.units);
    this.bySerial = new Map(this.units.map((unit) => [unit.serial, unit]));
    this.into = new Map();
    this.outOf = new Map();
    for (const [source, target, kind, taken, linked] of data.edges)
      this.addEdge({ source, target, kind, taken, linked });
    this.weigh(null);
    this.chunks = document.getElementById('listings').textContent.split('\n');
    this.unpacked = new Map();
  }

  // What the time can be measured in, the better one first.
  get measures() {
    return ['samples', 'instructions'].filter((name) => this.data.totals[name] > 0);
  }

  // Shares of the time, in one of the measures.
  weigh(measure) {
    this.measure = this.measures.includes(measure) ? measure : (this.measures[0] ?? null);
    const all = this.measure ? this.data.totals[this.measure] : 1;
    for (const unit of this.units) unit.share = this.measure ? (unit[this.measure] ?? 0) / all : 0;
    this.hottest = [...this.units].sort(
      (a, b) => b.share - a.share || b.alive - a.alive || (b.rounds ?? 0) - (a.rounds ?? 0) || a.serial - b.serial,
    );
    this.hottestShare = this.hottest.length ? this.hottest[0].share : 0;
  }

  addEdge(edge) {
    const { source, target } = edge;
    if (!this.outOf.has(source)) this.outOf.set(source, []);
    if (!this.into.has(target)) this.into.set(target, []);
    this.outOf.get(source).push(edge);
    this.into.get(target).push(edge);
  }

  makeUnits(columns) {
    const { all_circumstances: circumstances, ...each } = columns;
    const names = Object.keys(each);
    return columns.serial.map((_, index) => {
      const unit = {};
      for (const name of names) unit[name] = each[name][index];
      for (const name of ['symbol', 'place', 'tier']) unit[name] = this.texts[unit[name]];
      unit.lines = unit.lines.map((line) => this.texts[line]);
      unit.name = this.name(unit.key);
      unit.circumstances = circumstances[unit.circumstances];
      unit.alive = unit.died === null;
      unit.death = unit.died && this.makeDeath(unit.died);
      unit.reason = unit.alive ? '' : unit.death.reason;
      unit.exits = unit.exits.map((values) => this.makeExit(values));
      unit.seconds = Object.values(unit.phases).reduce((sum, value) => sum + value, 0);
      unit.linksOut = unit.exits.filter((exit) => exit.linked !== null).length;
      unit.linksIn = 0;
      unit.start = Number(unit.key);
      return unit;
    });
  }

  makeDeath([time, instructions, reason, address, pc]) {
    return { time, instructions, reason: this.texts[reason], address, pc };
  }

  makeExit([kind, target, executed, offset, taken, missed, linked]) {
    return { kind: this.texts[kind], target, executed, offset, taken, missed, linked };
  }

  countLinks() {
    for (const unit of this.units) {
      if (!unit.alive) continue;
      for (const exit of unit.exits) {
        const other = exit.linked === null ? null : this.bySerial.get(exit.linked);
        if (other) other.linksIn += 1;
      }
    }
  }

  // "main+0x10", or the address itself where there is no symbol.
  name(address) {
    const number = this.data.names[address];
    return number === undefined ? address : this.texts[number];
  }

  // The lines of a unit, or null where they are not on the page.
  async lines(unit) {
    const number = this.data.listings[unit.serial];
    if (number === undefined) return null;
    if (!this.unpacked.has(number)) this.unpacked.set(number, unpack(this.chunks[number]));
    return (await this.unpacked.get(number))[unit.serial];
  }

  get basis() {
    return { samples: 'samples', instructions: 'guest instructions' }[this.measure] ?? 'nothing that was counted';
  }
}

const shareOf = (units) => units.reduce((sum, unit) => sum + unit.share, 0);

// -- filters: the language of dynarec inspect --filter --

const NUMBER = /^(0x[0-9a-f]+|[0-9]+)$/i;
const HOT = 0.01;
const PREDICATES = {
  live: (unit) => unit.alive,
  dead: (unit) => !unit.alive,
  hot: (unit) => unit.share >= HOT,
};

const holds = (unit, address) =>
  unit.ranges.some(([start, size]) => address >= Number(start) && address < Number(start) + size);

// The address that a number, a symbol, or symbol+offset stands for; null if it is neither.
const addressOf = (word, recording) => {
  if (NUMBER.test(word)) return Number(word);
  if (recording.symbols.has(word)) return Number(recording.symbols.get(word));
  const [, base, offset] = /^(.+)\+(0x[0-9a-f]+|[0-9]+)$/i.exec(word) ?? [];
  return recording.symbols.has(base) ? Number(recording.symbols.get(base)) + Number(offset) : null;
};

const predicate = (word, recording) => {
  const text = word.toLowerCase();
  if (Object.hasOwn(PREDICATES, text)) return PREDICATES[text];
  if (text.startsWith('reason:')) return (unit) => unit.reason === text.slice(7);
  if (/^#\d+$/.test(word)) return (unit) => unit.serial === Number(word.slice(1));
  if (/:\d+$/.test(word)) return (unit) => unit.lines.some((line) => line === word || line.endsWith(`/${word}`));
  const address = NUMBER.test(word) || word.includes('+') ? addressOf(word, recording) : null;
  if (address !== null) return (unit) => holds(unit, address);
  return (unit) => unit.name.toLowerCase().includes(text) || unit.place.toLowerCase().includes(text);
};

// Units for which all words hold.
const filtered = (recording, query) => {
  const predicates = query
    .split(/\s+/)
    .filter((word) => word)
    .map((word) => predicate(word, recording));
  return recording.units.filter((unit) => predicates.every((holdsFor) => holdsFor(unit)));
};
