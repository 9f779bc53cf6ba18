"""The OpenAPI document as a page without scripts or fetched files, so that it works offline. Pure."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import msgspec

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
code,pre{font:14px/1.4 ui-monospace,monospace}
pre{overflow:auto;padding:.75rem;border:1px solid #8886;border-radius:.4rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8884}
section{margin:2rem 0;padding-top:.5rem;border-top:1px solid #8886}
.method{font-weight:700;margin-right:.5rem}
"""
# The browser enforces that the page fetches and runs nothing.
CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def docs_page(document: Mapping[str, Any]) -> str:
    """Return the HTML page of an OpenAPI document that `openapi_document` made."""
    info = document["info"]
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(f"{info['title']} {info['version']}")
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>",
        f"<p>{_text(info['description'])}</p>",
        '<p>For programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>',
        *(_contents(tag["name"], operations) for tag in document["tags"]),
        *(_operation(path, method, operation) for path, method, operation in operations),
        "<h2>Types</h2>",
        *(_schema(name, schema) for name, schema in document["components"]["schemas"].items()),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _contents(tag: str, operations: Iterable[tuple[str, str, Mapping[str, Any]]]) -> str:
    entries = "".join(
        f'<li><a href="#{escape(one["operationId"])}">{_call(path, method)}</a>: {_text(one["summary"])}</li>'
        for path, method, one in operations
        if tag in one["tags"]
    )
    return f"<h2>{escape(tag)}</h2><ul>{entries}</ul>"


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<section id="{escape(operation["operationId"])}"><h3>{_call(path, method)}</h3>',
        f"<p><b>{_text(operation['summary'])}.</b> {_text(operation['description'])}</p>",
    ]
    if operation.get("parameters"):
        parts.append(_parameters(operation["parameters"]))
    if "requestBody" in operation:
        parts += [_body(media, content) for media, content in operation["requestBody"]["content"].items()]
    rows = "".join(_response(status, one) for status, one in operation["responses"].items())
    parts.append(f"<table><tr><th>Status</th><th></th><th>Answer</th></tr>{rows}</table></section>")
    return "".join(parts)


def _parameters(parameters: Iterable[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}</td>"
        f"<td>{_kind(one['schema'])}</td><td>{_text(one['description'])}</td></tr>"
        for one in parameters
    )
    return f"<table><tr><th>Parameter</th><th>In</th><th>Type</th><th></th></tr>{rows}</table>"


def _body(media: str, content: Mapping[str, Any]) -> str:
    kind = _kind(content["schema"]) if "schema" in content else "its tensors after the JSON"
    text = f"<p>Body: <code>{escape(media)}</code>, {kind}</p>"
    if "example" in content:
        text += _example(content["example"])
    for one in content.get("examples", {}).values():
        text += f"<p>{_text(one['summary'])}</p>{_example(one['value'])}"
    return text


def _example(value: Any) -> str:
    return f"<pre>{escape(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())}</pre>"


def _response(status: str, response: Mapping[str, Any]) -> str:
    kinds = ", ".join(
        f"{_kind(content['schema'])} <code>{escape(media)}</code>"
        if "schema" in content
        else f"<code>{escape(media)}</code>"
        for media, content in response.get("content", {}).items()
    )
    return f"<tr><td>{escape(status)}</td><td>{_text(response['description'])}</td><td>{kinds}</td></tr>"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{' (required)' if field in required else ''}</td>"
        f"<td>{_kind(one)}</td><td>{_text(one.get('description', ''))}</td></tr>"
        for field, one in schema.get("properties", {}).items()
    )
    about = _text(schema.get("description", ""))
    head = f'<section id="type-{escape(name)}"><h3>{escape(name)}</h3>'
    return f"{head}<p>{about}</p><table>{rows}</table></section>"


def _kind(schema: Mapping[str, Any]) -> str:
    """Describe a schema in a few words, with links to the types that it names."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[1])
        return f'<a href="#type-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if isinstance(schema.get("type"), list):
        return " or ".join(_kind({**schema, "type": one}) for one in schema["type"])
    bounds = [f"{word} {schema[key]:g}" for key, word in _BOUNDS.items() if key in schema]
    return escape(" ".join([schema.get("type", "any value"), *bounds]))


_BOUNDS = {"minimum": "from", "maximum": "to", "minLength": "of at least", "maxLength": "of at most"}


def _call(path: str, method: str) -> str:
    return f'<code><span class="method">{escape(method.upper())}</span>{escape(path)}</code>'


def _text(text: str) -> str:
    """Escape text and mark words between backticks as code."""
    return "".join(
        f"<code>{escape(part)}</code>" if index % 2 else escape(part)
        for index, part in enumerate(text.split("`"))
    )
