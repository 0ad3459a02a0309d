// Colours: of the theme, of heat, of deaths. Scales go from one lightness to the other, so that they can be told apart
// without their hue.

const HEATS = {
  light: ['#fff3dc', '#fdd49e', '#fc9b5f', '#e2512f', '#a80f1c', '#5c0013'],
  dark: ['#33211c', '#6b2a1c', '#b0431f', '#e77a33', '#fbb668', '#fff0c9'],
};
const REASONS = ['store', 'fence.i', 'host-write', 'flush', 'evicted', 'breakpoint', 'hook', 'device'];

const theme = {
  get isDark() {
    const set = document.documentElement.dataset.theme;
    return set ? set === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  },

  // The colour that a variable of the style has now; a canvas takes no variables.
  color(name) {
    const probe = el('span', { style: { color: `var(--${name})`, display: 'none' } });
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  },

  // heat: 0 to 1.
  heat(value) {
    const stops = HEATS[this.isDark ? 'dark' : 'light'];
    const place = Math.max(0, Math.min(1, value)) * (stops.length - 1);
    const index = Math.min(stops.length - 2, Math.floor(place));
    const channel = (text, at) => parseInt(text.slice(at, at + 2), 16);
    const mixed = [1, 3, 5].map((at) =>
      Math.round(channel(stops[index], at) * (index + 1 - place) + channel(stops[index + 1], at) * (place - index)),
    );
    return `rgb(${mixed.join(' ')})`;
  },

  // That of text on such a colour.
  onHeat(value) {
    return this.isDark === value < 0.6 ? '#fff' : '#1a1a1a';
  },

  toggle() {
    document.documentElement.dataset.theme = this.isDark ? 'light' : 'dark';
    try {
      localStorage.setItem('dynarec-theme', document.documentElement.dataset.theme);
    } catch {
      // Files from a disk may have no storage: the choice holds until the page is closed.
    }
  },

  restore() {
    try {
      const kept = localStorage.getItem('dynarec-theme');
      if (kept === 'light' || kept === 'dark') document.documentElement.dataset.theme = kept;
    } catch {
      // As above.
    }
  },
};

// A share as heat: the square root, as a few units take nearly all of the time.
const heatOf = (share, most) => (most > 0 && share > 0 ? Math.sqrt(share / most) : 0);

const reasonClass = (reason) => `reason-${Math.max(0, REASONS.indexOf(reason))}`;
const reasonColor = (reason) => theme.color(reasonClass(reason));

const heatLegend = (label) =>
  el(
    'span',
    { class: 'legend heat-legend' },
    `${label}: less`,
    el('span', {
      class: 'ramp',
      style: {
        background: `linear-gradient(to right, ${[0, 0.2, 0.4, 0.6, 0.8, 1].map((at) => theme.heat(at)).join(', ')})`,
      },
    }),
    'more',
  );
// Those of some units' deaths, in the order of the legend.
const reasonsOf = (units) => REASONS.filter((reason) => units.some((unit) => unit.reason === reason));
const reasonLegend = (reasons) =>
  el(
    'ul',
    { class: 'legend', 'aria-label': 'Reasons of deaths' },
    reasons.map((reason) => el('li', {}, el('i', { class: `swatch ${reasonClass(reason)}` }), reason)),
  );
