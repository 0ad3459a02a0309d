// A table of any length: only the rows that can be seen are elements.

const MARGIN_ROWS = 8;
const PRINTED_ROWS = 60;

class Rows {
  // columns: { name, label, hint, width, wide, value(item), cell(item) }; `wide` ones are left out on narrow screens.
  // onopen(item): Enter or a click. onsort(name, descending): after a click on a heading; absent: it cannot be sorted.
  constructor({ label, columns, sort = null, onopen, onsort = null, empty = 'Nothing fits.' }) {
    Object.assign(this, { columns, sort, onopen, onsort, empty });
    this.items = this.given = [];
    this.isPrinted = false;
    this.cursor = 0;
    this.head = el('div', { class: 'row head', role: 'row', 'aria-rowindex': 1 });
    this.body = el('div', { class: 'body', role: 'rowgroup' });
    this.node = el(
      'div',
      {
        class: 'rows',
        role: 'grid',
        tabindex: 0,
        'aria-label': label,
        onkeydown: (event) => this.key(event),
        onscroll: () => this.paint(),
      },
      el('div', { role: 'rowgroup', class: 'heads' }, this.head),
      this.body,
    );
    this.node.style.setProperty('--columns', columns.map((column) => column.width).join(' '));
    this.node.style.setProperty(
      '--narrow',
      columns
        .filter((column) => !column.wide)
        .map((column) => column.narrow ?? column.width)
        .join(' '),
    );
    this.watch = new ResizeObserver(() => this.paint());
    this.watch.observe(this.node);
  }

  close() {
    this.watch.disconnect();
  }

  show(items) {
    this.given = items;
    this.order();
  }

  order() {
    const column = this.sort && this.columns.find((each) => each.name === this.sort.name);
    this.items = this.given;
    if (column) {
      const sign = this.sort.descending ? -1 : 1;
      const keyed = this.items.map((item) => [column.value(item) ?? -1, item]);
      keyed.sort(([a], [b]) => (a < b ? -sign : a > b ? sign : 0));
      this.items = keyed.map(([, item]) => item);
    }
    this.cursor = Math.max(0, Math.min(this.cursor, this.items.length - 1));
    this.paintHead();
    this.node.setAttribute('aria-rowcount', this.items.length + 1);
    this.painted = null;
    this.paint();
  }

  paintHead() {
    this.head.replaceChildren(
      ...this.columns.map((column) => {
        const isSorted = this.sort && this.sort.name === column.name;
        const direction = isSorted ? (this.sort.descending ? 'descending' : 'ascending') : 'none';
        const inside = this.onsort
          ? button(column.label, () => this.sortBy(column), {
              title: column.hint,
              tabindex: 0,
              'data-sort': column.name,
            })
          : el('span', { title: column.hint }, column.label);
        return el(
          'div',
          { role: 'columnheader', class: this.cellClass(column), 'aria-sort': this.onsort ? direction : null },
          inside,
        );
      }),
    );
  }

  sortBy(column) {
    const again = this.sort && this.sort.name === column.name;
    this.sort = { name: column.name, descending: again ? !this.sort.descending : !column.text };
    this.order();
    this.node.querySelector(`[data-sort="${column.name}"]`)?.focus();
    this.onsort(this.sort);
  }

  cellClass(column) {
    return `${column.text ? 'text' : 'number'}${column.wide ? ' wide' : ''}`;
  }

  get rowHeight() {
    return parseFloat(getComputedStyle(this.node).getPropertyValue('--row')) || 28;
  }

  // Paper has no window to scroll.
  print(isPrinted) {
    this.isPrinted = isPrinted;
    this.paint();
  }

  paint() {
    const all = this.isPrinted;
    const height = this.rowHeight;
    const first = all ? 0 : Math.max(0, Math.floor(this.node.scrollTop / height) - MARGIN_ROWS);
    const visible = all ? PRINTED_ROWS : Math.ceil(this.node.clientHeight / height) + 2 * MARGIN_ROWS;
    const last = Math.min(this.items.length, first + visible);
    const painted = `${first} ${last} ${height} ${this.cursor}`;
    if (painted === this.painted) return;
    this.painted = painted;
    this.body.style.height = `${Math.max(1, all ? last : this.items.length) * height}px`;
    if (!this.items.length) this.body.replaceChildren(el('p', { class: 'note' }, this.empty));
    else
      this.body.replaceChildren(
        ...this.items.slice(first, last).map((item, index) => this.row(item, first + index, height)),
      );
    const active = this.items.length ? `row-${this.cursor}` : '';
    if (active) this.node.setAttribute('aria-activedescendant', active);
  }

  row(item, index, height) {
    return el(
      'div',
      {
        class: `row${index === this.cursor ? ' cursor' : ''}`,
        role: 'row',
        id: `row-${index}`,
        'aria-rowindex': index + 2,
        style: { transform: `translateY(${index * height}px)` },
        onclick: () => {
          this.cursor = index;
          this.paint();
          this.onopen(item);
        },
      },
      this.columns.map((column) => el('div', { role: 'gridcell', class: this.cellClass(column) }, column.cell(item))),
    );
  }

  key(event) {
    if (event.target !== this.node || event.ctrlKey || event.altKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(this.node.clientHeight / this.rowHeight) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) this.move(steps[event.key]);
    else if (event.key === 'Enter' && this.items.length) this.onopen(this.items[this.cursor]);
    else return;
    event.preventDefault();
  }

  move(step) {
    this.cursor = Math.max(0, Math.min(this.items.length - 1, this.cursor + step));
    const height = this.rowHeight;
    const top = this.cursor * height;
    const room = this.node.clientHeight - 2 * height;
    if (top < this.node.scrollTop) this.node.scrollTop = top;
    else if (top > this.node.scrollTop + room) this.node.scrollTop = top - room;
    this.paint();
  }
}
