from services.cli.up import programs
from services.cli.up.ports import Ports
from services.cli.up.settings import UpSettings


def test_what_a_person_set_for_a_service_stays(tmp_path):
    """A roll age or a failpoint in the environment reaches the service; unset, the local default does."""
    inherited = {"FLEETPRICE_INGEST_ROLL_MAX_AGE_S": "1", "FLEETPRICE_FAILPOINTS": "ingest_renamed=3*1"}
    world = programs.world_environment(inherited, "hubs", "storage")
    environment = programs.ingest(tmp_path, Ports(), world).environment
    assert environment["FLEETPRICE_INGEST_ROLL_MAX_AGE_S"] == "1"
    assert environment["FLEETPRICE_FAILPOINTS"] == "ingest_renamed=3*1"
    assert environment["FLEETPRICE_BALANCING_INTERVAL_S"] == "2"


def test_every_service_is_in_the_emulators_world(tmp_path):
    """A world named in the person's environment or .env is not mixed with the local one."""
    inherited = {"FLEETPRICE_EVENT_HUBS": "azure", "FLEETPRICE_CHECKPOINTS": "azure"}
    world = programs.world_environment(inherited, "hubs", "storage")
    assert world["FLEETPRICE_EVENT_HUBS"] == "hubs"
    assert world["FLEETPRICE_STORAGE"] == "storage"
    assert world["FLEETPRICE_CHECKPOINTS"] == ""


def test_the_fleet_is_the_one_that_was_asked_for(tmp_path):
    """Vehicles, rate, pack, seed and seconds reach the simulator; a restart goes on with the same run."""
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
