# SPDX-License-Identifier: MIT
"""Decodes an ExportTraceServiceRequest with the official schema and compares it with what was recorded.

Standard input: the request's size as a decimal line, the request, then JSON: a list of spans, in the request's order.
With an argument it is the request itself in canonical hexadecimal that has to come out. Exit status 0: all is equal.
"""
import pathlib
import sys

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from otlp_values import actual_attributes, expected_attributes, judge, repaired  # noqa: E402


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


sys.exit(judge(
    ExportTraceServiceRequest(),
    lambda m: (s for r in m.resource_spans for scope in r.scope_spans for s in scope.spans),
    actual_span, expected_span, "spans"))
