"""Cycles of whole networks, from start to interrupt on the reference DDR, records included; and what they must not exceed.

Measured; the numbers move with the compiler and the RTL, and whoever moves them says why in the commit.
`python -m pytest tests/rtl/test_networks.py tests/rtl/test_int4.py` asserts them.
"""

FILES = {
    "resnet8": "mlperf_ic_resnet8_int8.tflite",
    "vww": "mlperf_vww_mbv1_025_96_int8.tflite",
    "kws": "mlperf_kws_dscnn_int8.tflite",
    "autoencoder": "mlperf_ad_fcae_int8.tflite",
    "sww": "mlperf_sww_int8.tflite",
    "person": "tflm_person_detect_int8.tflite",
    "mobilenet_v2": "coral_mbv2_224_ptq_int8.tflite",
    "mobilenet_v1": "synth_mobilenet_v1_224_int8.tflite",
    "resnet50": "synth_resnet50_224_int8.tflite",
    "unsigned": "coral_mbv1_025_128_uint8.tflite",
}
SMALL_SIX = ("resnet8", "vww", "kws", "autoencoder", "sww", "person")
UNSIGNED = "unsigned"
"""A network of uint8."""
LARGE = ("mobilenet_v2", "mobilenet_v1", "resnet50")

LIMITS = {
    "resnet8": 55_000,
    "vww": 52_000,
    "kws": 15_500,
    "autoencoder": 36_000,
    "sww": 8_000,
    "person": 49_000,
    "mobilenet_v2": 1_800_000,
    "mobilenet_v1": 2_900_000,
    "resnet50": 17_000_000,
    "unsigned": 145_000,
}
"""The targets of the reference configuration."""

CYCLES = {
    ("resnet8", "small"): 50_757,
    ("vww", "small"): 48_110,
    ("kws", "small"): 14_396,
    ("autoencoder", "small"): 35_433,
    ("sww", "small"): 7_806,
    ("person", "small"): 46_588,
    ("mobilenet_v2", "small"): 1_594_671,
    ("mobilenet_v1", "small"): 2_516_727,
    ("resnet50", "small"): 16_200_034,
    ("unsigned", "small"): 141_888,
    ("resnet8", "8x8"): 198_078,
    ("vww", "8x8"): 150_993,
    ("kws", "8x8"): 47_960,
    ("autoencoder", "8x8"): 36_580,
    ("sww", "8x8"): 17_435,
    ("person", "8x8"): 146_963,
    ("resnet8", "32x32"): 20_931,
    ("vww", "32x32"): 38_336,
    ("kws", "32x32"): 6_143,
    ("autoencoder", "32x32"): 35_718,
    ("sww", "32x32"): 7_776,
    ("person", "32x32"): 37_473,
    ("resnet8", "small+int4"): 50_741,
    ("vww", "small+int4"): 47_543,
    ("kws", "small+int4"): 14_311,
    ("autoencoder", "small+int4"): 35_433,
    ("sww", "small+int4"): 7_806,
    ("person", "small+int4"): 46_395,
}
"""By network and array; on `small+int4` the words of the activation scratchpad are twice as long, and meet otherwise in its banks."""

CYCLES_INT4 = {
    "resnet8": 27_861,
    "vww": 32_667,
    "kws": 10_068,
    "autoencoder": 18_385,
    "sww": 4_875,
    "person": 31_697,
    "mobilenet_v2": 1_001_218,
    "mobilenet_v1": 1_351_217,
    "resnet50": 8_279_780,
}
"""By network, on `small` with int4: every layer that takes int4 weights has them."""
RESNET8_INNER = 28_819
"""The same of ResNet-8 with all such layers but the first and the last."""
WEIGHT_BOUND = (35_243, 17_869)
"""A FULLY_CONNECTED of 1024 inputs and 256 outputs alone: on `small`, and of int4 weights on `small` with int4."""
