"""``make demo``: the digits network on the generated Verilog, beside the reference interpreter, with the report."""

import argparse
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from hw.npu.config import load_config
from hw.npu.errors import WeftError
from weft.report.tables import print_report
from weft.run.inputs import load_samples
from weft.run.network import prepare, report_of, run_samples
from weft.run.progress import Steps

HERE = Path(__file__).parent
MODEL, DATA = HERE / "digits.tflite", HERE / "digits_test.npz"
BATCH = 25
"""Images of one call of the simulator."""


def reference_outputs(samples):
    """Probabilities by the interpreter's reference kernels, ``int8[N, 10]``."""
    interpreter = Interpreter(str(MODEL), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    outputs = []
    for sample in samples:
        interpreter.set_tensor(source, next(iter(sample.values())))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target)[0])
    return np.array(outputs)


def main():
    """Run the test images on RTL and on the reference; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="small", help="preset or TOML file")
    parser.add_argument("--images", type=int, help="how many test images; all if not given")
    arguments = parser.parse_args()

    steps = Steps()
    prepared = prepare(MODEL, load_config(arguments.config), steps=steps)
    samples, _ = load_samples(prepared.whole.graph, DATA)
    samples = samples[: arguments.images]
    labels = np.load(DATA)["labels"][: len(samples)]

    outcomes = []
    with steps.stage(f"running {len(samples)} test images on the generated Verilog", total=len(samples)) as advance:
        for at in range(0, len(samples), BATCH):
            outcomes += run_samples(prepared, samples[at : at + BATCH])
            advance(BATCH)
    found = np.array([next(iter(outcome.outputs.values()))[0] for outcome in outcomes])
    expected = reference_outputs(samples)

    print_report(report_of(prepared, outcomes[0]))
    exact = sum(outcome.mismatch is None for outcome in outcomes)
    cycles = {outcome.cycles for outcome in outcomes}
    print()
    print(f"{len(samples)} handwritten digits that the network has not seen in training:")
    print(f"  accuracy on RTL               {_share(found.argmax(1) == labels)}")
    print(f"  accuracy of TFLite reference  {_share(expected.argmax(1) == labels)}")
    print(f"  every tensor bit-exact in     {exact} of {len(samples)} runs; outputs equal in {int((found == expected).all(1).sum())}")
    print(f"  cycles of a run               {', '.join(map(str, sorted(cycles)))}")
    mismatch = next((outcome.mismatch for outcome in outcomes if outcome.mismatch), None)
    if mismatch:
        print(f"weft: {mismatch}", file=sys.stderr)
    return 0 if exact == len(samples) and (found == expected).all() else 1


def _share(right):
    return f"{right.mean():.4f} ({int(right.sum())} of {len(right)})"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WeftError as error:
        print(f"weft: error: {error}", file=sys.stderr)
        sys.exit(2)
