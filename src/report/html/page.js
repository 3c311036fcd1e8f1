'use strict';
(() => {
  const table = document.querySelector('.matrix');
  const all = document.querySelectorAll('details.one');

  // A link into a closed submission opens it.
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.tagName === 'DETAILS') at.open = true;
    target.scrollIntoView();
    (target.querySelector(':scope > summary') || target).focus({ preventScroll: true });
  };
  addEventListener('hashchange', open);
  open();

  for (const [id, state] of [['open-all', true], ['close-all', false]]) {
    const button = document.getElementById(id);
    if (button) button.addEventListener('click', () => all.forEach(one => { if (!one.hidden) one.open = state; }));
  }

  // Paper cannot be opened.
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = [...all].filter(one => !one.open && !one.hidden);
    closed.forEach(one => { one.open = true; });
  });
  addEventListener('afterprint', () => closed.forEach(one => { one.open = false; }));
  if (!table) return;

  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector('button').addEventListener('click', () => {
    const down = head.getAttribute('aria-sort') === 'ascending';
    heads.forEach(other => other.setAttribute('aria-sort', 'none'));
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    // A submission that could not be run has one cell for all requirements.
    const key = row => row.cells[column]?.dataset.key ?? row.cells[column]?.textContent ?? '9';
    const rows = [...body.rows];
    rows.sort((one, other) => {
      const [a, b] = [key(one), key(other)];
      const order = isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
      return down ? -order : order;
    });
    body.append(...rows);
  }));

  const filter = document.getElementById('filter');
  const search = document.getElementById('search');
  const told = document.getElementById('told');
  const apply = () => {
    const text = search.value.toLowerCase();
    let shown = 0;
    for (const row of body.rows) {
      const fits = (!filter.value || row.dataset.has.split(' ').includes(filter.value))
        && row.cells[0].textContent.toLowerCase().includes(text);
      row.hidden = !fits;
      const one = document.getElementById(row.dataset.one);
      if (one) one.hidden = !fits;
      shown += fits;
    }
    told.textContent = `${shown} of ${body.rows.length} shown`;
  };
  filter.addEventListener('change', apply);
  search.addEventListener('input', apply);
})();
