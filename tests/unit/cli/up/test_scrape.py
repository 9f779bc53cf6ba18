from services.cli.up.scrape import ends_of, next_sequences_of, samples_of, total_of
from services.cli.up.sustained_lag import PartitionEnd

PAGE = """# HELP fleetprice_next_sequence Next sequence number
# TYPE fleetprice_next_sequence gauge
fleetprice_next_sequence{hub="telemetry",partition="0"} 17.0
fleetprice_next_sequence{hub="telemetry",partition="1"} 1.234567e+06
fleetprice_rows_landed_total{hub="telemetry"} 40.0
fleetprice_rows_landed_total{hub="predictions"} 39.0
fleetprice_predictions_sent_total 41.0
python_gc_objects_collected_total{generation="0"} 8.0
"""


def test_a_metrics_page_tells_where_a_reader_stands():
    """By hub and partition, whatever notation the number is in."""
    assert dict(next_sequences_of(samples_of(PAGE))) == {
        ("telemetry", "0"): 17,
        ("telemetry", "1"): 1_234_567,
    }


def test_counters_are_summed_over_the_labels_not_asked_for():
    """Rows landed of one hub, or of all."""
    samples = samples_of(PAGE)
    assert total_of(samples, "fleetprice_rows_landed_total", {"hub": "telemetry"}) == 40
    assert total_of(samples, "fleetprice_rows_landed_total", {}) == 79
    assert total_of(samples, "fleetprice_predictions_sent_total", {}) == 41


def test_what_was_not_counted_yet_is_zero():
    """A labelled counter is not on the page before its first count."""
    assert total_of(samples_of(PAGE), "fleetprice_readings_sent_total", {}) == 0


def test_the_list_of_hubs_tells_where_partitions_end():
    """An empty partition ends before its first event."""
    hub = {
        "name": "telemetry",
        "partitions": [{"id": "0", "begin_sequence_number": 0, "last_enqueued_sequence_number": -1}],
    }
    assert dict(ends_of([hub])) == {("telemetry", "0"): PartitionEnd(0, -1)}
