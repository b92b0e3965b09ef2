// Keeps the page in the browser, so that it reloads without a network. All files of a version stay together: a new version takes over
// once no tab uses the old one.

const worker = /** @type {any} */ (self);
// Two pages of one origin have separate caches.
const OWN = `flytewarden ${new URL("./", worker.location.href).pathname} `;
const CACHE = `${OWN}${BUILD}`;

worker.addEventListener("install", (/** @type {any} */ event) => {
  // The browser's own cache may hold files of an earlier version.
  const requests = FILES.map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

worker.addEventListener("activate", (/** @type {any} */ event) => {
  const old = (/** @type {string} */ name) => name.startsWith(OWN) && name !== CACHE;
  const removed = caches.keys().then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name))));
  event.waitUntil(removed);
});

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  if (event.request.method !== "GET") return;
  const cached = caches.open(CACHE).then((cache) => cache.match(event.request, { ignoreSearch: true }));
  event.respondWith(cached.then((response) => response ?? fetch(event.request)));
});
