"use strict";
(() => {
  const OFTEN = 2000, SELDOM = 10000;
  const PARTS = ["told", "glance", "loud", "orders", "requests", "faults", "remarks"];
  const at = (id) => document.getElementById(id);
  const live = at("live"), button = at("pause");
  let timer = 0, paused = false, looking = false;

  const say = (text, state) => {
    if (live.textContent !== text) live.textContent = text;
    live.className = state;
  };

  // Whoever marks text is about to copy it.
  const reading = () => {
    const chosen = getSelection();
    return chosen !== null && !chosen.isCollapsed && chosen.anchorNode !== null
      && document.querySelector("main").contains(chosen.anchorNode);
  };

  const keep = (before, after) => {
    for (const old of before.querySelectorAll("details[id]")) {
      const now = [...after.querySelectorAll("details[id]")].find((each) => each.id === old.id);
      if (now) now.open = old.open;
    }
  };

  // The first row in sight stays where it is when others come in above it.
  const anchor = () => {
    if (scrollY < 80) return () => {};
    const rows = document.querySelectorAll("main tr[id], main tbody[id], main section[id]");
    const row = [...rows].find((each) => each.getBoundingClientRect().top >= 48);
    if (!row) return () => {};
    const { id } = row, top = row.getBoundingClientRect().top;
    return () => {
      const same = at(id);
      if (same) scrollBy({ top: same.getBoundingClientRect().top - top, behavior: "instant" });
    };
  };

  const focused = () => {
    const old = document.activeElement;
    const part = old && old.closest("main [id]");
    if (!part || !old.closest("main")) return () => {};
    const { id } = part, href = old.getAttribute("href"), summary = old.matches("summary");
    return () => {
      if (document.activeElement && document.activeElement.closest("main")) return;
      const again = at(id);
      if (!again) return;
      const found = summary ? again.querySelector("summary")
        : [...again.querySelectorAll("a")].find((each) => each.getAttribute("href") === href);
      if (found) found.focus({ preventScroll: true });
    };
  };

  const show = (page) => {
    const settle = anchor(), refocus = focused();
    for (const id of PARTS) {
      const before = at(id), after = page.getElementById(id);
      if (!before || !after) continue;
      keep(before, after);
      if (before.outerHTML !== after.outerHTML) before.replaceWith(document.adoptNode(after));
    }
    const icon = page.getElementById("icon");
    if (icon && icon.getAttribute("href") !== at("icon").getAttribute("href")) at("icon").replaceWith(document.adoptNode(icon));
    if (document.title !== page.title) document.title = page.title;
    refocus();
    settle();
  };

  const look = async () => {
    if (looking || paused || document.hidden) return;
    looking = true;
    let wait = OFTEN;
    try {
      const answer = await fetch(location.pathname + location.search, { cache: "no-store" });
      if (!answer.ok) wait = SELDOM;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!page.getElementById("glance")) throw new Error("another page");
      if (paused) return;
      if (!reading()) show(page);
      say("Live", "on");
    } catch {
      say("The sandbox has ended", "off");
      wait = SELDOM;
    } finally {
      looking = false;
      next(wait);
    }
  };

  const next = (wait) => {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(look, wait);
  };

  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Go on" : "Pause";
    if (paused) say("Paused", "");
    next(0);
  });
  document.addEventListener("visibilitychange", () => next(0));
  at("find").addEventListener("keydown", (event) => {
    const wanted = event.target.value.trim();
    if (event.key === "Enter" && wanted) location.href = "/?order=" + encodeURIComponent(wanted);
  });

  at("again-link").hidden = true;
  button.hidden = at("finder").hidden = false;
  say("Live", "on");
  next(OFTEN);
})();
