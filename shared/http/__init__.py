"""HTTP for services whose callers are not trusted.

The package knows no particular application: a service passes in everything that is specific to it. It builds
`settings.HttpSettings` (with `limits`), states in `middleware.PathRules` which paths need a caller, which are
probes and how errors are written, makes an `application` from its routes and serves the application with the
`listener`. Handlers read a body with `request_body`, answer with `responses`, refuse with `problems` and
charge the caller in `middleware.CALLER`. `auth` identifies callers; `metrics` counts.
"""
