import ast

import pytest
from rewriting import Rewriter

REWRITER = Rewriter("fleetprice", ("services", "shared"), {"cli", "emulator", "streams"})


@pytest.mark.parametrize(
    ("source", "rewritten"),
    [
        ("import services.cli\n", "import fleetprice.cli\n"),
        ("import services.cli as a, shared.streams\n", "import fleetprice.cli as a, fleetprice.streams\n"),
        ("from services.cli import (\n    verbs,\n)\n", "from fleetprice.cli import (\n    verbs,\n)\n"),
        ("from shared import __version__\n", "from fleetprice import __version__\n"),
        ("x = services.cli.verbs\n", "x = fleetprice.cli.verbs\n"),
        ('run("-m", "services.emulator")\n', 'run("-m", "fleetprice.emulator")\n'),
        ('f"services.{name}"\n', 'f"fleetprice.{name}"\n'),
        ('f"of services.cli and {shared.streams}"\n', None),
        ('"""Run `python -m services.cli`.\n\nOr services.<name>.\n"""\n', None),
    ],
)
def test_module_names_are_renamed(source, rewritten):
    """Imports, dotted uses and names in strings follow the packages into the wheel."""
    result = REWRITER.rewrite_code(source)
    assert "services" not in result
    assert ast.parse(result)
    assert rewritten in (None, result)


@pytest.mark.parametrize(
    "source",
    [
        'services = ["a"]\nservices.append(shared)\n',
        "entry.services.cli\n",
        "read(services=1)\n",
        '"a document\'s services. They are shared. Then"\n',
        '"deploy/services.cli"\n',
        "services.streaming\n",
        "# services.cli in a comment\n",
    ],
)
def test_other_words_stay(source):
    """A variable, an attribute, a path or a sentence is not a module's name."""
    assert REWRITER.rewrite_code(source) == source


def test_no_line_moves():
    """A traceback of the wheel has the line numbers of the checkout."""
    source = 'from services.cli import (\n    a,\n\n    b)\nx = """é\nservices.cli\n"""; services.cli.run()\n'
    lines = REWRITER.rewrite_code(source).split("\n")
    assert len(lines) == len(source.split("\n"))
    assert (lines[5], lines[6]) == ("fleetprice.cli", '"""; fleetprice.cli.run()')
