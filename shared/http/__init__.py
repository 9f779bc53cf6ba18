"""HTTP for a service that strangers call: it knows no application, which hands in what is its own.

A service builds `settings.HttpSettings` (with `limits`), says by `middleware.PathRules` which paths need a
caller, which are probes and how errors are written, makes an `application` of its routes and serves it by the
`listener`. Handlers read a body by `request_body`, answer with `responses`, refuse with `problems` and charge
`middleware.CALLER`. `auth` knows callers, `metrics` counts.
"""
