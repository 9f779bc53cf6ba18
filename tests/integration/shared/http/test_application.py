"""What an application decides: which paths need a caller, what costs how much, how errors are written."""

from dataclasses import replace

import pytest

from shared.http.application import make_application
from shared.http.auth.tokens import TokenRequirements
from shared.http.limits import RateLimit
from shared.http.listener import serve_http
from shared.http.problems import refusal_response
from shared.http.settings import KeySources
from shared.service.errors import PortInUse, SettingsError
from tests.support.notes_app import NOTE, RULES, bearer, routes, settings_with


async def test_paths_of_callers_need_a_key(serving):
    """A path that needs a caller is 401 without a key, an unknown one below it too; others are open."""
    async with serving(key=None) as http:
        assert (await http.post(NOTE)).status == 401
        statuses = {path: (await http.get(path)).status for path in ("/notes/7", "/notes", "/book", "/x")}
        assert statuses == {"/notes/7": 401, "/notes": 401, "/book": 200, "/x": 404}
        answer = await http.post(NOTE, **bearer("a-key"))
        assert (answer.status, await answer.json()) == (200, NOTE)


async def test_a_caller_has_a_limit_of_its_own(serving):
    """Above its rate a caller gets the application's problem and when to retry; another is served."""
    limit = RateLimit(0.01, 5.0, "too-many-notes", "no more notes for now")
    async with serving(rate_limit=limit, keys=KeySources("one,two", None, ""), key=None) as http:
        assert (await http.post({"more": "more"}, **bearer("one"))).status == 200
        refused = await http.post({"more": "more"}, **bearer("one"))
        problem = await refused.json(content_type=None)
        assert (refused.status, problem["detail"]) == (429, "no more notes for now")
        assert problem["type"] == "urn:fleetprice:problem:too-many-notes"
        assert int(refused.headers["Retry-After"]) > 10
        assert (await http.post(NOTE, **bearer("two"))).status == 200


async def test_errors_are_written_as_the_application_wants(serving):
    """Refusals and faults of ours have the form that the application gives errors of this path."""

    def write_error(path, refusal):
        return refusal_response(refusal, f"{path}: {refusal.kind}".encode(), "text/plain")

    async with serving(rules=replace(RULES, write_error=write_error)) as http:
        for path, status, text in (("/x", 404, "/x: not-found"), ("/fail", 500, "/fail: internal-error")):
            answer = await http.get(path)
            assert (answer.status, answer.content_type, await answer.text()) == (status, "text/plain", text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host": "0.0.0.0"}, "FLEETPRICE_NOTES_API_KEYS holds the well-known development key"),
        ({"keys": KeySources("", None, "a-key")}, "FLEETPRICE_NOTES_API_KEYS_FILE name no key"),
        ({"tokens": TokenRequirements("https://issuer.example", ())}, "FLEETPRICE_NOTES_TOKEN_AUDIENCE"),
        ({"tokens": TokenRequirements("http://issuer.example", ("a",))}, "FLEETPRICE_NOTES_TOKEN_ISSUER"),
    ],
)
def test_settings_that_protect_nothing_are_refused(changes, message):
    """The error names the service's own setting."""
    with pytest.raises(SettingsError, match=message):
        make_application(settings_with(**changes), RULES, routes(), lambda: False)


async def test_a_port_in_use_is_named(serving):
    """A port that is taken is an error that names the service's own setting."""
    async with serving() as http:
        settings = settings_with(port=http.port)
        app = make_application(settings, RULES, routes(), lambda: False)
        with pytest.raises(PortInUse, match="FLEETPRICE_NOTES_HTTP_PORT"):
            async with serve_http(settings, app):
                pass
