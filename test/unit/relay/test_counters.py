from cri_resmgr.relay.counters import BOUNDS_S, MAX_METHODS, MAX_PATH_SIZE, Counters, Histogram


def test_an_observation_falls_into_the_first_bucket_that_bounds_it():
    histogram = Histogram()
    for seconds in (0.0, BOUNDS_S[0], BOUNDS_S[0] * 1.01, 1e9):
        histogram.observe(seconds)
    assert histogram.counts[:2] == [2, 1]
    assert histogram.counts[-1] == 1
    assert sum(histogram.counts) == 4


def test_invented_names_are_counted_together():
    counters = Counters()
    for number in range(2 * MAX_METHODS):
        counters.method(f"/x/{number}").calls += 1
    assert len(counters.methods) == MAX_METHODS + 1
    assert counters.methods["other"].calls == MAX_METHODS
    assert counters.method("/x/0").calls == 1


def test_a_name_of_any_length_takes_no_memory():
    counters = Counters()
    counters.method("/" + "x" * MAX_PATH_SIZE).calls += 1
    assert list(counters.methods) == ["other"]
