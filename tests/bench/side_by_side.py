"""What the benches share that compare two ways of the same work: programs, the processor's time, pairs and rows of a table."""
import os
import resource
import statistics
import subprocess
import sys


def output_of(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


def processor_seconds(command):
    """Of the program and all that it starts, however busy the machine is."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output_of(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peer_output(python, script, *arguments):
    """Of a script that measures by time.perf_counter: its clock is the processor's."""
    by_processor = ("import runpy, sys, time; time.perf_counter = time.process_time; sys.argv = sys.argv[1:]; "
                    "runpy.run_path(sys.argv[0], run_name='__main__')")
    return output_of([python, "-c", by_processor, script, *arguments])


def row(name, goal, result):
    print(f"| {name} | {goal} | {result} |", flush=True)


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def pairs(count, name, goal, first, second):
    """The median of first / second, alternately."""
    ratios = []
    for pair in range(count):
        results = {}
        for side in ((0, 1), (1, 0))[pair % 2]:
            results[side] = (first, second)[side]()
        ratios.append(results[0] / results[1])
        print(f"  {name}: {results[0]:.3g} / {results[1]:.3g} s = {ratios[-1]:.2f}", flush=True)
    row(name, goal, spread(ratios))
