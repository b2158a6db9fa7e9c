"use strict";
// Brings the page up to date: sections by server-sent events, and what depends on the time alone by itself.
(() => {
  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const RETRY_MS = 20000;
  const SILENCE_MS = 30000; // something is heard every 10 s, if only that nothing has changed
  const byId = (id) => document.getElementById(id);
  let events = null;
  let heardAt = 0;
  let ahead = Date.now() - Date.parse(document.body.dataset.now); // of this clock, compared with the service's

  const lasting = (seconds) => {
    for (let index = 0; index < UNITS.length - 1; index++) {
      const [unit, name] = UNITS[index];
      const [smaller, of] = UNITS[index + 1];
      if (seconds >= unit) {
        const rest = Math.floor((seconds % unit) / smaller);
        return `${Math.floor(seconds / unit)} ${name}` + (rest ? ` ${rest} ${of}` : "");
      }
    }
    return `${seconds} s`;
  };

  const tick = () => {
    const now = Date.now() - ahead;
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const until = Date.parse(time.dateTime) - now;
      const said = lasting(Math.floor(Math.abs(until) / 1000));
      const text = until > 0 ? `in ${said}` : `${said} ago`;
      if (time.textContent !== text) time.textContent = text;
    }
  };

  // A section that is replaced keeps the keyboard where it was, and what was scrolled as it was.
  const replace = (section, html) => {
    const places = () => [...section.querySelectorAll("a, [tabindex]")];
    const focused = places().indexOf(document.activeElement);
    const scrolled = [...section.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
    section.innerHTML = html;
    section.querySelectorAll(".scroll").forEach((part, index) => { part.scrollLeft = scrolled[index] || 0; });
    if (focused >= 0) places()[focused]?.focus({ preventScroll: true });
  };

  const say = (state, text) => {
    byId("link").className = state;
    byId("link").textContent = text;
  };

  const update = (event) => {
    const told = JSON.parse(event.data);
    heardAt = Date.now();
    ahead = Date.now() - Date.parse(told.now);
    byId("as-of").dateTime = told.now;
    byId("as-of").textContent = `${told.now.slice(0, 19).replace("T", " ")} UTC`;
    document.title = `${told.title} · node-fsm`;
    for (const [name, html] of Object.entries(told.sections)) {
      const section = byId(name);
      if (section) replace(section, html);
    }
    if (byId("announcement").textContent !== told.announcement) byId("announcement").textContent = told.announcement;
    tick();
  };

  const listen = () => {
    events = new EventSource("/page/events");
    heardAt = Date.now();
    events.onopen = () => say("live", "Live, as of");
    events.onmessage = update;
    events.onerror = lost;
  };

  const lost = () => {
    say("lost", "Not live, trying again; as of");
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
  };

  setInterval(() => {
    tick();
    if (events.readyState === EventSource.OPEN && Date.now() - heardAt > SILENCE_MS) {
      events.close();
      lost();
    }
  }, 1000);
  listen();
})();
