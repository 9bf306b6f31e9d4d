# SPDX-License-Identifier: MIT
"""Decodes an ExportLogsServiceRequest with the official schema and compares it with what was recorded.

Standard input: the request's size as a decimal line, the request, then JSON: a list of records, in the request's order.
With an argument it is the request itself in canonical hexadecimal that has to come out. Exit status 0: all is equal.
"""
import json
import pathlib
import sys

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from otlp_values import actual_attributes, actual_value, expected_attributes, expected_value, parsed, repaired  # noqa: E402


def severity_text(number):
    return SeverityNumber.Name(number).removeprefix("SEVERITY_NUMBER_") if number else ""


def expected_record(r):
    return {
        "time_unix_nano": int(r["time"]),
        "severity_number": r["severity"],
        "severity_text": severity_text(r["severity"]),
        "body": expected_value(r["body"]),
        "attributes": expected_attributes(r["attributes"]),
        "dropped_attributes_count": r.get("dropped", 0),
        "flags": r["flags"],
        "trace_id": bytes.fromhex(r["trace_id"]),
        "span_id": bytes.fromhex(r["span_id"]),
        "event_name": repaired(r["event_name"]),
    }


def actual_record(r):
    return {
        "time_unix_nano": r.time_unix_nano,
        "severity_number": r.severity_number,
        "severity_text": r.severity_text,
        "body": actual_value(r.body),
        "attributes": actual_attributes(r.attributes),
        "dropped_attributes_count": r.dropped_attributes_count,
        "flags": r.flags,
        "trace_id": r.trace_id,
        "span_id": r.span_id,
        "event_name": r.event_name,
    }


def main():
    size = int(sys.stdin.buffer.readline())
    message = parsed(ExportLogsServiceRequest(), sys.stdin.buffer.read(size))
    if len(sys.argv) > 1:
        canonical = message.SerializeToString(deterministic=True).hex()
        return None if canonical == sys.argv[1] else f"got      {canonical}\nexpected {sys.argv[1]}"
    recorded = json.load(sys.stdin.buffer)
    arrived = [r for resource in message.resource_logs for scope in resource.scope_logs for r in scope.log_records]
    if len(arrived) != len(recorded):
        return f"{len(arrived)} records arrived, {len(recorded)} were recorded"
    for number, (got, want) in enumerate(zip(map(actual_record, arrived), map(expected_record, recorded))):
        for field in want:
            if got[field] != want[field]:
                return f"record {number}, {field}:\n got  {got[field]!r:.2000}\n want {want[field]!r:.2000}"
    if any(r.observed_time_unix_nano == 0 for r in arrived):
        return "a record without observed time"
    print(f"{len(arrived)} log records equal what was recorded")
    return None


sys.exit(main())
