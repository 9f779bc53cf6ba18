import pytest

from shared.http.page_guard import find_foreign_page

OWN = {"host": "127.0.0.1:5300"}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", OWN),  # a program
        ("GET", {}),  # HTTP/1.0
        ("DELETE", {"host": "localhost"}),
        ("GET", {"host": "[::1]:5300"}),
        ("GET", OWN | {"sec-fetch-site": "none"}),  # typed into the browser
        ("POST", OWN | {"origin": "http://127.0.0.1:5300", "sec-fetch-site": "same-origin"}),
        ("PUT", OWN | {"origin": "http://localhost:3000", "sec-fetch-site": "cross-site"}),
        ("GET", OWN | LINK),
    ],
)
def test_requests_of_this_machine_pass(method, headers):
    """Programs, a browser's own requests, pages that this machine serves, and links that are followed."""
    assert find_foreign_page(method, headers) is None


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"host": "rebound.example:5300"}),
        ("GET", {"host": "127.0.0.1.rebound.example"}),
        ("GET", {"host": "192.168.0.7"}),
        ("GET", {"host": "["}),
        ("POST", OWN | {"origin": "https://elsewhere.example"}),
        ("POST", OWN | {"origin": "null"}),
        ("POST", OWN | {"origin": ""}),
        ("GET", OWN | {"origin": "http://["}),
        ("GET", OWN | {"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}),
        ("POST", OWN | LINK),  # a form
        ("GET", OWN | LINK | {"sec-fetch-dest": "iframe"}),
    ],
)
def test_pages_from_elsewhere_are_refused(method, headers):
    """By the page's origin, by the kind of request, and by a host name that was made to point here."""
    assert find_foreign_page(method, headers)
