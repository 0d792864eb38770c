"""Reads a page with Python's prometheus_client and prints its samples: URL, Accept, encoding."""

import sys
import urllib.request
import zlib

import zstandard
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

url, accept, encoding = sys.argv[1:]
request = urllib.request.Request(url, headers={"Accept": accept, "Accept-Encoding": encoding})
with urllib.request.urlopen(request) as answer:
    body = answer.read()
if encoding == "zstd":
    body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
elif encoding == "gzip":
    body = zlib.decompress(body, wbits=31)
parse = parse_openmetrics if "openmetrics" in accept else parse_text


def escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


for family in parse(body.decode()):
    for sample in family.samples:
        labels = ",".join(f'{key}="{escaped(value)}"' for key, value in sample.labels.items())
        print(f"{sample.name}{{{labels}}} {float(sample.value)!r}")
