# SPDX-License-Identifier: MIT
"""Decodes an ExportTraceServiceRequest with the official schema and compares it with what was recorded.

Standard input: the request's size as a decimal line, the request, then JSON: a list of spans, in the request's order.
Text in it is the hexadecimal of the bytes the program had in hand; what must become of invalid UTF-8 is worked out here.
With an argument it is the request itself in canonical hexadecimal that has to come out. Exit status 0: all is equal.
"""
import json
import struct
import sys

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def repaired(text_hex):
    """A protobuf string: U+FFFD for each maximal invalid part."""
    return bytes.fromhex(text_hex).decode("utf-8", errors="replace")


def expected_value(v):
    kind, content = v
    if kind == "text":
        raw = bytes.fromhex(content)
        try:
            return ("string_value", raw.decode("utf-8"))
        except UnicodeDecodeError:
            return ("bytes_value", raw)
    if kind == "bytes":
        return ("bytes_value", bytes.fromhex(content))
    if kind == "bool":
        return ("bool_value", content)
    if kind == "int":
        n = int(content)
        return ("int_value", n) if n < 1 << 63 else ("string_value", content)
    if kind == "double":
        return ("double_value", bytes.fromhex(content))
    if kind == "array":
        return ("array_value", [expected_value(e) for e in content])
    if kind == "map":
        return ("kvlist_value", [(repaired(k), expected_value(e)) for k, e in content])
    return (None, None)


def actual_value(v):
    kind = v.WhichOneof("value")
    if kind is None:
        return (None, None)
    content = getattr(v, kind)
    if kind == "double_value":
        return (kind, struct.pack(">d", content))
    if kind == "array_value":
        return (kind, [actual_value(e) for e in content.values])
    if kind == "kvlist_value":
        return (kind, [(e.key, actual_value(e.value)) for e in content.values])
    return (kind, content)


def expected_attributes(calls):
    return {repaired(k): expected_value(v) for k, v in calls}


def actual_attributes(pairs):
    keys = [p.key for p in pairs]
    if len(keys) != len(set(keys)):
        return ("keys that are there twice", keys)
    return {p.key: actual_value(p.value) for p in pairs}


def expected_span(s):
    return {
        "trace_id": bytes.fromhex(s["trace_id"]),
        "span_id": bytes.fromhex(s["span_id"]),
        "parent_span_id": bytes.fromhex(s["parent_id"]),
        "trace_state": s["trace_state"],
        "flags": s["flags"],
        "name": repaired(s["name"]),
        "kind": s["kind"],
        "start_time_unix_nano": int(s["start"]),
        "end_time_unix_nano": int(s["end"]),
        "attributes": expected_attributes(s["attributes"]),
        "events": [(repaired(e["name"]), int(e["time"]), expected_attributes(e["attributes"])) for e in s["events"]],
        "links": [(bytes.fromhex(l["trace_id"]), bytes.fromhex(l["span_id"]), l["trace_state"], l["flags"],
                   expected_attributes(l["attributes"])) for l in s["links"]],
        "status": (s["status"], repaired(s["status_message"])),
        "dropped": [0, 0, 0],
    }


def actual_span(s):
    return {
        "trace_id": s.trace_id,
        "span_id": s.span_id,
        "parent_span_id": s.parent_span_id,
        "trace_state": s.trace_state,
        "flags": s.flags,
        "name": s.name,
        "kind": s.kind,
        "start_time_unix_nano": s.start_time_unix_nano,
        "end_time_unix_nano": s.end_time_unix_nano,
        "attributes": actual_attributes(s.attributes),
        "events": [(e.name, e.time_unix_nano, actual_attributes(e.attributes)) for e in s.events],
        "links": [(l.trace_id, l.span_id, l.trace_state, l.flags, actual_attributes(l.attributes)) for l in s.links],
        "status": (s.status.code, s.status.message),
        "dropped": [s.dropped_attributes_count, s.dropped_events_count, s.dropped_links_count],
    }


def parsed(request):
    message = ExportTraceServiceRequest()
    message.ParseFromString(request)
    with_unknown = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != with_unknown:
        sys.exit(f"{with_unknown - message.ByteSize()} bytes of unknown fields")
    return message


def main():
    size = int(sys.stdin.buffer.readline())
    message = parsed(sys.stdin.buffer.read(size))
    if len(sys.argv) > 1:
        canonical = message.SerializeToString(deterministic=True).hex()
        return None if canonical == sys.argv[1] else f"got      {canonical}\nexpected {sys.argv[1]}"
    recorded = json.load(sys.stdin.buffer)
    arrived = [s for r in message.resource_spans for scope in r.scope_spans for s in scope.spans]
    if len(arrived) != len(recorded):
        return f"{len(arrived)} spans arrived, {len(recorded)} were recorded"
    for number, (got, want) in enumerate(zip(map(actual_span, arrived), map(expected_span, recorded))):
        for field in want:
            if got[field] != want[field]:
                return f"span {number}, {field}:\n got  {got[field]!r:.2000}\n want {want[field]!r:.2000}"
    print(f"{len(arrived)} spans equal what was recorded")
    return None


sys.exit(main())
