"use strict";
// Single questions: chosen, sorted, looked at one by one, and downloaded. All data is in the page.
(() => {
  const UNIT = 10000, PAGE = 50, SVG = "http://www.w3.org/2000/svg";

  const make = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === true) made.setAttribute(key, "");
      else if (value !== false && value != null) made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child != null));
    return made;
  };
  const number = (value, digits = 3) => (value == null ? "–" : value.toFixed(digits));
  const signed = (value) => {
    if (value == null) return "–";
    return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(3);
  };
  const grouped = (n) => n.toLocaleString("en");
  const less = (a, b) => (a == null || b == null ? null : a - b);

  // What one run answered to question i, from lists that leave out what follows from the rest.
  const reader = (data) => {
    const ends = [0];
    for (const own of data.offered) ends.push(ends[ends.length - 1] + own.length);
    return (run, i) => {
      const p = run.p.slice(ends[i], ends[i + 1]).map((x) => (x == null ? null : x / UNIT));
      const known = p.length > 0 && p.every((x) => x != null);
      const answer = run.answer[i], tokens = run.tokens;
      const label = data.offered[i].findIndex((a) => data.answers[a] === data.label[i]);
      const sure = run.confidence ? run.confidence[i] : known ? Math.max(...p) * UNIT : null;
      return {
        p: known ? p : [],
        label: known && label >= 0 ? p[label] : null,
        answer: typeof answer === "number" ? data.answers[answer] : answer,
        confidence: sure == null ? null : sure / UNIT,
        correct: run.correct[i],
        right: run.correct[i] == null ? null : run.correct[i] >= 0.5,
        tokens: Array.isArray(tokens) ? tokens[i] : tokens,
      };
    };
  };

  const kept = (data, run, i) => {
    const packed = run.at ? run.kept[run.at[i]] : null;
    if (packed == null) return null;
    const v = data.side * data.side;
    if (packed === "*") return new Array(v).fill(true);
    const bytes = atob(packed);
    return Array.from({ length: v }, (_, t) => (bytes.charCodeAt(t >> 3) & (128 >> (t & 7))) > 0);
  };

  const SHOWN = [
    ["all", "all questions", () => true],
    ["changed", "another answer", (r) => r.before.answer !== r.after.answer],
    ["wrong", "right before, wrong after", (r) => r.before.right && r.after.right === false],
    ["right", "wrong before, right after", (r) => r.before.right === false && r.after.right],
    ["errors", "wrong after", (r) => r.after.right === false],
  ];
  const CHOICES = {
    changed: ["--changed"], wrong: ["--flips"], right: ["--flips"], errors: ["--confident-errors"],
  };
  const SORTS = [
    ["lost", "loss of p(right answer)", (r) => less(r.before.label, r.after.label)],
    ["change", "change of confidence", (r) => (r.change == null ? null : Math.abs(r.change))],
    ["errors", "confidence of wrong answers",
      (r) => (r.after.right === false ? r.after.confidence : null)],
    ["drop", "loss of confidence", (r) => (r.change == null ? null : -r.change)],
    ["order", "order of the benchmark", () => null],
  ];

  const cell = (value) => {
    let text = value == null ? "" : String(value);
    if (typeof value === "string" && /^\s*[=+\-@]/.test(text)) text = "'" + text; // no formula
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

  const csv = (data, rows, before, after) => {
    const piped = (p) => p.map((x) => x.toFixed(4)).join(" | ");
    const columns = {
      condition: () => after.name, reference: () => before.name, id: (r) => data.id[r.i],
      image: (r) => data.images[data.image[r.i]],
      splits: (r) => data.split[r.i].map((s) => data.splits[s]).join(" | "),
      category: (r) => data.category[r.i], question: (r) => data.question[r.i],
      options: (r) => data.options[r.i], label: (r) => data.label[r.i],
      answer_before: (r) => r.before.answer, answer: (r) => r.after.answer,
      correct_before: (r) => r.before.correct, correct: (r) => r.after.correct,
      confidence_before: (r) => r.before.confidence, confidence: (r) => r.after.confidence,
      confidence_change: (r) => (r.change == null ? null : Number(r.change.toFixed(4))),
      label_probability_before: (r) => r.before.label, label_probability: (r) => r.after.label,
      probabilities_before: (r) => piped(r.before.p), probabilities: (r) => piped(r.after.p),
      kept_tokens_before: (r) => r.before.tokens, kept_tokens: (r) => r.after.tokens,
    };
    const values = Object.values(columns);
    const lines = [Object.keys(columns), ...rows.map((r) => values.map((of) => of(r)))];
    return lines.map((line) => line.map(cell).join(",") + "\n").join("");
  };

  const download = (name, text) => {
    const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    const link = make("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  };

  const overlay = (side, places) => {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${side} ${side}`);
    svg.setAttribute("aria-hidden", "true");
    const at = (x, y) => x >= 0 && y >= 0 && x < side && y < side && places[y * side + x];
    let faded = "", edges = "";
    places.forEach((there, t) => {
      const x = t % side, y = Math.floor(t / side);
      if (!there) { faded += `M${x} ${y}h1v1h-1z`; return; }
      if (!at(x, y - 1)) edges += `M${x} ${y}h1`;
      if (!at(x, y + 1)) edges += `M${x} ${y + 1}h1`;
      if (!at(x - 1, y)) edges += `M${x} ${y}v1`;
      if (!at(x + 1, y)) edges += `M${x + 1} ${y}v1`;
    });
    for (const [name, d] of [["faded", faded], ["edges", faded ? edges : ""]]) {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", name);
      path.setAttribute("d", d);
      svg.append(path);
    }
    return svg;
  };

  const picture = (data, run, i, said, when) => {
    const source = data.pictures[data.image[i]], places = kept(data, run, i);
    const name = data.images[data.image[i]], box = make("div", { class: "square" });
    const how = { src: source, alt: `Image ${name}`, class: data.square || "pad" };
    box.append(source ? make("img", how) : make("p", {}, "no picture"));
    const empty = !source && !places; // then words are enough
    const words = [];
    if (places) {
      box.append(overlay(data.side, places));
      const marked = places.filter(Boolean).length;
      words.push(`${marked} of ${places.length} tokens kept`);
      if (said.tokens != null && said.tokens !== marked) words.push(`${said.tokens} read`);
    } else {
      words.push(said.tokens == null ? "" : `${said.tokens} tokens read`, source ? "" : "no picture");
    }
    const title = make("strong", {}, `${when}: ${run.title}`);
    const caption = make("figcaption", {}, title, make("span", {}, words.filter(Boolean).join(", ")));
    return make("figure", {}, empty ? null : box, caption);
  };

  const bar = (value, kind) => {
    const fill = make("span", { class: `fill ${kind}` });
    fill.style.width = `${100 * Math.max(0, Math.min(1, value ?? 0))}%`;
    const track = make("span", { class: "track", "aria-hidden": "true" }, fill);
    return make("td", {}, track, make("span", { class: "value" }, number(value)));
  };

  const bars = (data, row) => {
    const names = data.offered[row.i];
    if (!names.length || !(row.before.p.length || row.after.p.length)) {
      const options = data.options[row.i];
      const told = options ? `Options: ${options}; their probabilities are not known.` : "An open question.";
      return make("p", {}, told);
    }
    const titles = ["option", "before", "after"].map((name) => make("th", { scope: "col" }, name));
    const head = make("tr", {}, ...titles);
    const lines = names.map((a, j) => {
      const right = data.answers[a] === data.label[row.i];
      const mark = right ? make("span", { class: "right" }, " ✓ right answer") : null;
      const name = make("th", { scope: "row" }, data.answers[a], mark);
      const both = [bar(row.before.p[j], "old"), bar(row.after.p[j], "new")];
      return make("tr", { class: right ? "is-right" : null }, name, ...both);
    });
    const caption = make("caption", {}, "Probability of each option");
    return make("table", { class: "options" }, caption, make("thead", {}, head), make("tbody", {}, ...lines));
  };

  const verdict = (when, said) => {
    const mark = said.right == null ? "" : said.right ? " ✓" : " ✗";
    const answer = make("strong", {}, said.answer || "nothing");
    const sign = make("span", { class: said.right ? "good" : "bad" }, mark);
    const sure = ` with confidence ${number(said.confidence)}`;
    return make("p", { class: "said" }, `${when}: `, answer, sign, sure);
  };

  const viewer = (root, place) => {
    const data = JSON.parse(root.querySelector("script").textContent);
    const answered = reader(data), state = { rows: [], at: 0, from: 0 };
    let names = 0;
    const field = (label, input) => {
      input.id = `viewer-${place}-${names++}`;
      return make("div", { class: "field" }, make("label", { for: input.id }, label), input);
    };
    const choice = (pairs, chosen) => make("select", {}, ...pairs.map(
      ([value, text]) => make("option", { value, selected: value === chosen }, text)));
    const runs = data.runs.map((run, i) => [String(i), run.title]);
    const last = String(data.runs.findLastIndex((run) => run.reference != null));
    const own = last === "-1" ? String(data.runs.length - 1) : last;
    const after = choice(runs, own);
    const before = choice(runs, String(data.runs[Number(own)].reference ?? 0));
    const splits = data.splits.map((name, i) => [String(i), name || "(none)"]);
    const split = choice([["", "all"], ...splits], "");
    const known = data.offered.some((own) => own.length); // or no right answer has a probability
    const sort = choice(known ? SORTS : SORTS.filter(([name]) => name !== "lost"), "lost");
    const show = choice(SHOWN, "all");
    const [low, high] = ["0", "1"].map((placeholder) => make(
      "input", { type: "number", min: 0, max: 1, step: "any", inputmode: "decimal", placeholder }));
    for (const long of [after, before, sort]) long.className = "long"; // a row each on a phone
    const firsts = ["5", "20", "50"].map((n) => [n, `first ${n}`]);
    const most = choice([...firsts, ["", "all"]], "50");
    const marks = make("input", { type: "checkbox", checked: true });
    const save = make("button", { type: "button" }, "Download these rows (CSV)");
    const status = make("p", { role: "status", class: "count" });
    const command = make("code", { tabindex: "0" });
    const moves = "Questions; move with the arrow keys or j and k";
    const list = make("ol", { class: "list", "aria-label": moves });
    const shown = make("div", { class: "shown", role: "group", "aria-label": "The chosen question" });
    const step = (by, text, words) => {
      const title = `${words} (${by < 0 ? "k" : "j"})`;
      const made = make("button", { type: "button", "aria-label": words, title }, text);
      made.addEventListener("click", () => go(state.at + by, false));
      return made;
    };
    const previous = step(-1, "‹", "Previous question"), next = step(1, "›", "Next question");
    const where = make("span", { "aria-live": "polite" });
    const keys = make("span", { class: "keys" }, "keys: j k or arrows");
    const turn = make("div", { class: "turn" }, previous, where, next, keys);

    const fields = [field("After", after), field("Before", before)];
    if (data.splits.length > 1) fields.push(field("Split", split));
    fields.push(field("Show", show), field("Confidence after, from", low), field("to", high));
    fields.push(field("Sorted by", sort), field("List", most));
    const form = make("form", { class: "choose", "aria-label": "Which questions" }, ...fields);
    const box = make("label", { class: "check" }, marks, "mark kept tokens");
    const same = make("details", { class: "command" },
      make("summary", {}, "All rows of this pair, on the command line"),
      make("p", {}, "Unrounded, with the same --store: ", command));
    const acts = make("div", { class: "acts" }, save, data.side ? box : null);
    const panes = make("div", { class: "panes" }, list, make("div", {}, turn, shown));
    root.append(form, acts, status, panes, same);

    const run = (select) => data.runs[Number(select.value)];
    const line = (row, n) => {
      const here = n === state.at;
      const marked = { tabindex: here ? "0" : "-1", "aria-current": here ? "true" : null };
      const one = make("button", { type: "button", ...marked });
      const mark = row.before.right === row.after.right ? "" : row.after.right ? "✓" : "✗";
      const known = row.after.label != null;
      const measure = known ? "label" : "confidence";
      const moved = `${number(row.before[measure], 2)} → ${number(row.after[measure], 2)} `;
      const sign = make("span", { class: row.after.right ? "good" : "bad" }, mark);
      const image = make("span", { class: "of" }, data.images[data.image[row.i]]);
      const how = make("span", { class: "how" }, `${known ? "p(right)" : measure} ${moved}`, sign, image);
      one.append(make("span", { class: "what" }, data.question[row.i] || data.id[row.i]), how);
      one.addEventListener("click", () => go(n, true));
      return make("li", { value: n + 1 }, one);
    };
    const more = (words, from) => {
      const made = make("button", { type: "button", class: "more" }, words);
      made.addEventListener("click", () => go(from, true));
      return make("li", { class: "more" }, made);
    };
    const listed = () => {
      const end = state.from + PAGE;
      const rows = state.rows.slice(state.from, end).map((row, n) => line(row, state.from + n));
      if (state.from > 0) rows.unshift(more("earlier", state.from - 1));
      if (end < state.rows.length) rows.push(more(`${state.rows.length - end} more`, end));
      list.replaceChildren(...rows);
    };
    const detail = () => {
      const row = state.rows[state.at];
      where.textContent = row ? `${state.at + 1} of ${state.rows.length}` : "none";
      previous.disabled = state.at <= 0;
      next.disabled = state.at >= state.rows.length - 1;
      if (!row) {
        shown.replaceChildren(make("p", {}, "No question on this page is so."));
        return;
      }
      const i = row.i, own = data.split[i].map((s) => data.splits[s]).filter(Boolean).join(", ");
      const about = [data.id[i], data.images[data.image[i]], own, data.category[i]];
      const figures = make("div", { class: "two" },
        picture(data, run(before), i, row.before, "Before"),
        picture(data, run(after), i, row.after, "After"));
      figures.classList.toggle("plain", !marks.checked);
      const moved = less(row.after.label, row.before.label);
      const right = moved == null ? "" : `, right answer ${signed(moved)}`;
      const change = `Confidence ${signed(row.change)}${right}`;
      shown.replaceChildren(
        make("h4", {}, data.question[i] || data.id[i]),
        make("p", { class: "about" }, about.filter(Boolean).join(" · ")),
        make("p", { class: "about" }, `right answer: ${data.label[i] || "–"}`), figures,
        verdict("Before", row.before), verdict("After", row.after), make("p", { class: "said" }, change),
        bars(data, row),
      );
    };
    const go = (n, focus) => {
      state.at = Math.max(0, Math.min(state.rows.length - 1, n));
      state.from = Math.max(0, Math.floor(state.at / PAGE) * PAGE);
      listed();
      detail();
      const current = list.querySelector("[aria-current]");
      if (!current) return;
      if (focus) current.focus({ preventScroll: true });
      // The list scrolls by itself and never moves the page.
      const top = current.offsetTop - list.offsetTop, end = top + current.offsetHeight;
      const seen = top >= list.scrollTop && end <= list.scrollTop + list.clientHeight;
      if (!seen) list.scrollTop = top - 8;
    };
    const choose = () => {
      const [now, was] = [run(after), run(before)];
      const keep = SHOWN.find(([name]) => name === show.value)[2];
      const by = SORTS.find(([name]) => name === sort.value)[2];
      const from = low.value === "" ? -Infinity : Number(low.value);
      const to = high.value === "" ? Infinity : Number(high.value);
      const bounded = low.value !== "" || high.value !== "";
      const rows = [];
      for (let i = 0; i < data.id.length; i++) {
        const row = { i, before: answered(was, i), after: answered(now, i) };
        const sure = row.after.confidence;
        if (split.value !== "" && !data.split[i].includes(Number(split.value))) continue;
        if (row.after.correct == null || row.before.correct == null || !keep(row)) continue;
        if (bounded && !(sure >= from && sure <= to)) continue;
        row.change = less(sure, row.before.confidence);
        row.key = by(row);
        rows.push(row);
      }
      const least = (key) => key ?? -1e9;
      rows.sort((a, b) => least(b.key) - least(a.key) || data.order[a.i] - data.order[b.i]);
      state.rows = most.value === "" ? rows : rows.slice(0, Number(most.value));
      state.at = state.from = 0;
      const counts = [state.rows.length, rows.length, data.id.length].map(grouped);
      const same = was === now ? "; before and after are the same condition" : "";
      status.textContent = `${counts[0]} listed of ${counts[1]} that fit, among ${counts[2]} on this page${same}`;
      const words = ["calprune", "rows", ...data.asked, "--against", was.name, "--select", now.name];
      words.push(...(CHOICES[show.value] ?? []), "--format", "csv", "--out", "rows.csv");
      command.textContent = words.map(quoted).join(" ");
      save.disabled = !state.rows.length;
      go(0, false);
    };

    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", choose);
    for (const typed of [low, high]) typed.addEventListener("input", choose);
    after.addEventListener("change", () => {
      const reference = run(after).reference;
      if (reference != null) before.value = String(reference); // the form chooses afterwards
    });
    marks.addEventListener("change", detail);
    save.addEventListener("click", () => {
      const name = `questions ${run(after).name}`.replaceAll(/[^\w.-]+/g, "-");
      download(`${name}.csv`, csv(data, state.rows, run(before), run(after)));
    });
    root.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.target.closest("form, .acts, .command")) return; // those have keys of their own
      const whole = state.rows.length;
      const steps = {
        j: 1, ArrowDown: 1, ArrowRight: 1, k: -1, ArrowUp: -1, ArrowLeft: -1,
        PageDown: 10, PageUp: -10, Home: -whole, End: whole,
      };
      if (!(event.key in steps)) return;
      event.preventDefault();
      go(state.at + steps[event.key], list.contains(document.activeElement));
    });
    choose();
  };

  document.querySelectorAll(".viewer").forEach(viewer);
})();
