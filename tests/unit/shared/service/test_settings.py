import pytest
from pydantic import Field

from shared.service.errors import SettingsError
from shared.service.settings import DEVELOPMENT_KEYS, ConnectionSettings, read_settings, require_address


class IngestLike(ConnectionSettings, env_prefix="FLEETPRICE_INGEST_"):
    service = "INGEST"
    roll_max_age_s: float = Field(60.0, gt=0, description="seconds")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_variables_and_flags(monkeypatch):
    """A flag wins over a variable, a variable over the default."""
    monkeypatch.setenv("FLEETPRICE_INGEST_ROLL_MAX_AGE_S", "5")
    assert read_settings(IngestLike).roll_max_age_s == 5
    assert read_settings(IngestLike, {"roll_max_age_s": 7, "storage": None}).roll_max_age_s == 7


def test_a_dotenv_file_is_read(empty_folder):
    """A .env file sets what the environment does not."""
    (empty_folder / ".env").write_text("FLEETPRICE_INGEST_ROLL_MAX_AGE_S=9\nOTHER=1\n")
    assert read_settings(IngestLike).roll_max_age_s == 9


@pytest.mark.parametrize("name", ["FLEETPRICE_INGEST_ROLL_MAX_AGE", "FLEETPRICE_EVENTHUBS"])
def test_a_misspelt_variable_refuses_to_start(name, monkeypatch):
    """An unknown variable is refused, with the name that was probably meant."""
    monkeypatch.setenv(name, "5")
    with pytest.raises(SettingsError, match=f"{name} is not a setting; did you mean FLEETPRICE_"):
        read_settings(IngestLike)


def test_a_misspelt_line_in_the_dotenv_file_too(empty_folder):
    """An unknown variable in the .env file is refused, too."""
    (empty_folder / ".env").write_text("FLEETPRICE_STORRAGE=x\n")
    with pytest.raises(SettingsError, match="FLEETPRICE_STORRAGE"):
        read_settings(IngestLike)


def test_other_services_variables_are_left_alone(monkeypatch):
    """Another service's variables are ignored, so that one .env file serves all."""
    monkeypatch.setenv("FLEETPRICE_SCORER_HTTP_PORT", "8000")
    read_settings(IngestLike)


def test_a_value_out_of_bounds_names_its_variable(monkeypatch):
    """The message names the variable to change."""
    monkeypatch.setenv("FLEETPRICE_INGEST_ROLL_MAX_AGE_S", "-1")
    with pytest.raises(SettingsError, match="FLEETPRICE_INGEST_ROLL_MAX_AGE_S"):
        read_settings(IngestLike)


@pytest.mark.parametrize("key", DEVELOPMENT_KEYS)
def test_development_keys_are_refused_beyond_loopback(key):
    """A well-known key is refused unless the address is on loopback."""
    near = ConnectionSettings(
        event_hubs=f"Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=n;SharedAccessKey={key};"
    )
    far = ConnectionSettings(
        event_hubs=f"Endpoint=sb://localhost.example:5671;SharedAccessKeyName=n;SharedAccessKey={key};"
    )
    assert require_address(near, "event_hubs")
    with pytest.raises(SettingsError, match="development key"):
        require_address(far, "event_hubs")


def test_a_world_that_is_not_named():
    """Nothing is guessed: the missing variable is named."""
    with pytest.raises(SettingsError, match="FLEETPRICE_STORAGE"):
        require_address(ConnectionSettings(), "storage")


def test_secrets_do_not_show():
    """A settings object in a log or a traceback shows no key."""
    assert "hush" not in repr(ConnectionSettings(event_hubs="Endpoint=sb://x;SharedAccessKey=hush"))
