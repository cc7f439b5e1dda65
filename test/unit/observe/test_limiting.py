from cri_resmgr.observe.limiting import LIMIT_KEYS, Limiter


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def test_the_first_event_passes_and_the_next_ones_wait_for_the_interval():
    clock = Clock()
    limiter = Limiter(10, clock)
    assert limiter.turn("a") == 0
    clock.now_s += 9.9
    assert limiter.turn("a") is None
    clock.now_s += 0.1
    assert limiter.turn("a") == 1


def test_the_count_of_left_out_events_starts_anew_with_each_turn():
    clock = Clock()
    limiter = Limiter(10, clock)
    turns = []
    for _ in range(25):
        turns.append(limiter.turn("a"))
        clock.now_s += 1
    assert [turn for turn in turns if turn is not None] == [0, 9, 9]


def test_keys_have_their_turns_apart():
    limiter = Limiter(10, Clock())
    assert limiter.turn("a") == 0
    assert limiter.turn("b") == 0
    assert limiter.turn("a") is None


def test_endless_new_keys_take_no_endless_memory_and_the_oldest_goes_first():
    clock = Clock()
    limiter = Limiter(1000, clock)
    for number in range(LIMIT_KEYS):
        limiter.turn(number)
    limiter.turn("new")
    assert len(limiter._last) == LIMIT_KEYS
    assert limiter.turn(LIMIT_KEYS - 1) is None
    assert limiter.turn(0) == 0
