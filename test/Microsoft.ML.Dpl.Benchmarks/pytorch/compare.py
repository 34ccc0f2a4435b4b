"""Takes the authors' steps in PyTorch and ours in turn and prints one table and one line of JSON. build/compare-with-pytorch.sh starts it."""
import argparse
import json
import os
import statistics
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))


def parse():
    parser = argparse.ArgumentParser(prog="build/compare-with-pytorch.sh")
    parser.add_argument("--ours", nargs="+", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--libtorch", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--shape", default="surrogate")
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--candidates", "--options", type=int, nargs="+", default=[0, 1, 2, 3, 4, 5, 6], help="context lengths")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:n")
    parser.add_argument("--precision", choices=["Float32", "TensorFloat32", "BFloat16"], default="Float32", help="of both")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(), help="of both; default: one a core")
    parser.add_argument("--naive-chunk", type=int, help="classes whose graph PyTorch holds at once, where all of them do not fit into memory")
    parser.add_argument("--rounds", type=int, default=3, help="how often both are started in turn; memory is measured in the first")
    parser.add_argument("--repeats", type=int, default=5, help="measured steps of each in a round")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def run(command, environment=None):
    """The last line that a command prints, as JSON."""
    ended = subprocess.run(command, stdout=subprocess.PIPE, env={**os.environ, **(environment or {})}, check=False)
    lines = ended.stdout.decode().splitlines()
    if ended.returncode != 0 or not lines:
        raise SystemExit("%s ended with code %d%s" % (" ".join(command), ended.returncode, ":\n" + "\n".join(lines) if lines else "."))
    return json.loads(lines[-1])


def seconds(report, suffix=""):
    """Seconds of a search step, a training step and a product of this round."""
    times = {name: timing["Median"] for name, timing in report["seconds"].items()}
    return {"search": times["alpha half-step" + suffix] + times["prompt half-step" + suffix], "training": times["training step" + suffix], "product": times["product 2048³"]}


def over_rounds(rounds):
    """Median, and slowest minus fastest round."""
    return {work: {"median": statistics.median(r[work] for r in rounds), "spread": max(r[work] for r in rounds) - min(r[work] for r in rounds)} for work in rounds[0]}


def text(timing, rounds):
    scale, unit, digits = (1, "s", 2) if timing["median"] >= 1 else (1e3, "ms", 1)
    spread = ", spread %.*f" % (digits, timing["spread"] * scale) if rounds > 1 else ", once"
    return "%.*f %s (%s)" % (digits, timing["median"] * scale, unit, spread[2:])


def counted(number, noun):
    return "%d %s%s" % (number, noun, "" if number == 1 else "s")


def mebibytes(number):
    return "%.1f GiB" % (number / 1024) if number >= 1024 else "%d MiB" % number


def main():
    options = parse()
    common = ["--shape", options.shape, "--classes", str(options.classes), "--batch", str(options.batch), "--candidates", *map(str, options.candidates),
              "--repeats", str(options.repeats), "--threads", str(options.threads), "--device", options.device, "--precision", options.precision, "--json"]
    theirs_command = [sys.executable, os.path.join(FOLDER, "authors_dpl.py"), *common, *(["--naive-chunk", str(options.naive_chunk)] if options.naive_chunk else [])]
    ours_command = [*options.ours, "steps", "--no-naive", *common]
    # A BLAS with threads of its own does not ask torch how many.
    threads = {"OMP_NUM_THREADS": str(options.threads), "OPENBLAS_NUM_THREADS": str(options.threads)}
    theirs, ours = [], []
    for number in range(options.rounds):
        more = [] if number == 0 else ["--no-memory"]
        theirs.append(run(theirs_command + more, threads))
        ours.append(run(ours_command + more))
        print("round %d of %d" % (number + 1, options.rounds), file=sys.stderr)
    suffix = "" if options.precision == "Float32" else ", " + options.precision
    time_theirs, time_ours = over_rounds([seconds(r) for r in theirs]), over_rounds([seconds(r, suffix) for r in ours])
    ratios = {work: time_theirs[work]["median"] / time_ours[work]["median"] for work in time_theirs}
    memory = {form: (theirs[0]["peakMebibytes"][form], ours[0]["peakMebibytes"][form + suffix]) for form in ("search", "training")}
    on = counted(options.threads, "thread") if options.device == "cpu" else theirs[0]["deviceName"]
    chunk = ", PyTorch %d classes at a time" % options.naive_chunk if options.naive_chunk else ""

    print("PyTorch %s (%s), ours with %s. %s of %s; medians, spread is slowest minus fastest round."
          % (theirs[0]["torch"], theirs[0]["blas"], options.libtorch, counted(options.rounds, "round"), counted(options.repeats, "step")))
    print("A product of 2048³ in float32: PyTorch %s, ours %s." % (text(time_theirs["product"], options.rounds), text(time_ours["product"], options.rounds)))
    if ratios["product"] > 1.5:
        print("PyTorch's library of products is much slower here: the ratios say as much of it as of the algorithms. Is it made for this processor (OPENBLAS_CORETYPE)?")
    print()
    print("| | authors' search step in PyTorch | ours | ratio | authors' training step in PyTorch | ours | ratio | peak memory of search: PyTorch, ours | of training |")
    print("|---|---|---|---|---|---|---|---|---|")
    cells = ["%s, %d classes, batch %d, options %s, %s, %s%s" % (options.shape, options.classes, options.batch, " ".join(map(str, options.candidates)), options.precision, on, chunk)]
    for work in ("search", "training"):
        cells += [text(time_theirs[work], options.rounds), text(time_ours[work], options.rounds), "**%.1f**" % ratios[work]]
    print("| %s |\n" % " | ".join(cells + [", ".join(map(mebibytes, memory[form])) for form in ("search", "training")]))
    print(json.dumps({"libtorchOfOurs": options.libtorch, "seconds": {"pytorch": time_theirs, "ours": time_ours}, "ratios": ratios, "peakMebibytes": memory, "rounds": {"pytorch": theirs, "ours": ours}}))


if __name__ == "__main__":
    main()
