# SPDX-License-Identifier: MIT
"""Decodes an ExportMetricsServiceRequest with the official schema and compares it with what was recorded.

Standard input: the request's size as a decimal line, the request, then what is expected: one line for each data point
and each exemplar, in any order, as lines() makes them here. Exit status 0: all is equal, and nothing was in the bytes
that the schema does not know.
"""
import struct
import sys

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest


def bits(v):
    return struct.pack(">d", v).hex()


def attributes(pairs):
    out = {}
    for p in pairs:
        assert p.key not in out, "a key twice"
        kind = p.value.WhichOneof("value")
        content = getattr(p.value, kind) if kind else ""
        if kind == "double_value":
            content = bits(content)
        if kind == "bool_value":
            content = int(content)
        out[p.key] = f"{kind}:{content}"
    return ",".join(f"{k}={out[k]}" for k in sorted(out))


def value(p):
    kind = p.WhichOneof("value")
    assert kind, "no value"
    return f"d{bits(p.as_double)}" if kind == "as_double" else f"i{p.as_int}"


def optional(p, name):
    return bits(getattr(p, name)) if p.HasField(name) else "-"


def buckets(b):
    return f"{b.offset}:" + ",".join(map(str, b.bucket_counts)) if b.bucket_counts else "-"


def lines(request):
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for m in scope.metrics:
                kind = m.WhichOneof("data")
                data = getattr(m, kind)
                head = f"{scope.scope.name}|{m.name}|{m.unit}|{m.description}|{kind}"
                if kind != "gauge":
                    assert data.aggregation_temporality in (1, 2)
                    head += f"|{data.aggregation_temporality}"
                if kind == "sum":
                    head += f"|{int(data.is_monotonic)}"
                seen = set()
                for p in data.data_points:
                    labels = attributes(p.attributes)
                    assert labels not in seen, "a label set twice"
                    seen.add(labels)
                    line = f"{head}|{labels}|{p.start_time_unix_nano}|{p.time_unix_nano}|"
                    if kind in ("gauge", "sum"):
                        line += value(p)
                    else:
                        line += f"{p.count}|{optional(p, 'sum')}|{optional(p, 'min')}|{optional(p, 'max')}|"
                    if kind == "histogram":
                        assert len(p.bucket_counts) == len(p.explicit_bounds) + 1
                        assert sum(p.bucket_counts) == p.count
                        line += ",".join(map(str, p.bucket_counts)) + "|" + ",".join(map(bits, p.explicit_bounds))
                    if kind == "exponential_histogram":
                        total = p.zero_count + sum(p.positive.bucket_counts) + sum(p.negative.bucket_counts)
                        assert total == p.count
                        line += f"{p.scale}|{p.zero_count}|{buckets(p.positive)}|{buckets(p.negative)}"
                    yield line
                    for e in p.exemplars:
                        yield (f"exemplar {m.name}|{labels}|{e.time_unix_nano}|{value(e)}|{e.trace_id.hex()}|"
                               f"{e.span_id.hex()}|{attributes(e.filtered_attributes)}")


def unknown(message):
    """Re-encoding without unknown fields must lose nothing."""
    again = type(message)()
    again.CopyFrom(message)
    again.DiscardUnknownFields()
    return again.ByteSize() != message.ByteSize()


data = sys.stdin.buffer.read()
size, rest = data.split(b"\n", 1)
request = ExportMetricsServiceRequest()
request.ParseFromString(rest[: int(size)])
expected = sorted(line for line in rest[int(size):].decode().split("\n") if line)
actual = sorted(lines(request))
if unknown(request) or request.ByteSize() != int(size):
    sys.exit("bytes the schema does not know, or not in its shortest form")
for line in sorted(set(actual) ^ set(expected)):
    print("decoded " if line in actual else "expected", line, file=sys.stderr)
sys.exit(actual != expected)
