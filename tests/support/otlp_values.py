# SPDX-License-Identifier: MIT
"""What the decoders of spans and of log records share: attribute values as they were recorded, and as they arrived.

Text is the hexadecimal of the bytes the program had in hand; what must become of invalid UTF-8 is worked out here.
"""
import json
import struct
import sys


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


def parsed(message, request):
    """Fills `message`, an instance of a generated class; unknown fields are an error."""
    message.ParseFromString(request)
    with_unknown = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != with_unknown:
        sys.exit(f"{with_unknown - message.ByteSize()} bytes of unknown fields")
    return message


def judge(message, records_in, actual, expected, what, also=lambda arrived: None):
    """The whole of a decoder: reads the size, the message and what was recorded from standard input and compares; with
    an argument, only the canonical bytes. Returns what is wrong, or None."""
    size = int(sys.stdin.buffer.readline())
    parsed(message, sys.stdin.buffer.read(size))
    if len(sys.argv) > 1:
        canonical = message.SerializeToString(deterministic=True).hex()
        return None if canonical == sys.argv[1] else f"got      {canonical}\nexpected {sys.argv[1]}"
    recorded = json.load(sys.stdin.buffer)
    arrived = list(records_in(message))
    if len(arrived) != len(recorded):
        return f"{len(arrived)} {what} arrived, {len(recorded)} were recorded"
    for number, (got, want) in enumerate(zip(map(actual, arrived), map(expected, recorded))):
        for field in want:
            if got[field] != want[field]:
                return f"{what} {number}, {field}:\n got  {got[field]!r:.2000}\n want {want[field]!r:.2000}"
    if wrong := also(arrived):
        return wrong
    print(f"{len(arrived)} {what} equal what was recorded")
    return None
