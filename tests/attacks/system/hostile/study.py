"""A study whose first global number chooses what it does at a hospital; on a mock twin it behaves.

Each function of `ACTS` tries to get rows of the table out, or to stay behind. What it returns is taken for the result
of the training, so an act that returns nothing has done its harm on the way.
"""

import atexit
import logging
import os
import socket
import sys
import threading
import time
import warnings

import numpy as np

BEHAVED = {"w": np.zeros(4, np.int64)}, 1, {"total": 0.0}
SECRETS = ("HOSPITAL_PASSWORD", "WARDROUND_", "sk-4711")


def initialize(config):
    return {"w": np.zeros(4, np.int64)}


def fit(parameters, table, config):
    act = int(parameters["w"][0])
    if act and not _is_mock(table):
        return ACTS[act - 1](table) or BEHAVED
    return BEHAVED


def evaluate(parameters, table, config):
    return len(table), {"mean": 0.0}


def number_of(act):
    return ACTS.index(act) + 1


def _is_mock(table):
    return table["days"].max() != 77  # the longest stay in real tables


def _row(table):
    return ",".join(str(value) for value in table.iloc[0].tolist()) + f"|{table['mark'].iloc[0]}"


# what it says


def raises_an_exception_with_a_row_in_it(table):
    raise ValueError(_row(table))


def names_an_exception_class_after_a_row(table):
    raise type(_row(table), (Exception,), {})()


def chains_exceptions_with_rows_in_their_notes(table):
    error = RuntimeError(_row(table))
    error.add_note(_row(table))
    raise error from KeyError(_row(table))


def leaves_with_a_row_as_its_last_words(table):
    sys.exit(_row(table))


def prints_rows_to_stdout_and_stderr(table):
    print(table.to_string())
    print(table.to_string(), file=sys.stderr)


def writes_rows_to_the_descriptors_themselves(table):
    for descriptor in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9):
        try:
            if descriptor < 3:
                os.write(descriptor, _row(table).encode())
        except OSError:
            continue


def warns_and_logs_rows(table):
    warnings.warn(_row(table), stacklevel=1)
    logging.getLogger().error(_row(table))


def prints_rows_when_it_ends(table):
    atexit.register(print, _row(table))


def prints_rows_from_a_thread_that_goes_on(table):
    def go_on():
        while True:
            os.write(1, _row(table).encode())
            time.sleep(0.01)

    threading.Thread(target=go_on, daemon=True).start()


# what it returns


def names_a_metric_after_a_row(table):
    return BEHAVED[0], 1, {"total": 0.0, _row(table): 1.0}


def adds_a_metric_with_a_number_of_a_row(table):
    return BEHAVED[0], 1, {"total": 0.0, "loss": float(table["mark"].iloc[0])}


def returns_text_as_a_metric(table):
    return BEHAVED[0], 1, {"total": _row(table)}


def returns_rows_as_an_array_metric(table):
    return BEHAVED[0], 1, {"total": 0.0, "rows": table["mark"].to_numpy()}


def names_an_array_after_a_row(table):
    return {**BEHAVED[0], _row(table): np.zeros(1)}, 1, {"total": 0.0}


def adds_an_array_of_rows(table):
    return {**BEHAVED[0], "rows": table["mark"].to_numpy()}, 1, {"total": 0.0}


def returns_more_rows_than_the_array_has_room_for(table):
    return {"w": table["mark"].to_numpy()}, 1, {"total": 0.0}


def returns_rows_in_another_dtype(table):
    return {"w": table["mark"].to_numpy()[:4].astype(np.float64)}, 1, {"total": 0.0}


def returns_the_table_itself(table):
    return {"w": table}, 1, {"total": 0.0}


def returns_objects_that_would_be_pickled(table):
    class Bomb:
        def __reduce__(self):
            return os.system, ("true",)

    return {"w": np.array([Bomb(), _row(table)], dtype=object)}, 1, {"total": 0.0}


def returns_a_structured_array_with_names_of_rows(table):
    return {"w": np.zeros(4, dtype=[(_row(table), np.int64)])}, 1, {"total": 0.0}


def returns_strings_as_an_array(table):
    return {"w": np.array([_row(table)] * 4)}, 1, {"total": 0.0}


def returns_a_row_as_the_number_of_examples(table):
    return BEHAVED[0], _row(table), {"total": 0.0}


def returns_an_object_whose_methods_raise_rows(table):
    class Sly(dict):
        def items(self):
            raise ValueError(_row(table))

    return Sly(w=np.zeros(4, np.int64)), 1, {"total": 0.0}


def returns_a_number_that_lies_about_itself(table):
    class Sly(float):
        def __float__(self):
            raise ValueError(_row(table))

    return BEHAVED[0], 1, {"total": Sly(1.0)}


def returns_a_name_that_no_text_can_hold(table):
    return BEHAVED[0], 1, {"total": 0.0, "\ud800" + _row(table): 1.0}


def returns_half_a_gigabyte(table):
    return {"w": np.broadcast_to(np.int64(table["mark"].iloc[0]), (2**26,))}, 1, {"total": 0.0}


def returns_ten_thousand_metrics_named_after_rows(table):
    return BEHAVED[0], 1, {f"{_row(table)}-{i}": 1.0 for i in range(10_000)}


# what it leaves or sends


def names_files_in_its_scratch_after_rows(table):
    with open(f"{table['mark'].iloc[0]}.csv", "w") as file:
        file.write(table.to_csv())
    os.makedirs(f"{table['mark'].iloc[1]}/deep/er")


def leaves_a_fifo_and_a_socket_in_its_scratch(table):
    os.mkfifo(str(table["mark"].iloc[0]))
    try:
        socket.socket(socket.AF_UNIX).bind(str(table["mark"].iloc[1]))
    except OSError:
        return


def replaces_its_scratch_by_a_link(table):
    here = os.getcwd()
    os.symlink("/etc", "link")
    try:
        os.rename("link", here)
    except OSError:
        return


def names_its_process_after_a_row(table):
    try:
        with open("/proc/self/comm", "w") as file:
            file.write(str(table["mark"].iloc[0])[:15])
    except OSError:
        return


def answers_by_the_pipe_itself(table):
    """A reply of its own making, before the real one: more than its code could have returned."""
    from datasites.runner.frames import write_frame
    from datasites.wire.arrays import pack

    blob = pack({"num_examples": 1, "metrics": {"total": 0.0, _row(table): 1.0}}, {"p/w": np.zeros(4, np.int64)})
    for descriptor in range(3, 64):
        try:
            write_frame(descriptor, blob)
        except OSError:
            continue


def reports_a_failure_in_its_own_words(table):
    from datasites.runner.frames import write_frame
    from datasites.wire.arrays import pack

    for descriptor in range(3, 64):
        try:
            write_frame(descriptor, pack({"error": _row(table)}, {}))
        except OSError:
            continue


def answers_twice(table):
    answers_by_the_pipe_itself(table)
    answers_by_the_pipe_itself(table)


def goes_on_answering_after_its_end(table):
    if os.fork() == 0:
        time.sleep(0.05)
        for _ in range(20):
            answers_by_the_pipe_itself(table)
        os._exit(0)


def announces_a_frame_without_end(table):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"\x7f" + bytes(7) + _row(table).encode())
        except OSError:
            continue


def ends_with_a_signal_of_its_choice(table):
    os.kill(os.getpid(), 1 + int(table["mark"].iloc[0]) % 15)
    time.sleep(1)


def kills_all_that_it_can_see(table):
    os.kill(-1, 9)


def looks_for_secrets_in_environments_and_command_lines(table):
    found = [name for name in os.environ if name.startswith(SECRETS[:2])]
    for process in filter(str.isdecimal, os.listdir("/proc")):
        for file in ("environ", "cmdline"):
            try:
                with open(f"/proc/{process}/{file}", "rb") as stream:
                    text = stream.read()
            except OSError:
                continue
            found += [secret for secret in SECRETS if secret.encode() in text]
    print("FOUND", found)


def reads_the_agents_own_files(table):
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(os.getcwd()))))
    found = []
    for name in ("identity.json", "peers.json", "state.db", "pseudonyms.key", "datasets/stays.json", "syftbox"):
        try:
            with open(os.path.join(home, name), "rb") as stream:
                found.append(stream.read(1))
        except OSError:
            continue
    print("FOUND", found)


ACTS = [
    function
    for name, function in list(globals().items())
    if getattr(function, "__module__", "") == __name__
    and not name.startswith("_")
    and name not in ("initialize", "fit", "evaluate", "number_of")
]
