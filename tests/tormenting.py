"""Requests made by hand to break a server, which no schema describes."""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit

__all__ = ["NDJSON", "Fuzzed", "answered", "torment"]

NDJSON = "application/x-ndjson"
_DEEP = 200_000
_ENDS_WITHIN = 120
_BODIES: Mapping[str, bytes] = {
    "nothing": b"",
    "spaces": b" \r\n\t" * 1000,
    "half an object": b'{"input": "a"',
    "two objects": b'{"input": "a"}{"input": "a"}',
    "a trailing comma": b'{"input": "a",}',
    "a comment": b'{"input": "a"} // why not',
    "single quotes": b"{'input': 'a'}",
    "a mark of order": b'\xef\xbb\xbf{"input": "a"}',
    "UTF-16": '{"input": "a"}'.encode("utf-16"),
    "UTF-32": '{"input": "a"}'.encode("utf-32-le"),
    "UTF-7": b'+AHs-"input": "a"+AH0-',
    "Latin-1": '{"input": "é"}'.encode("latin-1"),
    "an overlong slash": b'{"input": "\xc0\xaf"}',
    "a raw surrogate": b'{"input": "\xed\xa0\x80"}',
    "beyond Unicode": b'{"input": "\xf4\x90\x80\x80"}',
    "a lone surrogate": b'{"input": "\\ud800", "name": "\\ud800", "path": "\\udfff", "model": "\\ud800"}',
    "a surrogate as a key": b'{"\\ud800": "a"}',
    "surrogates turned around": b'{"input": "\\udc00\\ud800"}',
    "NUL": b'{"input": "\\u0000", "name": "\\u0000", "path": "\\u0000", "model": "\\u0000"}',
    "raw NUL": b'{"input": "\x00"}',
    "NULs": bytes(10_000),
    "a raw newline in a text": b'{"input": "a\nb"}',
    "a key twice": b'{"input": "a", "input": "b"}',
    "a key twice, escaped": b'{"input": "a", "\\u0069nput": "b"}',
    "NaN": b'{"input": "a", "top_k": NaN}',
    "infinity": b'{"input": "a", "top_k": -Infinity}',
    "beyond doubles": b'{"input": "a", "top_k": 1e999999}',
    "nearly zero": b'{"input": "a", "top_k": 1e-999999}',
    "minus zero": b'{"input": "a", "top_k": -0}',
    "minus zero with a point": b'{"input": "a", "top_k": -0.0}',
    "many digits": b'{"input": "a", "top_k": ' + b"9" * 100_000 + b"}",
    "many digits behind the point": b'{"input": "a", "top_k": 1.' + b"9" * 100_000 + b"}",
    "twenty digits": b'{"input": "a", "id": 99999999999999999999, "top_k": 99999999999999999999}',
    "lists in lists": b'{"input": ' + b"[" * _DEEP,
    "lists in lists, closed": b'{"input": ' + b"[" * _DEEP + b"]" * _DEEP + b"}",
    "objects in objects": b'{"input":' * _DEEP + b"1" + b"}" * _DEEP,
    "many keys": json.dumps({f"key {number}": number for number in range(20_000)}).encode(),
    "a long key": json.dumps({"k" * 1_000_000: 1}).encode(),
    "keys of Python": b'{"__class__": "a", "__proto__": {}, "model_config": {}, "model_fields": {}}',
    "many texts": json.dumps({"input": ["a"] * 10_000}).encode(),
    "texts of nothing": json.dumps({"input": [""] * 200}).encode(),
    "a mixed list": b'{"input": ["a", null, 1, true, {}, [], "b"]}',
    "a long text": json.dumps({"input": "the striker scored " * 60_000}).encode(),
    "marks without letters": json.dumps({"input": "\u0301" * 5000 + "\u202e\u2066\ufeff\uffff"}).encode(),
    "a family": json.dumps({"input": "👨‍👩‍👧‍👦" * 2000}).encode(),
    "special tokens": b'{"input": "<|endoftext|><|endoftext|><s></s>[PAD]<unk>"}',
    "a null in all": b'{"input": null, "top_k": null, "model": null, "name": null, "path": null}',
    "a list": b'["a"]',
    "a text": b'"a"',
    "a number": b"1",
    "a path up": b'{"name": "up", "path": "one/../../.."}',
    "the root": b'{"name": "root", "path": "/"}',
    "a device": b'{"name": "device", "path": "/dev/zero"}',
    "a long path": json.dumps({"name": "long", "path": "x/" * 5000}).encode(),
    "a long name": json.dumps({"name": "x" * 100_000, "path": "one"}).encode(),
    "a name with a newline": b'{"name": "one\\n", "path": "one"}',
    "a table without rows": b"text\n",
    "a table of commas": b"," * 5000 + b"\n" + b"," * 5000,
    "a quote without end": b'text\n"' + b"a," * 200_000,
    "a cell beyond limits": b"text\n" + b"a" * 300_000,
    "columns of one name": b"text,text,text\na,b,c\n",
    "rows of many lengths": b"text,b\n" + b"a\na,b,c,d\n" * 500,
    "carriage returns": b"text\ra\rb\r",
    "rows of lists": b'["a"]\n[1]\nnull\n1\n"a"\n' * 50,
    "rows of many keys": b'{"text": "a"}\n{"other": "a"}\n{"text": 1}\n{"text": {"text": "a"}}\n' * 50,
}
_TARGETS = (
    ("POST", "/v1/classify", "application/json"),
    ("POST", "/v1/classify", NDJSON),
    ("POST", "/v1/models", "application/json"),
    ("PUT", "/v1/models/one", "application/json"),
    ("POST", "/v1/batches", "text/csv"),
    ("POST", "/v1/batches?text_column=text", NDJSON),
)
_TYPES = (
    "application/json; charset=utf-16",
    "application/json; charset=no-such-charset",
    "APPLICATION/JSON;;;",
    "application/json, text/csv",
    "application/x-ndjson; charset=latin-1",
    "text/csv; header=absent; charset=utf-16",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
    "\xff/\xfe",
    "x" * 5000,
    "",
)
_HEADERS = (
    *({"Origin": origin} for origin in ("http://[", "null", "//", "http://localhost:99999", "\xff", "")),
    *({"Host": host} for host in ("[::1", "[::1]:0", "localhost:99999", "a b", "\xff", "localhost:", "")),
    *({"Authorization": key} for key in ("Bearer", "Bearer \xff", "Basic ::", "Bearer  " + "x" * 8000, "")),
    *({"X-Request-Id": name} for name in ("a" * 64, "a" * 65, "../../x", "\xff", "", "a\tb")),
    *({"Range": asked} for asked in ("bytes=0-0", "bytes=-1", "bytes=a", "bytes=9-1", "x")),
    *({"Content-Encoding": encoding} for encoding in ("gzip", "identity", "x", "identity, identity", "")),
    {"Accept": "application/xml;q=nan"},
    {"Accept-Encoding": "br;q=9, *;q=-1"},
    {"If-None-Match": "*", "If-Modified-Since": "never", "If-Range": '"x'},
    {"Expect": "200-maybe"},
    {"Cookie": "=;=;" * 1000},
    {"Upgrade": "websocket", "Connection": "Upgrade"},
    {"X-Forwarded-For": "[", "X-Forwarded-Proto": "\xff", "Forwarded": "for=["},
)
_PATHS = (
    *(
        "//",
        "/v1",
        "/v1/",
        "/v1//models",
        "/V1/MODELS",
        "/v1/classify/../models",
        "/%2e%2e/%2e%2e/etc/passwd",
    ),
    *("/v1/models/%00", "/v1/models/%ff", "/v1/models/%F0%9F", "/v1/models/..", "/v1/models/" + "x" * 8000),
    *(
        "/v1/model?model=%00",
        "/v1/model?model=%ff",
        "/v1/model?model=one&model=none",
        "/v1/model?" + "&" * 5000,
    ),
    *(
        "/v1/model?model[]=one",
        "/v1/model?%ff=%fe",
        "/v1/batches/batch_%00/result",
        "/v1/batches/batch_" + "0" * 32,
    ),
    *(
        "/v1/batches/..%2f..%2fetc",
        "/static/%00",
        "/static/..%2f..%2fapp.py",
        "/?model=%3Cscript%3E",
        "/docs?x=%ff",
    ),
)


@dataclass(slots=True)
class Fuzzed:
    """What became of the requests."""

    cases: Counter[tuple[str, int]] = field(default_factory=Counter)
    """operation, status -> requests; status 0: there was no answer"""
    faults: Counter[str] = field(default_factory=Counter)
    """What was not as the schema says, in words -> how often"""

    @property
    def total(self) -> int:
        """Requests that were sent."""
        return self.cases.total()

    def figures(self) -> dict[str, Any]:
        """Requests by operation and by status, and the faults, as JSON has them."""
        operations, statuses = Counter[str](), Counter[int]()
        for (operation, status), count in self.cases.items():
            operations[operation] += count
            statuses[status] += count
        return {
            "cases": self.total,
            "operations": dict(sorted(operations.items())),
            "statuses": {str(status): count for status, count in sorted(statuses.items())},
            "faults": sorted(self.faults),
        }


def torment(url: str) -> Fuzzed:
    """Send what was made by hand to break a server, over connections of their own."""
    found, batches = Fuzzed(), []
    for method, path, headers, body, what in _torments():
        try:
            status, content, problem = answered(url, method, path, headers, body)
        except (OSError, http.client.HTTPException) as error:
            status, content, problem = 0, b"", repr(error)
        operation = "odd paths" if path in _PATHS else f"{method} {path.partition('?')[0]}"
        found.cases[operation, status] += 1
        if problem:
            found.faults[f"{method} {path[:60]} {what}: {status} {problem}"] += 1
        if status == 202:
            batches.append((json.loads(content)["id"], what))
    for batch, what in batches:
        if "server-fault" in (told := _ended(url, batch)):
            found.faults[f"a batch of {what}: {told}"] += 1
    return found


def _ended(url: str, batch: str) -> str:
    """What is told of a batch once it has ended."""
    deadline = time.monotonic() + _ENDS_WITHIN
    while time.monotonic() < deadline:
        _, content, _ = answered(url, "GET", f"/v1/batches/{batch}")
        if json.loads(content)["expires_at"]:
            return content.decode()
        time.sleep(0.05)
    raise AssertionError(f"it did not end: {content!r}")


def _torments() -> Iterator[tuple[str, str, Mapping[str, str], bytes, str]]:
    for method, path, kind in _TARGETS:
        for what, body in _BODIES.items():
            yield method, path, {"Content-Type": kind}, body, what
        for kind in _TYPES:
            yield method, path, {"Content-Type": kind}, b'{"input": "a"}', kind[:60]
        for more in _HEADERS:
            yield method, path, {"Content-Type": kind, **more}, b'{"input": "a"}', str(more)[:60]
    for path in _PATHS:
        for method in ("GET", "DELETE", "HEAD", "BREW"):
            yield method, path, {}, b"", "path"


def answered(
    url: str, method: str, path: str, headers: Mapping[str, str] = MappingProxyType({}), body: bytes = b""
) -> tuple[int, bytes, str | None]:
    """Status and body of the answer, and what is wrong with it."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.putrequest(method, quote(path, safe="/%?&=[]"), skip_host="Host" in headers)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
        return response.status, content, _wrong_with(response, content, method)
    finally:
        connection.close()


def _wrong_with(response: http.client.HTTPResponse, content: bytes, method: str) -> str | None:
    if response.status >= 500:
        return content.decode("utf-8", "replace")[:300]
    # what is no HTTP never comes as far as the application
    if content == b"Invalid HTTP request received.":
        return None
    if not response.headers["X-Request-Id"]:
        return "has no request id"
    if response.status >= 400 and method != "HEAD" and set(json.loads(content)) != {"error"}:
        return f"is no refusal of ours: {content[:300]!r}"
    return None
