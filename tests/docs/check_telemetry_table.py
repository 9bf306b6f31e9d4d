#!/usr/bin/env python3
"""check_telemetry_table.py [--services] [--of LIST] PAGE... FOLDER: whether the tables of the pages are what the tests emitted.

PAGE has tables by section ("## Title"); the first header cell says what a table lists: span, attribute, event, metric, log
event or log attribute. Names stand in backticks in the first cell. In the name of a span `{key}` is the value of that
attribute of the span, and NAME any text. FOLDER has what tests emitted, by tests/support/emitted.hpp. Everything emitted
must be in a table, with the kind, type, instrument and unit it says, and every row must have been emitted, with each
attribute it names; rows that end with <!-- services --> only where the tests with real servers ran (--services). LIST
names the files of FOLDER that count, a line each: others are of tests that are no more. What stands under "Everywhere" may occur in all sections. Events may occur on any span, as decorators add them to the current one;
spans called "caller" are the tests' own, of which any section may know the attributes.
"""
import argparse
import json
import pathlib
import re
import sys

COMMON = "Everywhere"
arguments = argparse.ArgumentParser()
arguments.add_argument("--services", action="store_true")
arguments.add_argument("--of", type=pathlib.Path)
arguments.add_argument("paths", type=pathlib.Path, nargs="+")
given = arguments.parse_args()
*pages, folder = given.paths
trouble = []


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


class Row:
    def __init__(self, place, cells):
        self.place, self.cells, self.seen = place, cells, False
        self.optional = "<!-- services -->" in cells[-1]
        self.keys_seen = set()


class Section:
    def __init__(self, title):
        self.title = title
        self.tables = {"span": {}, "attribute": {}, "event": {}, "metric": {}, "log event": {}, "log attribute": {}}

    def attribute(self, key):
        rows = self.tables["attribute"]
        if key in rows:
            return rows[key]
        return next((r for pattern, r in rows.items() if "{" in pattern and matches(pattern, key)), None)


def matches(pattern, text):
    return re.fullmatch(re.sub(r"\\\{[^}]*\\\}", ".+", re.escape(pattern)), text) is not None


def read(page):
    sections, kind = [], None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("## "):
            sections.append(Section(line[3:].strip()))
        if not line.startswith("|"):
            kind = None
            continue
        cells = [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        if kind is None:
            kind = cells[0] if sections and cells[0] in sections[-1].tables else ""
        elif kind and not set(cells[0]) <= set("-: "):
            place = f"{page.name}:{number}"
            if not names(cells[0]):
                trouble.append(f"{place}: no name in backticks: {line}")
            if kind == "metric" and len(cells) > 3 and cells[3].startswith("the same"):
                cells[3] = list(sections[-1].tables[kind].values())[-1].cells[3]
            for name in names(cells[0]):
                if name in sections[-1].tables[kind]:
                    trouble.append(f"{place}: {name} stands twice in this section")
                sections[-1].tables[kind][name] = Row(place, cells)
    return sections


def span_name_matches(pattern, name, attributes):
    parts = re.split(r"(\{[^}]+\}|\bNAME\b)", pattern)
    expression = ""
    for part in parts:
        if part == "NAME":
            expression += ".+"
        elif part.startswith("{"):
            if part[1:-1] not in attributes:
                return False
            expression += re.escape(attributes[part[1:-1]][1])
        else:
            expression += re.escape(part)
    return re.fullmatch(expression, name, re.S) is not None


def own(key):
    return key == "caller" or key.startswith("caller.") or key.startswith("caller ")


def check_attributes(attributes, candidates):
    """The rows of these attributes, and what is wrong with them."""
    rows, wrong = [], []
    for key, (kind, _) in attributes.items():
        if own(key):
            continue
        row = next((r for s in candidates if (r := s.attribute(key)) is not None), None)
        if row is None:
            wrong.append(f"attribute {key} has no row")
        elif len(row.cells) > 1 and kind not in re.split(r"[ ,]+", row.cells[1]):
            wrong.append(f"attribute {key} is a {kind}, its row ({row.place}) says {row.cells[1]}")
        else:
            rows.append((row, None))
    return rows, wrong


def check_event(event, candidates):
    if own(event["name"]):
        return [], []
    rows = [s.tables["event"][event["name"]] for s in [*candidates, *sections] if event["name"] in s.tables["event"]]
    if not rows:
        return [], [f"event {event['name']} has no row"]
    keys = [k for k in event["attributes"] if not own(k)]
    row = next((r for r in rows if set(keys) <= set(names(r.cells[1]))), rows[0])
    known = names(row.cells[1])
    return [(row, k) for k in [None, *keys]], [f"event {event['name']}: attribute {k} is not in its row" for k in keys if k not in known]


def check_span(span, sections, common):
    if own(span["span"]):
        rows, wrong = check_attributes(span["attributes"], sections)
        for event in span["events"]:
            more, bad = check_event(event, sections)
            rows, wrong = rows + more, wrong + bad
        return rows, wrong
    best = None
    for section in sections:
        for pattern, row in section.tables["span"].items():
            if not span_name_matches(pattern, span["span"], span["attributes"]):
                continue
            if pattern == "NAME" and not any(section.attribute(k) for k in span["attributes"]):
                continue
            rows, wrong = check_attributes(span["attributes"], [section, common])
            for event in span["events"]:
                more, bad = check_event(event, [section, common])
                rows, wrong = rows + more, wrong + bad
            if span["kind"] not in re.findall(r"\w+", row.cells[1]):
                wrong.append(f"it is {span['kind']}, its row ({row.place}) says {row.cells[1]}")
            literal = len(re.sub(r"\{[^}]+\}", "", pattern))  # of two that fit as well, the name that says more
            if best is None or (len(wrong), -literal) < best[0]:
                best = ((len(wrong), -literal), [(row, None), *rows], wrong)
    return best[1:] if best else ([], ["no row has its name"])


def check_metric(metric, sections):
    best = ([], ["no row has its name"])
    for row in (s.tables["metric"][metric["metric"]] for s in sections if metric["metric"] in s.tables["metric"]):
        wrong = []
        if row.cells[1].split(",")[0].strip() != metric["instrument"]:
            wrong.append(f"it is a {metric['instrument']}, its row ({row.place}) says {row.cells[1]}")
        unit = (names(row.cells[2]) or [""])[0]
        if unit != metric["unit"] and {unit, metric["unit"]} != {"", "1"}:
            wrong.append(f"its unit is {metric['unit']!r}, its row ({row.place}) says {unit!r}")
        known = names(row.cells[3]) if len(row.cells) > 3 else []
        keys = [k for k in metric["attributes"] if not own(k)]
        wrong += [f"attribute {k} is not in its row ({row.place})" for k in keys if k not in known]
        if not best[0] or len(wrong) < len(best[1]):
            best = ([(row, k) for k in [None, *keys]], wrong)
    return best


def check_log(log, sections):
    rows, wrong = [], []
    known = {k: r for s in sections for k, r in s.tables["log attribute"].items()}
    named = next((s.tables["log event"][log["log"]] for s in sections if log["log"] in s.tables["log event"]), None)
    for key, (kind, _) in log["attributes"].items():
        if own(key) or (named is not None and key in names(named.cells[2])):
            continue
        if key not in known:
            wrong.append(f"attribute {key} has no row")
        elif kind not in re.split(r"[ ,]+", known[key].cells[1]):
            wrong.append(f"attribute {key} is a {kind}, its row ({known[key].place}) says {known[key].cells[1]}")
        else:
            rows.append((known[key], None))
    if not log["log"] or own(log["log"]):
        return rows, wrong
    if named is None:
        return rows, [*wrong, "no row has its name"]
    if log["severity"] not in named.cells[1]:
        wrong.append(f"its severity is {log['severity']}, its row ({named.place}) says {named.cells[1]}")
    keys = [k for k in log["attributes"] if k in names(named.cells[2])]
    return [*rows, *((named, k) for k in [None, *keys])], wrong


def unseen(sections):
    for section in sections:
        for kind, table in section.tables.items():
            for name, row in table.items():
                if row.optional and not given.services:
                    continue
                if not row.seen:
                    yield f"{row.place}: no test emitted the {kind} {name} ({section.title})"
                column = {"event": 1, "metric": 3, "log event": 2}.get(kind)
                for key in names(row.cells[column]) if column and row.seen and len(row.cells) > column else []:
                    if key not in row.keys_seen:
                        yield f"{row.place}: no test emitted {name} with the attribute {key}"


sections = [s for page in pages for s in read(page)]
common = next((s for s in sections if s.title == COMMON), Section(COMMON))
count = 0
files = sorted(folder.glob("*.jsonl"))
if given.of is not None:
    files = [folder / name for name in given.of.read_text(encoding="utf-8").split()]
    trouble += [f"{f.name}: the test told nothing" for f in files if not f.exists()]
    files = [f for f in files if f.exists()]
for file in files:
    for text in file.read_text(encoding="utf-8", errors="replace").splitlines():
        item = json.loads(text)
        what = next(k for k in ("span", "metric", "log") if k in item)
        if what == "metric" and own(item[what]):
            continue
        count += 1
        rows, wrong = {"span": lambda: check_span(item, sections, common), "metric": lambda: check_metric(item, sections),
                       "log": lambda: check_log(item, sections)}[what]()
        for row, key in rows:
            row.seen = True
            if key is not None:
                row.keys_seen.add(key)
        trouble += [f"{file.stem}: {what} {item[what]!r}: {w}" for w in wrong]
trouble += unseen(sections)
trouble = list(dict.fromkeys(trouble))
print(*trouble, f"{count} records, {len(trouble)} not as the table says", sep="\n")
sys.exit(bool(trouble) or count == 0)
