"""The networks whose cycles are on record, and what they must not exceed."""

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
