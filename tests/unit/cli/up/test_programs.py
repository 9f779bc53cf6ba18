from services.cli.up import programs
from services.cli.up.ports import Ports
from services.cli.up.settings import UpSettings


def test_a_persons_settings_of_a_service_stay(tmp_path):
    """A roll age or a failpoint in the environment reaches the service; if unset, the local default does."""
    inherited = {"FLEETPRICE_INGEST_ROLL_MAX_AGE_S": "1", "FLEETPRICE_FAILPOINTS": "ingest_renamed=3*1"}
    connected = programs.connected_environment(inherited, "hubs", "storage")
    environment = programs.ingest(tmp_path, Ports(), connected).environment
    assert environment["FLEETPRICE_INGEST_ROLL_MAX_AGE_S"] == "1"
    assert environment["FLEETPRICE_FAILPOINTS"] == "ingest_renamed=3*1"
    assert environment["FLEETPRICE_BALANCING_INTERVAL_S"] == "2"


def test_every_service_uses_the_emulator(tmp_path):
    """Connection strings in the person's environment or .env are not mixed with the emulator's."""
    inherited = {"FLEETPRICE_EVENT_HUBS": "azure", "FLEETPRICE_CHECKPOINTS": "azure"}
    connected = programs.connected_environment(inherited, "hubs", "storage")
    assert connected["FLEETPRICE_EVENT_HUBS"] == "hubs"
    assert connected["FLEETPRICE_STORAGE"] == "storage"
    assert connected["FLEETPRICE_CHECKPOINTS"] == ""


def test_the_fleet_is_the_requested_one(tmp_path):
    """Vehicles, rate, pack, seed and seconds reach the simulator; a restart continues the same run."""
    settings = UpSettings(data=tmp_path, vehicles=3, rate_hz=2, pack=20, seed=5, seconds=9)
    program = programs.simulator(settings, Ports(simulator_metrics=9), {}, "run")
    fleet = {name.removeprefix("FLEETPRICE_SIMULATOR_"): value for name, value in program.environment.items()}
    assert fleet == {
        "DATA": str(tmp_path),
        "VEHICLES": "3",
        "RATE_HZ": "2.0",
        "PACK": "20",
        "SEED": "5",
        "SECONDS": "9.0",
        "RUN_ID": "run",
        "METRICS_PORT": "9",
    }
    assert program.may_finish


def test_the_hubs_log_is_bounded(tmp_path):
    """The directory does not grow for ever: the cap is shared by the hubs' partitions."""
    settings = UpSettings(data=tmp_path, hub_bytes=800 << 20)
    assert programs.emulator(settings, Ports(), {}).environment["FLEETPRICE_EMULATOR_RETENTION_BYTES"] == str(
        100 << 20
    )
    own = {"FLEETPRICE_EMULATOR_RETENTION_BYTES": "5"}
    assert programs.emulator(settings, Ports(), own).environment["FLEETPRICE_EMULATOR_RETENTION_BYTES"] == "5"
