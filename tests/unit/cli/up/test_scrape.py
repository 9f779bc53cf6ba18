from services.cli.up.scrape import find_ends, find_next_sequences, parse_samples, sum_samples
from services.cli.up.sustained_lag import PartitionEnd

PAGE = """# HELP fleetprice_streams_next_sequence_number Next sequence number
# TYPE fleetprice_streams_next_sequence_number gauge
fleetprice_streams_next_sequence_number{hub="telemetry",partition="0"} 17.0
fleetprice_streams_next_sequence_number{hub="telemetry",partition="1"} 1.234567e+06
fleetprice_ingest_landed_rows_total{hub="telemetry"} 40.0
fleetprice_ingest_landed_rows_total{hub="predictions"} 39.0
fleetprice_scorer_sent_predictions_total 41.0
python_gc_objects_collected_total{generation="0"} 8.0
"""


def test_a_metrics_page_holds_a_readers_positions():
    """By hub and partition, whatever notation the number has."""
    assert dict(find_next_sequences(parse_samples(PAGE))) == {
        ("telemetry", "0"): 17,
        ("telemetry", "1"): 1_234_567,
    }


def test_counters_are_summed_over_the_other_labels():
    """Rows landed of one hub, or of all."""
    samples = parse_samples(PAGE)
    assert sum_samples(samples, "fleetprice_ingest_landed_rows_total", {"hub": "telemetry"}) == 40
    assert sum_samples(samples, "fleetprice_ingest_landed_rows_total", {}) == 79
    assert sum_samples(samples, "fleetprice_scorer_sent_predictions_total", {}) == 41


def test_what_was_not_counted_yet_is_zero():
    """A labelled counter is not on the page before its first count."""
    assert sum_samples(parse_samples(PAGE), "fleetprice_simulator_sent_readings_total", {}) == 0


def test_the_list_of_hubs_holds_the_ends_of_partitions():
    """An empty partition ends before its first event."""
    hub = {
        "name": "telemetry",
        "partitions": [{"id": "0", "begin_sequence_number": 0, "last_enqueued_sequence_number": -1}],
    }
    assert dict(find_ends([hub])) == {("telemetry", "0"): PartitionEnd(0, -1)}
