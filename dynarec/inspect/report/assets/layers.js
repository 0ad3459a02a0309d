// A layered drawing of a directed graph, after Sugiyama: break cycles, assign layers, order each layer to have few
// crossings, place nodes near their neighbours. Components are drawn apart and packed in rows.

const NODE = { width: 148, height: 46, gapX: 26, gapY: 52, margin: 40 };
const THIN = 10;
const SWEEPS = 10;
const MOST_BENDS = 30000;

// nodes: ids, in an order that is natural to read; edges: { source, target, weight }.
// Returns { at: id -> { x, y } (centres), routes: edge -> { points, isBack }, width, height }; edges from a node to
// itself have no route.
const layered = (nodes, edges, aspect = 1.6) => {
  const parts = components(nodes, edges).map((part) => drawComponent(part.nodes, part.edges));
  return packed(parts, aspect);
};

const components = (nodes, edges) => {
  const parent = new Map(nodes.map((id) => [id, id]));
  const root = (id) => {
    while (parent.get(id) !== id) {
      parent.set(id, parent.get(parent.get(id)));
      id = parent.get(id);
    }
    return id;
  };
  for (const { source, target } of edges) parent.set(root(source), root(target));
  const parts = new Map();
  for (const id of nodes) {
    if (!parts.has(root(id))) parts.set(root(id), { nodes: [], edges: [] });
    parts.get(root(id)).nodes.push(id);
  }
  for (const edge of edges) if (edge.source !== edge.target) parts.get(root(edge.source)).edges.push(edge);
  return [...parts.values()].sort((a, b) => b.nodes.length - a.nodes.length);
};

const drawComponent = (nodes, edges) => {
  const turned = backEdges(nodes, edges);
  const directed = edges.map((edge) =>
    turned.has(edge)
      ? { edge, from: edge.target, to: edge.source, weight: edge.weight }
      : { edge, from: edge.source, to: edge.target, weight: edge.weight },
  );
  const layerOf = assignLayers(nodes, directed);
  const { layers, links, chains } = withBends(nodes, directed, layerOf);
  orderLayers(layers, links);
  placeInLayers(layers, links);
  return finished(layers, chains, turned);
};

// Edges that close a cycle in a depth-first walk, which takes heavy edges first.
const backEdges = (nodes, edges) => {
  const out = new Map(nodes.map((id) => [id, []]));
  const inDegree = new Map(nodes.map((id) => [id, 0]));
  for (const edge of [...edges].sort((a, b) => b.weight - a.weight)) {
    out.get(edge.source).push(edge);
    inDegree.set(edge.target, inDegree.get(edge.target) + 1);
  }
  const state = new Map();
  const found = new Set();
  const roots = [...nodes].sort((a, b) => (inDegree.get(a) > 0) - (inDegree.get(b) > 0));
  for (const start of roots) {
    if (state.has(start)) continue;
    const stack = [[start, 0]];
    state.set(start, 'open');
    while (stack.length) {
      const top = stack[stack.length - 1];
      const edge = out.get(top[0])[top[1]++];
      if (!edge) {
        state.set(top[0], 'closed');
        stack.pop();
      } else if (state.get(edge.target) === 'open') found.add(edge);
      else if (!state.has(edge.target)) {
        state.set(edge.target, 'open');
        stack.push([edge.target, 0]);
      }
    }
  }
  return found;
};

// The longest way from a source; then nodes move down to what they lead to, if that makes their edges shorter.
const assignLayers = (nodes, directed) => {
  const [out, into] = [new Map(nodes.map((id) => [id, []])), new Map(nodes.map((id) => [id, []]))];
  for (const each of directed) {
    out.get(each.from).push(each);
    into.get(each.to).push(each);
  }
  const waiting = new Map(nodes.map((id) => [id, into.get(id).length]));
  const layerOf = new Map(nodes.map((id) => [id, 0]));
  const ready = nodes.filter((id) => !waiting.get(id));
  for (const id of ready) {
    for (const { to } of out.get(id)) {
      layerOf.set(to, Math.max(layerOf.get(to), layerOf.get(id) + 1));
      waiting.set(to, waiting.get(to) - 1);
      if (!waiting.get(to)) ready.push(to);
    }
  }
  for (const id of ready.reverse()) {
    if (out.get(id).length > into.get(id).length)
      layerOf.set(id, Math.min(...out.get(id).map(({ to }) => layerOf.get(to))) - 1);
  }
  return layerOf;
};

// Edges over several layers get a bend in each; of huge graphs they go straight.
const withBends = (nodes, directed, layerOf) => {
  const layers = Array.from({ length: Math.max(0, ...layerOf.values()) + 1 }, () => []);
  const items = new Map(nodes.map((id) => [id, { id, width: NODE.width, layer: layerOf.get(id) }]));
  for (const item of items.values()) layers[item.layer].push(item);
  const bends = directed.reduce((sum, { from, to }) => sum + layerOf.get(to) - layerOf.get(from) - 1, 0);
  const links = [];
  const chains = directed.map(({ edge, from, to, weight }) => {
    const chain = [items.get(from)];
    if (bends <= MOST_BENDS) {
      for (let layer = layerOf.get(from) + 1; layer < layerOf.get(to); layer += 1) {
        const bend = { id: null, width: THIN, layer };
        layers[layer].push(bend);
        chain.push(bend);
      }
    }
    chain.push(items.get(to));
    for (let index = 1; index < chain.length; index += 1)
      links.push({ up: chain[index - 1], down: chain[index], weight });
    return { edge, chain };
  });
  return { layers, links, chains };
};

const neighbours = (links) => {
  const [ups, downs] = [new Map(), new Map()];
  const add = (map, item, other) => (map.has(item) ? map.get(item).push(other) : map.set(item, [other]));
  for (const { up, down } of links) {
    add(ups, down, up);
    add(downs, up, down);
  }
  return { ups, downs };
};

const orderLayers = (layers, links) => {
  const { ups, downs } = neighbours(links);
  const number = (layer) =>
    layer.forEach((item, index) => {
      item.order = index;
    });
  layers.forEach(number);
  const sorted = (layer, near) => {
    for (const item of layer) {
      const places = (near.get(item) ?? []).map((other) => other.order).sort((a, b) => a - b);
      const middle = places.length >> 1;
      item.wish = places.length
        ? places.length % 2
          ? places[middle]
          : (places[middle - 1] + places[middle]) / 2
        : item.order;
    }
    layer.sort((a, b) => a.wish - b.wish || a.order - b.order);
    number(layer);
  };
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    layers.forEach((layer) => sorted(layer, ups));
    [...layers].reverse().forEach((layer) => sorted(layer, downs));
  }
  layers.forEach((layer) => sorted(layer, ups));
};

// The places nearest to the wishes (least squares) that keep order and distances: pool adjacent violators.
const placed = (layer) => {
  const blocks = [];
  let shift = 0;
  layer.forEach((item, index) => {
    if (index)
      shift +=
        (layer[index - 1].width + item.width) / 2 +
        NODE.gapX * (item.id === null || layer[index - 1].id === null ? 0.5 : 1);
    item.shift = shift;
    let block = { sum: (item.wish - shift) * item.pull, pull: item.pull, items: [item] };
    while (blocks.length && blocks[blocks.length - 1].sum / blocks[blocks.length - 1].pull > block.sum / block.pull) {
      const before = blocks.pop();
      block = { sum: before.sum + block.sum, pull: before.pull + block.pull, items: [...before.items, ...block.items] };
    }
    blocks.push(block);
  });
  for (const { sum, pull, items } of blocks) for (const item of items) item.x = sum / pull + item.shift;
};

const placeInLayers = (layers, links) => {
  const { ups, downs } = neighbours(links);
  for (const layer of layers) {
    layer.forEach((item) => {
      item.wish = 0;
      item.pull = 1;
    });
    placed(layer);
  }
  const settle = (layer, ...near) => {
    for (const item of layer) {
      const others = near.flatMap((map) => map.get(item) ?? []);
      item.pull = item.id === null ? 8 : 1 + others.length;
      item.wish = others.length ? others.reduce((sum, other) => sum + other.x, 0) / others.length : item.x;
    }
    placed(layer);
  };
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    layers.forEach((layer) => settle(layer, ups));
    [...layers].reverse().forEach((layer) => settle(layer, downs));
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) layers.forEach((layer) => settle(layer, ups, downs));
};

const finished = (layers, chains, turned) => {
  const left = Math.min(...layers.flat().map((item) => item.x - item.width / 2));
  const y = (layer) => layer * (NODE.height + NODE.gapY) + NODE.height / 2;
  const at = new Map();
  for (const item of layers.flat()) {
    item.x -= left;
    if (item.id !== null) at.set(item.id, { x: item.x, y: y(item.layer) });
  }
  const routes = new Map(
    chains.map(({ edge, chain }) => {
      const points = route(chain, y, turned.has(edge) ? NODE.width / 5 : -NODE.width / 10);
      return [edge, { points: turned.has(edge) ? points.reverse() : points, isBack: turned.has(edge) }];
    }),
  );
  const right = Math.max(...layers.flat().map((item) => item.x + item.width / 2));
  return { at, routes, width: right, height: y(layers.length - 1) + NODE.height / 2 };
};

const route = (chain, y, port) => {
  const half = NODE.height / 2;
  const points = chain.slice(1, -1).map((bend) => [bend.x, y(bend.layer)]);
  const [first, last] = [chain[0], chain[chain.length - 1]];
  return [[first.x + port, y(first.layer) + half], ...points, [last.x + port, y(last.layer) - half]];
};

// Components side by side, in rows about as wide as all of it should be.
const packed = (parts, aspect) => {
  const area = parts.reduce((sum, part) => sum + (part.width + NODE.margin) * (part.height + NODE.margin), 0);
  const most = Math.max(Math.sqrt(area * aspect), ...parts.map((part) => part.width));
  const found = { at: new Map(), routes: new Map(), width: 0, height: 0 };
  let [x, y, rowHeight] = [0, 0, 0];
  for (const part of parts) {
    if (x > 0 && x + part.width > most) [x, y, rowHeight] = [0, y + rowHeight + NODE.margin, 0];
    for (const [id, place] of part.at) found.at.set(id, { x: place.x + x, y: place.y + y });
    for (const [edge, { points, isBack }] of part.routes)
      found.routes.set(edge, { points: points.map(([px, py]) => [px + x, py + y]), isBack });
    found.width = Math.max(found.width, x + part.width);
    x += part.width + NODE.margin;
    rowHeight = Math.max(rowHeight, part.height);
    found.height = Math.max(found.height, y + rowHeight);
  }
  return found;
};
