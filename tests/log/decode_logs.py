# SPDX-License-Identifier: MIT
"""Decodes an ExportLogsServiceRequest with the official schema and compares it with what was recorded.

Standard input: the request's size as a decimal line, the request, then JSON: a list of records, in the request's order.
With an argument it is the request itself in canonical hexadecimal that has to come out. Exit status 0: all is equal.
"""
import pathlib
import sys

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from otlp_values import actual_attributes, actual_value, expected_attributes, expected_value, judge, repaired  # noqa: E402


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


sys.exit(judge(
    ExportLogsServiceRequest(),
    lambda m: (r for resource in m.resource_logs for scope in resource.scope_logs for r in scope.log_records),
    actual_record, expected_record, "log records",
    also=lambda arrived: "a record without observed time" if any(r.observed_time_unix_nano == 0 for r in arrived) else None))
