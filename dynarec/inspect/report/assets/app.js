// Which view is shown, and how it is addressed: #unit=12, #view=units&q=hot&sort=-bytes.

const VIEWS = {
  summary: summaryView,
  units: unitsView,
  unit: unitView,
  graph: graphView,
  cache: cacheView,
  time: timeView,
  flame: flameView,
};

const parsed = (hash) => {
  const params = new URLSearchParams(hash.replace(/^#/, ''));
  const unit = params.has('unit') ? Number(params.get('unit')) : null;
  const view = params.get('view') ?? (unit !== null ? 'unit' : 'summary');
  return {
    view: Object.hasOwn(VIEWS, view) ? view : 'summary',
    unit,
    q: params.get('q'),
    sort: params.get('sort'),
    size: params.get('size'),
    by: params.get('by'),
  };
};

const written = (state) => {
  const pairs = Object.entries(state).filter(
    ([name, value]) =>
      value !== null &&
      value !== undefined &&
      value !== '' &&
      !(name === 'view' && value === 'unit' && state.unit !== null),
  );
  return `#${new URLSearchParams(pairs)}`;
};

class App {
  constructor(recording) {
    this.recording = recording;
    this.content = document.getElementById('content');
    this.state = parsed(location.hash);
    addEventListener('hashchange', () => {
      this.state = parsed(location.hash);
      this.open();
    });
    addEventListener('keydown', (event) => this.key(event));
    addEventListener('beforeprint', () => this.print(true));
    addEventListener('afterprint', () => this.print(false));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.repaint());
    this.themeButton();
    this.measureChoice();
  }

  // Go to another view or unit: one more step for the browser's way back.
  go({ view = 'unit', ...more }) {
    tip.hide();
    location.hash = written({ unit: view === 'summary' ? null : this.state.unit, view, by: this.state.by, ...more });
  }

  // Change what the address says of the present view.
  remember(more) {
    Object.assign(this.state, more);
    history.replaceState(null, '', written(this.state));
  }

  open() {
    this.current?.close?.();
    tip.hide();
    this.recording.weigh(this.state.by);
    const view = VIEWS[this.state.view];
    this.current = view.open(this);
    this.content.replaceChildren(this.current.node);
    this.content.dataset.view = this.state.view;
    document.title = `${view.label}: ${document.getElementById('title').textContent}`;
    this.tabs();
    scrollTo(0, 0);
    this.current.repaint?.();
    if (this.wantsFilter) document.getElementById('filter')?.focus();
    this.wantsFilter = false;
  }

  tabs() {
    document.getElementById('tabs').replaceChildren(
      ...Object.entries(VIEWS).map(([name, view]) =>
        el(
          'a',
          {
            href: written({
              view: name,
              by: this.state.by,
              unit: name === 'unit' || name === 'graph' || name === 'cache' ? this.state.unit : null,
            }),
            'aria-current': name === this.state.view ? 'page' : null,
            'data-view': name,
          },
          view.label,
        ),
      ),
    );
    document.querySelector('[aria-current=page]').scrollIntoView({ block: 'nearest', inline: 'center' });
  }

  themeButton() {
    const box = document.getElementById('theme');
    const label = () => {
      box.textContent = theme.isDark ? '\u2600 Light' : '\u263e Dark';
    };
    box.setAttribute('title', 'Change between light and dark');
    box.addEventListener('click', () => {
      theme.toggle();
      label();
      this.repaint();
    });
    this.relabel = label;
    label();
  }

  // Samples are time, but few; instructions are exact, but not time.
  measureChoice() {
    const { measures } = this.recording;
    if (measures.length < 2) return;
    document.getElementById('theme').before(
      choice(
        'Time by',
        measures.map((name) => [name, name]),
        this.state.by,
        (by) => {
          this.remember({ by: by === measures[0] ? null : by });
          this.open();
        },
        { id: 'measure' },
      ),
    );
  }

  // Colours that were computed are computed again.
  repaint() {
    this.relabel();
    if (this.state.view === 'summary') this.open();
    else this.current.repaint?.();
  }

  // Paper is white.
  print(isPrinted) {
    const { dataset } = document.documentElement;
    if (isPrinted) this.screenTheme = dataset.theme;
    if (isPrinted) dataset.theme = 'light';
    else if (this.screenTheme) dataset.theme = this.screenTheme;
    else delete dataset.theme;
    this.repaint();
    this.current.print?.(isPrinted);
  }

  key(event) {
    const isTyping = event.target.matches?.('input, select, textarea');
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === '/' && !isTyping) {
      event.preventDefault();
      this.wantsFilter = this.state.view !== 'units';
      if (this.wantsFilter) this.go({ view: 'units' });
      else document.getElementById('filter').focus();
    } else if (event.key === 'Escape') {
      tip.hide();
      if (isTyping) event.target.blur();
    } else if (!isTyping && /^[1-7]$/.test(event.key)) this.go({ view: Object.keys(VIEWS)[Number(event.key) - 1] });
  }
}

const start = async () => {
  theme.restore();
  const recording = new Recording(await unpack(document.getElementById('data').textContent));
  recording.countLinks();
  const app = new App(recording);
  app.open();
  document.documentElement.dataset.ready = 'yes';
};

start().catch((error) => {
  document
    .getElementById('content')
    .replaceChildren(
      el('p', { class: 'note' }, `This page cannot be read: ${error.message}. It needs a browser of 2024 or later.`),
    );
  throw error;
});
